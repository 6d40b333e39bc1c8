"""selfgrasp: a robot teaches itself to grasp and to push by trial and error."""

__version__ = "0.1.0"
