"""The one trial sequence, its ports, and the fast loop."""
