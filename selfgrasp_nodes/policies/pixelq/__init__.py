"""Pixel-wise values of pushes and grasps (Zeng and others, 2018)."""
