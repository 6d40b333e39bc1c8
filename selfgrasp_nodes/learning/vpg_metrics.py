"""Measures of Zeng (2018) with intervals over scenes, not over repeats of one scene.

Runs of one arrangement whose poses differ by millimetres are near-identical: they tell
how a policy does there, hardly how it would do on another. So the runs of a scene (and
training seed) are first averaged to one cell, and the bootstrap draws scenes, and
training seeds where there are several. In random scenes each run is a scene.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selfgrasp_nodes.learning.metrics import Estimate, RunResult, wilson

NAN = float("nan")
COMPLETION = "completion"

MEASURES: dict[str, Callable[[RunResult], float]] = {
    COMPLETION: lambda run: float(run.completed),
    "grasp_success": lambda run: run.grasp_successes / run.grasps if run.grasps else NAN,
    "action_efficiency": lambda run: run.efficiency,
}
"""Of one run; NaN where it has none."""

RESAMPLES = 10_000


@dataclass(frozen=True, eq=False)
class Cells:
    """Means of the runs of each training seed on each scene.

    Attributes:
        scenes: What tells scenes apart.
        values: (training seeds, scenes); NaN where no run has the measure.
        shares: Whether a run has 0 or 1 and nothing between, as completion.
    """

    scenes: tuple[Hashable, ...]
    values: np.ndarray
    shares: bool = False

    @property
    def value(self) -> float:
        """Mean over all cells, each of the same weight; NaN where there is none."""
        return _mean(self.values)


def scene_of(run: RunResult) -> Hashable:
    """What tells its scene from others."""
    return ("random", run.seed) if run.index < 0 else (run.index, run.scene)


def cells(seeds: Sequence[Sequence[RunResult]], measure: str, completed: bool = False) -> Cells:
    """Average the runs of each scene.

    Args:
        seeds: Runs of each training seed.
        measure: One of :data:`MEASURES`.
        completed: Whether only completed runs count, as in the paper.
    """
    of = MEASURES[measure]
    scenes = tuple(dict.fromkeys(scene_of(run) for runs in seeds for run in runs))
    places = {scene: place for place, scene in enumerate(scenes)}
    values = np.full((len(seeds), len(scenes)), NAN)
    for row, runs in enumerate(seeds):
        found: list[list[float]] = [[] for _ in scenes]
        for run in runs:
            if run.completed or not completed:
                found[places[scene_of(run)]].append(of(run))
        values[row] = [_mean(np.array(cell, float)) for cell in found]
    return Cells(scenes, values, shares=measure == COMPLETION)


def estimate(measured: Cells) -> Estimate:
    """The mean with its 95 % interval over scenes and training seeds.

    A bootstrap of one scene, or of scenes that all agree, has no width: there it is Wilson's over
    the scenes. One of shares most of which agree has hardly any: how many other scenes are lost
    altogether it cannot tell. Where at least half of such cells have one value, as completion of
    single runs always does, each end is the farther one of its own and Wilson's over the scenes.
    Ratios rest on several tries a scene and differ by degrees; for them the bootstrap stands.
    """
    values = measured.values
    if not _varies(values):
        return _wilson(values)
    (draws,) = _draws([values])
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    found = Estimate(measured.value, float(low), float(high))
    return _farther(found, _wilson(values)) if _agrees(measured) else found


def completion(seeds: Sequence[Sequence[RunResult]]) -> Estimate:
    """Share of runs that cleared everything.

    Where every scene is its own run, as random ones are, the interval is Wilson's.
    """
    measured = cells(seeds, COMPLETION)
    if len(seeds) == 1 and len(seeds[0]) == len(measured.scenes):
        return _wilson(measured.values)
    return estimate(measured)


def difference(one: Cells, other: Cells) -> Estimate:
    """Mean of ``one`` less that of ``other`` on the scenes that both have, scene by scene.

    Both are drawn on the same scenes in each resample, each with its own training seeds. Where
    one has an interval of Wilson's (see :func:`estimate`) that of the difference reaches at least
    as far as Newcombe's (1998, method 10, of two shares as if independent) of both intervals.
    """
    common = tuple(scene for scene in one.scenes if scene in set(other.scenes))
    mine, theirs = (
        Cells(common, c.values[:, [c.scenes.index(s) for s in common]], c.shares)
        for c in (one, other)
    )
    a, b = mine.values, theirs.values
    if np.isnan(a).all() or np.isnan(b).all():
        return Estimate(NAN, NAN, NAN)
    value = _mean(a) - _mean(b)
    first, second = _draws([a, b])
    low, high = np.nanpercentile(first - second, [2.5, 97.5])
    found = Estimate(value, float(low), float(high))
    if not any(_agrees(c) or not _varies(c.values) for c in (mine, theirs)):
        return found
    x, y = estimate(mine), estimate(theirs)
    less = float(np.hypot(x.value - x.low, y.high - y.value))
    more = float(np.hypot(x.high - x.value, y.value - y.low))
    return _farther(found, Estimate(value, max(value - less, -1.0), min(value + more, 1.0)))


def measures(seeds: Sequence[Sequence[RunResult]]) -> dict[str, object]:
    """Completion, and the two ratios over all runs and, as the paper has them, completed ones."""
    ratios = [name for name in MEASURES if name != COMPLETION]
    done = {name: estimate(cells(seeds, name, completed=True)).as_dict() for name in ratios}
    runs = [run for each in seeds for run in each]
    return {
        COMPLETION: completion(seeds).as_dict(),
        **{name: estimate(cells(seeds, name)).as_dict() for name in ratios},
        "completed_runs": {"count": sum(run.completed for run in runs), **done},
    }


def differences(
    seeds: Sequence[Sequence[RunResult]], others: Sequence[Sequence[RunResult]]
) -> Mapping[str, object]:
    """Each measure over all runs, less that of others; see :func:`difference`."""
    return {
        name: difference(cells(seeds, name), cells(others, name)).as_dict() for name in MEASURES
    }


def _draws(tables: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Means of resampled tables, (R,) each: the same scenes of all, seeds of each its own."""
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, tables[0].shape[1], (RESAMPLES, tables[0].shape[1]))
    found = []
    for table in tables:
        seeds = rng.integers(0, len(table), (RESAMPLES, len(table)))
        total, count = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
        for column in seeds.T:  # a training seed at a time: memory stays small
            values = table[column[:, None], scenes]
            total += np.nansum(values, axis=1)
            count += np.count_nonzero(~np.isnan(values), axis=1)
        found.append(np.divide(total, count, out=np.full(RESAMPLES, NAN), where=count > 0))
    return found


def _varies(values: np.ndarray) -> bool:
    """Whether a table of cells has several scenes with values, that differ."""
    there = ~np.isnan(values)
    return int(there.any(axis=0).sum()) > 1 and float(np.ptp(values[there])) > 0


def _agrees(measured: Cells) -> bool:
    """Whether at least half of the cells of shares have one and the same value."""
    values = measured.values
    if not measured.shares:
        return False
    counts = np.unique(values[~np.isnan(values)].round(9), return_counts=True)[1]
    return bool(len(counts)) and 2 * int(counts.max()) >= int(counts.sum())


def _farther(one: Estimate, other: Estimate) -> Estimate:
    """The value of the first, each end that of both which is farther from it."""
    return Estimate(one.value, min(one.low, other.low), max(one.high, other.high))


def _wilson(values: np.ndarray) -> Estimate:
    """Of the mean of a table, over as many scenes as have a value."""
    return wilson(_mean(values), int((~np.isnan(values)).any(axis=0).sum()))


def _mean(values: np.ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else NAN
