"""What the sensors said, in a few numbers: the facts that a label rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from selfgrasp_nodes.types import Execution, PhaseCode, SensorTrace

_SWING = 50_000_000  # in which a hand that has stopped still swings [ns]
_STILL = 100_000_000  # after that, over which the wrist is read at rest [ns]
_PRESSED = 1.0  # difference from the mean of the way down, of a hand that leans on something [N]


@dataclass(frozen=True)
class Window:
    """A short stretch of a trace.

    Attributes:
        samples: How many readings it holds.
        width: Mean opening [m]; NaN without readings.
        force: Mean force [N]; NaN where none is measured.
        speed: Rate of the opening, negative while closing [m/s]; 0 for fewer
            than three readings.
    """

    samples: int
    width: float
    force: float
    speed: float


class Noise(NamedTuple):
    """Standard deviations of the gripper's readings: width [m] and force [N]."""

    width: float
    force: float


@dataclass(frozen=True)
class Figures:
    """The figures of one try.

    Attributes:
        closed: When the fingers had closed.
        held: At the end of the lift.
        force_peak: Largest force of all [N]; NaN where none is measured.
        payload: Weight on the wrist at the end of the lift less that before the
            fingers closed [N]; NaN where there is no wrench, or the hand was pressed
            on something then.
        payload_sigma: Standard deviation of it, estimated from the readings [N].
        struck: Largest change of the wrist's force on the way down [N]; NaN
            where there is no wrench.
    """

    closed: Window
    held: Window
    force_peak: float
    payload: float
    payload_sigma: float
    struck: float


def window(trace: SensorTrace, end: int, length: float) -> Window:
    """The figures of the last ``length`` seconds before ``end`` [ns].

    Of a longer stretch where they hold fewer than three readings: a slow sensor
    still says where the fingers are.
    """
    for factor in (1, 2, 4):
        part = trace.between(end - int(factor * length * 1e9), end)
        if len(part.time) >= 3:
            break
    count = len(part.time)
    if not count:
        return Window(0, float("nan"), float("nan"), 0.0)
    speed = 0.0
    if count >= 3 and part.time[-1] > part.time[0]:
        seconds = (part.time - part.time[0]) * 1e-9
        speed = float(np.polyfit(seconds, part.width, 1)[0])
    return Window(count, float(np.mean(part.width)), _mean(part.force), speed)


def steady(trace: SensorTrace, end: int, short: float, long: float, noise: Noise) -> Window:
    """The figures before ``end`` [ns], averaged as far back as nothing changed.

    Args:
        trace: What was read.
        end: When [ns].
        short: Length of one part [s].
        long: Of the longest stretch [s].
        noise: Of the gripper's readings.

    Returns:
        The means of the longest stretch in which each part agrees with the last
        one; the speed is that of the last part, where a loss shows first.
    """
    last = _settled(trace, end, short, noise)
    step, start = int(short * 1e9), end
    while end - start + step <= int(long * 1e9):
        before = trace.between(start - step, start - 1)
        if not len(before.time) or not _agree(before, last, noise):
            break
        start -= step
    if start >= end - step:
        return last
    part = trace.between(start, end)
    return Window(len(part.time), float(part.width.mean()), _mean(part.force), last.speed)


def _settled(trace: SensorTrace, end: int, short: float, noise: Noise) -> Window:
    """The last window; its second half alone where something changed within it.

    Something lost just before the end leaves large forces in the first half.
    """
    whole, half = window(trace, end, short), window(trace, end, short / 2)
    before = trace.between(end - int(short * 1e9), end - int(short / 2 * 1e9) - 1)
    if len(before.time) and half.samples >= 3 and not _agree(before, half, noise):
        return replace(half, speed=whole.speed)
    return whole


def _agree(part: SensorTrace, last: Window, noise: Noise) -> bool:
    """Whether two means differ by less than three standard deviations of their difference."""
    tolerance = 3 * (1 / max(last.samples, 1) + 1 / len(part.time)) ** 0.5
    same_width = abs(float(part.width.mean()) - last.width) <= tolerance * noise.width
    change = abs(_mean(part.force) - last.force)
    return same_width and (math.isnan(change) or change <= tolerance * noise.force)


def figures(
    execution: Execution, hold: float, steady_window: float, close: float, noise: Noise
) -> Figures:
    """Compute the figures of a grasp that ran to the end of its lift.

    Args:
        execution: With a trace and the phases ACT and LIFT.
        hold: Length of the window at the end of the lift [s].
        steady_window: Up to which it grows where nothing changed [s].
        close: Length of the window after closing [s]: where fingers strike each other, their
            motor reads its full force until a moment before it stops.
        noise: Of the gripper's readings.
    """
    trace = execution.trace
    act, lift = execution.phase(PhaseCode.ACT), execution.phase(PhaseCode.LIFT)
    assert trace is not None and act is not None and lift is not None
    after = trace.between(lift.end - int(hold * 1e9), lift.end)
    lifting = min(steady_window, (lift.end - lift.start) * 1e-9)
    payload, sigma = _payload(execution, trace, after)
    during = trace.between(act.start, lift.end)
    peak = float(np.nanmax(during.force)) if np.isfinite(during.force).any() else float("nan")
    return Figures(
        window(trace, min(act.end + int(close * 1e9), lift.end), close),
        steady(trace, lift.end, hold, lifting, noise),
        peak,
        payload,
        sigma,
        struck(execution),
    )


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


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
