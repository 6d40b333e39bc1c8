"""Motions that follow each other, as one trajectory.

Each goal of a trajectory controller costs the arm a stop: until its end is told,
the next goal sent and taken. What need not stop is therefore one goal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from selfgrasp_nodes.motion.primitives import Grip
from selfgrasp_nodes.motion.program import MoveSegment, Segment
from selfgrasp_nodes.types import PhaseCode, Trajectory

_SLACK = 0.3  # beyond the time that the fingers need at their speed [s]
_RELEASE = 0.2  # from the command to open until the arm leaves with the fingers opening [s]
_SAME = 1e-6  # joint positions at which one motion goes on from another [rad]


@dataclass
class Chain:
    """Motions in a row.

    Attributes:
        moves: In order; one in which the arm stands still where it releases.
        arrived: By number of a motion, where the fingers must have come before it.
        opening: By number of a motion, what the fingers are told when it begins.
        used: How many segments of the program it stands for.
    """

    moves: list[MoveSegment] = field(default_factory=list)
    arrived: dict[int, Grip] = field(default_factory=dict)
    opening: dict[int, Grip] = field(default_factory=dict)
    used: int = 0

    def after(self, number: int) -> Chain:
        """The motions from ``number`` on, the fingers being where they must be before it."""
        return Chain(
            self.moves[number:],
            {n - number: grip for n, grip in self.arrived.items() if n > number},
            {n - number: grip for n, grip in self.opening.items() if n > number},
        )


def first_chain(
    segments: Sequence[Segment], width: float, speed: float, begun: Grip | None
) -> Chain:
    """The motions that can run as one, from the first segment on.

    A wait for fingers that are on their way already does not part two motions where
    they have time enough to arrive. Nor does a release: the arm stands still until the
    fingers have begun to open, and leaves.

    Args:
        segments: Of a program; the first one is a motion.
        width: Opening of the gripper now [m].
        speed: Of its fingers [m/s].
        begun: What they were told last; None where nothing was.
    """
    chain, seconds = Chain(), 0.0
    gate: Grip | None = None
    for number, segment in enumerate(segments, 1):
        if isinstance(segment, MoveSegment):
            if chain.moves and not continues(chain.moves[-1], segment):
                break
            if gate is not None and gate.phase == PhaseCode.RELEASE:
                chain.opening[len(chain.moves)] = replace(gate, wait=False)
                chain.moves.append(_still(chain.moves[-1], gate.phase))
            elif gate is not None:
                chain.arrived[len(chain.moves)] = gate
            gate = None
            chain.moves.append(segment)
            seconds += segment.trajectory.duration
            chain.used = number
        elif isinstance(segment, Grip) and gate is None and segment.wait:
            if segment.phase != PhaseCode.RELEASE:
                awaited = begun is not None and segment == replace(begun, wait=True)
                if not awaited or abs(segment.width - width) / speed + _SLACK > seconds:
                    break
            gate = segment
        else:
            break
    return chain


def continues(first: MoveSegment, second: MoveSegment) -> bool:
    """Whether the second motion begins where the first one ends."""
    return bool(np.abs(first.end - second.trajectory.positions[0]).max() <= _SAME)


def join(trajectories: Sequence[Trajectory]) -> tuple[Trajectory, np.ndarray]:
    """One trajectory out of several, each of which begins at rest where the last one ends.

    Returns:
        The trajectory, and when each of the parts begins in it, (N,) [s].
    """
    ends = np.cumsum([part.duration for part in trajectories])
    starts = np.concatenate([[0.0], ends[:-1]])
    if len(trajectories) == 1:
        return trajectories[0], starts
    # The first point of all but the first part is the last point of the one before.
    parts = [(part, slice(1 if number else 0, None)) for number, part in enumerate(trajectories)]
    return (
        Trajectory(
            trajectories[0].joints,
            np.concatenate([p.time[s] + t for (p, s), t in zip(parts, starts, strict=True)]),
            np.concatenate([p.positions[s] for p, s in parts]),
            np.concatenate([p.velocities[s] for p, s in parts]),
        ),
        starts,
    )


def _still(before: MoveSegment, phase: PhaseCode) -> MoveSegment:
    """The arm stands where a motion has ended."""
    q = np.stack([before.end, before.end])
    time = np.array([0.0, _RELEASE])
    return MoveSegment(phase, Trajectory(before.trajectory.joints, time, q, np.zeros_like(q)))
