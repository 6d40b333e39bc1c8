"""Sensor traces and change to an outcome."""
