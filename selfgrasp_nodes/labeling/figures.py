"""What the sensors said, in a few numbers: the facts that a label rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from selfgrasp_nodes.labeling.options import GraspOptions
from selfgrasp_nodes.labeling.readings import Noise, Readings, Window, steady, window
from selfgrasp_nodes.types import Execution, PhaseCode, SensorTrace

_SWING = 50_000_000  # in which a hand that has stopped still swings [ns]
_STILL = 100_000_000  # after that, over which the wrist is read at rest [ns]
_PRESSED = 1.0  # difference from the mean of the way down, of a hand that leans on something [N]


@dataclass(frozen=True)
class Figures:
    """The figures of one try.

    Attributes:
        closed: When the fingers had closed.
        held: At the end of the lift; without readings where the gripper was silent.
        force_peak: Largest force of all [N]; NaN where none is measured.
        payload: Weight on the wrist at the end of the lift less that before the
            fingers closed [N]; NaN where there is no wrench, or the hand was pressed
            on something then.
        payload_sigma: Standard deviation of it, estimated from the readings [N].
        struck: Largest change of the wrist's force on the way down [N]; NaN
            where there is no wrench.
        age: Of the gripper's last reading at the end of the lift [s]; negative for one
            that came later, infinite without any.
    """

    closed: Window
    held: Window
    force_peak: float
    payload: float
    payload_sigma: float
    struck: float
    age: float


def figures(execution: Execution, options: GraspOptions, noise: Noise) -> Figures:
    """Compute the figures of a grasp that ran to the end of its lift.

    Args:
        execution: With a trace and the phases ACT and LIFT.
        options: Lengths of the windows, and how old a reading may be.
        noise: Of the gripper's readings.
    """
    trace = execution.trace
    act, lift = execution.phase(PhaseCode.ACT), execution.phase(PhaseCode.LIFT)
    assert trace is not None and act is not None and lift is not None
    readings = Readings.of(trace)
    patience = options.hold_window
    patience = max(patience, min(options.silence, options.silence_periods * readings.period()))
    end = _last_word(readings, lift.end, patience)
    known = readings.between(act.start, end)
    age = (lift.end - int(known.time[-1])) * 1e-9 if len(known) else math.inf
    close = options.close_window
    after = trace.between(lift.end - int(options.hold_window * 1e9), lift.end)
    payload, sigma = _payload(execution, trace, after)
    forces = known.force[np.isfinite(known.force)]
    lifting = min(options.steady_window, (lift.end - lift.start) * 1e-9)
    closed = min(act.end + int(close * 1e9), lift.end)
    return Figures(
        window(readings, closed, close, options.silence, noise),
        steady(readings, end, options.hold_window, lifting, patience, noise),
        float(forces.max()) if len(forces) else float("nan"),
        payload,
        sigma,
        struck(execution),
        age,
    )


def _last_word(readings: Readings, end: int, patience: float) -> int:
    """Time of the gripper's first reading from the lift's end on [ns]; the end, without one.

    What a slow gripper said before it may be older than a loss.
    """
    later = readings.between(end, end + int(patience * 1e9))
    return int(later.time[0]) if len(later) else end


def struck(execution: Execution) -> float:
    """Largest change of the wrist's force between the approach's end and closing [N].

    NaN where there is no wrench or no descent.
    """
    trace, descend = execution.trace, execution.phase(PhaseCode.DESCEND)
    if trace is None or descend is None:
        return float("nan")
    before, down = _before(execution, trace), trace.between(descend.start, descend.end)
    if not len(before) or not np.isfinite(down.wrench[:, :3]).any():
        return float("nan")
    change = np.linalg.norm(down.wrench[:, :3] - before.mean(axis=0), axis=1)
    return float(np.nanmax(change))


def _before(execution: Execution, trace: SensorTrace) -> np.ndarray:
    """(N, 3) wrist forces while the hand hung free, just before it descended [N]."""
    descend = execution.phase(PhaseCode.DESCEND)
    start = descend.start if descend is not None else int(trace.time[0])
    free = trace.between(start - 10**8, start).wrench[:, :3]
    if not len(free):
        free = trace.between(start, start + 3 * 10**7).wrench[:, :3]
    return free[np.isfinite(free).all(axis=1)]


def _payload(execution: Execution, trace: SensorTrace, after: SensorTrace) -> tuple[float, float]:
    """Weight that hangs on the hand [N], and its standard deviation.

    A wrist feels what accelerates the hand as well, and a hand that does not stop between
    approach and descent is never still before it is down. It is compared with the moment in
    which the fingers close: still, but perhaps pressed on something. From rest to rest the
    accelerations of the way there cancel out, so that its mean tells whether it is; NaN then.

    The tool's frame differs from the flange's by a shift alone, so the pose of
    the candidate says where down is in the sensor's frame.
    """
    act = execution.phase(PhaseCode.ACT)
    assert act is not None
    down = -np.asarray(execution.candidate.pose, float)[2, :3]
    still = act.start + _SWING
    first = _along(trace.between(still, min(still + _STILL, act.end)), down)
    moved = _along(trace.between(int(trace.time[0]), still), down)
    last = _along(after, down)
    if min(len(first), len(last)) < 2 or len(moved) < 2:
        return float("nan"), float("nan")
    if abs(np.median(first) - moved.mean()) > _PRESSED:
        return float("nan"), float("nan")
    # The mean is less noisy, the median shrugs off the stop's last swing.
    sigma = np.hypot(first.std(ddof=1) / len(first) ** 0.5, last.std(ddof=1) / len(last) ** 0.5)
    return float(np.median(last) - np.median(first)), float(sigma)


def _along(trace: SensorTrace, direction: np.ndarray) -> np.ndarray:
    """(N,) force on the wrist along a direction [N], where there is a reading."""
    forces = trace.wrench[:, :3] @ direction
    return np.asarray(forces[np.isfinite(forces)])
