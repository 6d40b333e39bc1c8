"""Trials on disk: a rosbag2 (MCAP) a run, an index beside it, and the way back."""
