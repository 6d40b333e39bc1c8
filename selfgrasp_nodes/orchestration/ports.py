"""The ports of the trial sequence: what it needs from the world around it.

The fast in-process loop (:mod:`selfgrasp_nodes.orchestration.fast`) and the ROS
graph (:mod:`selfgrasp_nodes.nodes`) each bring adapters for these protocols;
the sequence itself (:mod:`selfgrasp_nodes.orchestration.sequence`) is the same.
All calls block; errors are subclasses of ``SelfGraspError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from selfgrasp_nodes.types import Candidate, Execution, Observation, Outcome, Primitive, Trial


class Clock(Protocol):
    """Time of the graph: simulated or wall."""

    def now(self) -> int:
        """Nanoseconds."""
        ...


class Observer(Protocol):
    """Cameras, heightmap and regions of interest."""

    def observe(self) -> Observation:
        """A fresh observation with the arms out of view.

        Raises:
            Unavailable: If no picture arrives in time.
        """
        ...

    def look(self, before: Observation, arm: str, world_T_camera: np.ndarray) -> Observation:
        """``before`` plus the hand camera's view from the given pose.

        Raises:
            PlanningFailed: If the arm cannot hold the camera there.
        """
        ...


class Proposer(Protocol):
    """A policy behind its service."""

    def propose(
        self,
        observation: Observation,
        seed: int,
        primitives: Sequence[Primitive],
        avoid: Sequence[Candidate] = (),
    ) -> Sequence[Candidate]:
        """Ranked candidates, best first; empty when nothing is left to act on.

        Args:
            observation: What to decide on.
            seed: Makes a sampling policy repeatable.
            primitives: Which primitives are wanted.
            avoid: What was tried in vain since the table last changed about it: a
                deterministic policy would propose it again for ever.
        """
        ...

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """Arm and world_T_camera of the view that the policy wants, or None."""
        ...


class Running(Protocol):
    """A candidate that is being executed."""

    def wait_acted(self) -> Execution:
        """Block until the lift (grasp) or the stroke (push) has ended.

        Returns the execution so far, with the trace that the label needs, or
        with ``code`` and ``error`` set when planning or motion failed.
        """
        ...

    def put_away(self, outcome: Outcome) -> None:
        """Carry and release what is held, and clear the view of the cameras.

        Returns as soon as the view is clear; the arm may still move.
        """
        ...

    def finish(self) -> Execution:
        """Block until nothing of this execution moves; the whole record."""
        ...

    def cancel(self) -> None:
        """Stop the arm."""
        ...


class Executor(Protocol):
    """Motion and gripper."""

    def start(self, candidate: Candidate, trial_id: str) -> Running:
        """Begin to execute a candidate.

        May be called while the execution before it still carries or releases:
        it is planned ahead from where that one will end, and begins there.

        Raises:
            InvalidCandidate: If it is out of the workspace, NaN or too wide.
            PlanningFailed: If no trajectory leads there; nothing has moved.
        """
        ...


class Labeler(Protocol):
    """Outcome from sensors, never from simulator truth."""

    def label(
        self, execution: Execution, before: Observation, after: Observation | None
    ) -> Outcome:
        """The outcome of a finished try; a push needs ``after``."""
        ...

    def changed(self, before: Observation, after: Observation) -> tuple[bool, float]:
        """Whether the table changed between observations, and the area [m^2]."""
        ...


class Store(Protocol):
    """Where finished trials go."""

    def store(self, trial: Trial) -> None:
        """Keep a trial; on return it is on disk.

        Raises:
            StorageError: If it could not be written; nothing before is lost.
        """
        ...


@dataclass(frozen=True)
class Ports:
    """The adapters around one sequence."""

    clock: Clock
    observer: Observer
    proposer: Proposer
    executor: Executor
    labeler: Labeler
    store: Store
