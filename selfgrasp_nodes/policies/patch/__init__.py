"""Grasps judged by patches, at 18 angles: Pinto and Gupta (2016)."""
