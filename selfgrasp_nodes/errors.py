"""Errors: one root class, one subclass for each fault.

A message says what is wrong, lists the valid choices where there are any, and
names the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable


class SelfGraspError(Exception):
    """Root of every error that this package raises on purpose."""


class InvalidConfig(SelfGraspError):
    """A configuration file has a missing, unknown or out-of-range entry."""


class UnknownName(SelfGraspError):
    """A name that is looked up in a registry is not in it."""

    def __init__(self, kind: str, name: object, valid: Iterable[str]):
        """Build the message.

        Args:
            kind: What was looked up, e.g. ``"policy"``.
            name: The name that was given.
            valid: The names that would have been right.
        """
        choices = ", ".join(sorted(valid)) or "(none)"
        super().__init__(f"unknown {kind} {name!r}; valid: {choices}")


class InvalidImage(SelfGraspError):
    """An image has a wrong size, encoding or content."""


class EmptyObservation(SelfGraspError):
    """An observation holds nothing to decide on (empty table, all-NaN depth)."""


class InvalidCandidate(SelfGraspError):
    """A candidate has a NaN pose, lies outside the workspace or is too wide."""


class InvalidScene(SelfGraspError):
    """A scene names an unknown shape, or its objects interpenetrate."""


class PlanningFailed(SelfGraspError):
    """No trajectory leads to the goal: unreachable, in collision, past limits."""


class ExecutionFailed(SelfGraspError):
    """A trajectory or a gripper command was aborted while it ran."""


class Blocked(ExecutionFailed):
    """Something was in the way: the wrist felt more than its limit, and the arm stopped."""


class Cancelled(SelfGraspError):
    """The caller cancelled what was running."""


class StorageError(SelfGraspError):
    """A trial could not be written or read (disk full, file cut short)."""


class MissingDependency(SelfGraspError):
    """An optional library or system package is not installed."""


class Unavailable(SelfGraspError):
    """A node, topic, transform or device did not answer in time."""


class Busy(SelfGraspError):
    """Another goal holds what this one needs."""


class NotReady(SelfGraspError):
    """Something must be done first, e.g. the background be learnt."""


class CalibrationFailed(SelfGraspError):
    """A camera's pose cannot be determined from the pictures: too few, not seen, degenerate."""


class WrongCamera(InvalidConfig):
    """A calibration belongs to another camera than the one that is connected."""
