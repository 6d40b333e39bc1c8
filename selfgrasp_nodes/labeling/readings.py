"""What the gripper said, reading by reading, and what a few readings say together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from selfgrasp_nodes.types import SensorTrace

_STEADY = 2.0  # scatter beyond which readings of one window are not of one thing [deviations]
_FEW = 3  # readings in half a window, below which each one is looked at by itself


class Noise(NamedTuple):
    """Standard deviations of the gripper's readings: width [m] and force [N]."""

    width: float
    force: float


@dataclass(frozen=True)
class Window:
    """A short stretch of a trace.

    Attributes:
        widths: How many readings of the width it holds.
        forces: And of the force.
        width: Mean opening [m]; NaN without readings.
        force: Mean force [N]; NaN where none is measured.
        speed: Rate of the opening, negative while closing [m/s]; 0 for too few
            readings.
    """

    widths: int = 0
    forces: int = 0
    width: float = float("nan")
    force: float = float("nan")
    speed: float = 0.0


@dataclass(frozen=True)
class Readings:
    """The gripper's readings, without the samples in which it said nothing.

    Attributes:
        time: (N,) int64 [ns].
        width: (N,) opening [m]; NaN where the reading has none.
        force: (N,) force [N]; NaN likewise.
    """

    time: np.ndarray
    width: np.ndarray
    force: np.ndarray

    @classmethod
    def of(cls, trace: SensorTrace) -> Readings:
        """Those of a trace."""
        said = np.isfinite(trace.width) | np.isfinite(trace.force)
        return cls(trace.time[said], trace.width[said], trace.force[said])

    def __len__(self) -> int:
        return len(self.time)

    def between(self, start: int, end: int) -> Readings:
        """Those with start <= time <= end [ns]."""
        keep = (self.time >= start) & (self.time <= end)
        return Readings(self.time[keep], self.width[keep], self.force[keep])

    def period(self) -> float:
        """Median time from one to the next [s]; 0 for fewer than two."""
        return float(np.median(np.diff(self.time))) * 1e-9 if len(self) > 1 else 0.0

    def means(self, speed: float = 0.0) -> Window:
        """Their counts and means, with a rate [m/s] that is known otherwise."""
        width, force = (v[np.isfinite(v)] for v in (self.width, self.force))
        return Window(len(width), len(force), _mean(width), _mean(force), speed)

    def scatter(self, noise: Noise) -> float:
        """Deviation of width or force, whichever is more, in deviations of its noise."""
        most = 0.0
        for values, sigma in ((self.width, noise.width), (self.force, noise.force)):
            seen = values[np.isfinite(values)]
            if len(seen) >= _FEW and sigma > 0:
                most = max(most, float(seen.std(ddof=1)) / sigma)
        return most

    def rate(self) -> float:
        """Slope of the opening [m/s]; 0 for fewer than two readings of it."""
        seen = np.isfinite(self.width)
        time, width = self.time[seen], self.width[seen]
        if len(time) < 2 or time[-1] == time[0]:
            return 0.0
        return float(np.polyfit((time - time[0]) * 1e-9, width, 1)[0])


def window(readings: Readings, end: int, length: float, longest: float, noise: Noise) -> Window:
    """The figures of the last ``length`` seconds before ``end`` [ns].

    Where that holds fewer than three readings: of the last ones of up to
    ``longest`` seconds that agree with each other.
    """
    part = readings.between(end - int(length * 1e9), end)
    if len(part) >= _FEW:
        return part.means(part.rate())
    return _last_that_agree(readings, end, 2 * length, longest, noise)


def steady(
    readings: Readings, end: int, short: float, long: float, patience: float, noise: Noise
) -> Window:
    """The figures before ``end`` [ns], averaged as far back as nothing changed.

    Args:
        readings: Of the gripper.
        end: When [ns].
        short: Length of one part [s].
        long: Of the longest stretch [s].
        patience: The last reading may be so old [s]; no figures where it is older.
        noise: Of the readings.

    Returns:
        The means of the longest stretch in which each part agrees with the last
        one; the speed is that of the last part, where a loss shows first.
    """
    recent = readings.between(end - int(patience * 1e9), end)
    if not len(recent):
        return Window()
    found = _steady(readings, end, short, long, patience, noise)
    # Earlier readings of what is no longer read do not tell what became of it.
    if not np.isfinite(recent.force).any():
        found = replace(found, forces=0, force=float("nan"))
    if not np.isfinite(recent.width).any():
        found = replace(found, widths=0, width=float("nan"), speed=0.0)
    return found


