"""Trials to rosbag and training store, and back."""
