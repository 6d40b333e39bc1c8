"""Stores to checkpoints; evaluation protocols and tables."""