def _steady(
    readings: Readings, end: int, short: float, long: float, patience: float, noise: Noise
) -> Window:
    step, start = int(short * 1e9), end
    half = readings.between(end - int(short / 2 * 1e9), end)
    if len(half) < _FEW:
        # A part would mix what was held with what is lost: there the last reading counts.
        return _last_that_agree(readings, end, short, max(long, patience), noise)
    part = readings.between(end - step, end)
    if part.scatter(noise) > _STEADY:
        return _just_changed(part, short, noise)
    last = _settled(part, half, noise)
    while end - start + step <= int(long * 1e9):
        before = readings.between(start - step, start - 1)
        if not len(before) or not _agree(before, last, noise):
            break
        start -= step
    if start >= end - step:
        return last
    return readings.between(start, end).means(last.speed)


def _settled(part: Readings, half: Readings, noise: Noise) -> Window:
    """The last window; its second half alone where something changed between its halves."""
    whole = part.means(part.rate())
    last = half.means(whole.speed)
    before = part.between(int(part.time[0]), int(half.time[0]) - 1)
    return whole if not len(before) or _agree(before, last, noise) else last


def _just_changed(part: Readings, short: float, noise: Noise) -> Window:
    """The end of a window in which readings differ by more than their noise.

    Something lost just before the end leaves large forces in what comes before, and
    fingers that strike each other feel one for a moment.
    """
    end = int(part.time[-1])
    last = _last_that_agree(part, end, short, short, noise)
    if last.forces or not last.widths:
        # Those that agree may still hold one from the moment of the change.
        alone = part.between(end, end).means(last.speed)
        return alone if alone.force < last.force else last
    # No force tells whether they still move: what they moved counts as speed.
    rest = part.between(int(part.time[0]), int(part.time[-last.widths]) - 1).means()
    fell = (last.width - rest.width) / short
    return replace(last, speed=fell) if fell < last.speed else last


def _last_that_agree(
    readings: Readings, end: int, short: float, long: float, noise: Noise
) -> Window:
    """The last reading, and those before it that agree with all that come after."""
    part = readings.between(end - int(long * 1e9), end)
    if not len(part):
        return Window()
    first = len(part) - 1
    times = part.time
    while first > 0:
        newer = part.between(times[first], end).means()
        if not _agree(part.between(times[first - 1], times[first] - 1), newer, noise):
            break
        first -= 1
    if 0 < first < len(part) - 2:
        first += 1  # the first one after a change may still lie on the way
    return part.between(times[first], end).means(_last_rate(part, short))


def _last_rate(readings: Readings, short: float) -> float:
    """Rate of the last readings of a slow gripper [m/s].

    Between two readings far apart the fingers may have moved for a part of the time
    only. Where no force tells whether they still do, what they moved counts as
    within ``short`` [s].
    """
    last, count = readings.time[-1], len(readings)
    first = int(np.searchsorted(readings.time, last - int(short * 1e9)))
    if 0 < first > count - _FEW and last - readings.time[first] < int(short * 1e9):
        first -= 1  # two readings close together: their noise would look like speed
    recent = readings.between(readings.time[first], last)
    rate = recent.rate()
    if np.isfinite(recent.force[-1]):
        return rate
    return rate * max(1.0, float(last - recent.time[0]) * 1e-9 / short)


def _agree(part: Readings, last: Window, noise: Noise) -> bool:
    """Whether two means differ by less than three standard deviations of their difference.

    What one of them does not know, they agree on.
    """
    mean = part.means()
    for count, change, sigma in (
        ((mean.widths, last.widths), mean.width - last.width, noise.width),
        ((mean.forces, last.forces), mean.force - last.force, noise.force),
    ):
        tolerance = 3 * sum(1 / max(n, 1) for n in count) ** 0.5
        if not math.isnan(change) and abs(change) > tolerance * sigma:
            return False
    return True


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
