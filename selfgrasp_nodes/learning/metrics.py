"""The measures of the papers, with 95 % intervals.

Zeng 2018, section V-A, defines over the runs of one protocol: *completion*, the
share of runs in which every object was cleared; *grasp success*, successful
grasps over grasps, mean over completed runs; *action efficiency*, objects over
actions, mean over completed runs. The same means over all runs stand beside
them, since leaving out what failed flatters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

FAILED = "failed"
"""The stop reason of a run that broke down."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where there are no data, or too few for an interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """For JSON: NaN becomes None."""
        return {
            name: None if np.isnan(number) else float(number)
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        if np.isnan(self.low):
            return f"{100 * self.value:.1f}"
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class RunResult:
    """Counts of one run, from simulator truth.

    Attributes:
        seed: Of its scene.
        scene: Its id.
        objects: On the table at the start.
        cleared: Grasped and carried away.
        left: Fell or were pushed out of the workspace.
        actions: Tries, grasps and pushes.
        grasps: Grasp tries.
        grasp_successes: Grasps that held an object at the end of the lift.
        label_errors: Grasps whose sensor label disagrees with the truth.
        stop_reason: Why it ended; :data:`FAILED` where the simulation or its
            process broke down, which counts as not completed.
        longest_no_success: Most tries in a row without a successful grasp.
        seconds: Wall time.
        index: Of its scene in the scene file; -1 for a random one.
        message: What broke down.
    """

    seed: int
    scene: str
    objects: int
    cleared: int
    left: int
    actions: int
    grasps: int
    grasp_successes: int
    label_errors: int = 0
    stop_reason: str = ""
    longest_no_success: int = 0
    seconds: float = 0.0
    index: int = -1
    message: str = ""

    @property
    def completed(self) -> bool:
        """Whether every object was cleared."""
        return self.stop_reason != FAILED and self.cleared >= self.objects

    @property
    def efficiency(self) -> float:
        """Objects over actions, 1 at most; NaN where there was nothing to clear.

        The paper's simulator takes one object away for each grasp. Here a grasp may hold two;
        it still counts no more than one action can be worth.
        """
        if not self.objects:
            return float("nan")
        return min(1.0, self.cleared / max(self.actions, 1))


def proportion(successes: int, count: int) -> Estimate:
    """Share with its Wilson score interval."""
    return wilson(successes / count if count else float("nan"), count)


def wilson(value: float, count: int) -> Estimate:
    """Wilson's score interval about a mean of ``count`` values in 0..1.

    Values in 0..1 with mean p vary by p (1 - p) at most, as shares do, so that for what is no
    share the interval is too wide rather than too narrow.
    """
    if count == 0 or np.isnan(value):
        return Estimate(float("nan"), float("nan"), float("nan"))
    z2 = float(stats.norm.ppf(0.975)) ** 2
    middle = (value + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (value * (1 - value) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    # At 0 and at 1 rounding would put the value a hair outside its interval.
    low, high = min(float(middle - half), value), max(float(middle + half), value)
    return Estimate(value, max(0.0, low), min(1.0, high))


def mean(values: Sequence[float], resamples: int = 10_000) -> Estimate:
    """Mean with its bootstrap interval (percentiles over runs, fixed seed).

    Where all values are equal resampling shows no spread: :func:`wilson` is taken then for
    values in 0..1, and no interval is given for others.
    """
    array = np.asarray([v for v in values if not np.isnan(v)], float)
    if len(array) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    if (array == array[0]).all():
        value = float(array[0])
        return wilson(value, len(array)) if 0 <= value <= 1 else Estimate(value, np.nan, np.nan)
    rng = np.random.default_rng(0)
    draws = array[rng.integers(0, len(array), (resamples, len(array)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(float(array.mean()), float(low), float(high))


def summarise(runs: Sequence[RunResult]) -> dict[str, object]:
    """Completion, grasp success and action efficiency over all and completed runs.

    A run without a grasp has no grasp success and is left out of that mean; one
    that cleared nothing of what there was has an efficiency of 0, tries or none.
    """

    def ratios(chosen: Sequence[RunResult]) -> dict[str, object]:
        grasp = [r.grasp_successes / r.grasps if r.grasps else float("nan") for r in chosen]
        efficiency = [r.efficiency for r in chosen]
        return {
            "grasp_success": mean(grasp).as_dict(),
            "action_efficiency": mean(efficiency).as_dict(),
        }

    completed = [r for r in runs if r.completed]
    completion = proportion(len(completed), len(runs)).as_dict()
    return {
        "completion": completion,
        **ratios(runs),
        "completed_runs": {"count": len(completed), "completion": completion, **ratios(completed)},
        "runs": len(runs),
        "tries": sum(r.actions for r in runs),
        "grasps": sum(r.grasps for r in runs),
        "grasp_successes": sum(r.grasp_successes for r in runs),
        "objects": sum(r.objects for r in runs),
        "cleared": sum(r.cleared for r in runs),
        "left_workspace": sum(r.left for r in runs),
        "label_errors": sum(r.label_errors for r in runs),
        "failed": sum(r.stop_reason == FAILED for r in runs),
        "stop_reasons": dict(Counter(r.stop_reason for r in runs)),
        "ten_without_success": sum(r.longest_no_success >= 10 for r in runs),
    }
