"""Sampling-based planning with OMPL, where the direct path is blocked."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from selfgrasp_nodes.errors import MissingDependency, PlanningFailed, UnknownName

# EST is the planner of Zeng and others (2018). All of these exist in OMPL 1.7; the
# wheels of OMPL 2.0, which Python 3.13 gets, have the RRT and KPIECE families alone.
_PLANNERS = (
    "EST",
    "BiEST",
    "ProjEST",
    "SBL",
    "RRT",
    "RRTConnect",
    "KPIECE1",
    "BKPIECE1",
    "LBKPIECE1",
    "STRIDE",
)
_modules: tuple[ModuleType, ModuleType] | None = None


def planner_names() -> tuple[str, ...]:
    """The planners that can be chosen."""
    return _PLANNERS


def check_planner(name: str) -> str:
    """The name, if it is one.

    Raises:
        UnknownName: If it is not; the message lists the valid ones. OMPL's own
            callers tend to fall back to another planner in silence.
    """
    if name not in _PLANNERS:
        raise UnknownName("planner", name, _PLANNERS)
    return name


def sample_path(
    start: np.ndarray,
    goal: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    valid: Callable[[np.ndarray], bool],
    planner: str,
    timeout: float,
    resolution: float,
) -> np.ndarray:
    """A collision-free joint path, shortened.

    Args:
        start: (J,) [rad].
        goal: (J,) [rad].
        lower: (J,) limits of the search [rad].
        upper: (J,) limits of the search [rad].
        valid: Whether joint positions (J,) are free of collisions.
        planner: One of :func:`planner_names`.
        timeout: For the search [s].
        resolution: Joint step between validity checks [rad].

    Returns:
        (N, J) corners of a path, straight between them [rad].

    Raises:
        UnknownName: If there is no such planner.
        PlanningFailed: If none was found in time.
        MissingDependency: If the installed OMPL has not got this planner.
    """
    check_planner(planner)
    base, geometric = _ompl()
    if not hasattr(geometric, planner):
        there = ", ".join(name for name in _PLANNERS if hasattr(geometric, name))
        raise MissingDependency(
            f"planner {planner} needs OMPL 1.7 (Python 3.12 or earlier); "
            f"the installed OMPL has: {there}"
        )
    dimension = len(start)
    space = base.RealVectorStateSpace(dimension)
    bounds = base.RealVectorBounds(dimension)
    for joint in range(dimension):
        bounds.setLow(joint, float(lower[joint]))
        bounds.setHigh(joint, float(upper[joint]))
    space.setBounds(bounds)
    space.setLongestValidSegmentFraction(resolution / space.getMaximumExtent())
    setup = geometric.SimpleSetup(space)
    buffer = np.empty(dimension)

    def is_valid(state: Any) -> bool:
        for joint in range(dimension):
            buffer[joint] = state[joint]
        return bool(valid(buffer))  # OMPL 2 takes no numpy.bool

    # OMPL 2 takes the function as it is, and lets the space make its states.
    wrapped = getattr(base, "StateValidityCheckerFn", lambda function: function)
    setup.setStateValidityChecker(wrapped(is_valid))
    if hasattr(base, "StateValidityCheckerFn"):
        first, last = base.State(space), base.State(space)
    else:
        first, last = space.allocState(), space.allocState()
    for joint in range(dimension):
        first[joint], last[joint] = float(start[joint]), float(goal[joint])
    setup.setStartAndGoalStates(first, last)
    setup.setPlanner(getattr(geometric, planner)(setup.getSpaceInformation()))
    try:
        setup.solve(timeout)
        if not setup.haveExactSolutionPath():
            raise PlanningFailed(
                f"{planner} found no way round the obstacles within {timeout:.1f} s; clear the "
                "way, raise planner.timeout, or choose another of " + ", ".join(_PLANNERS)
            )
        setup.simplifySolution(min(timeout, 0.3))
        states = setup.getSolutionPath().getStates()
        return np.array([[s[j] for j in range(dimension)] for s in states])
    finally:
        # The planner must go before the space it plans in.
        setup.clear()
        del first, last, setup


def _ompl() -> tuple[ModuleType, ModuleType]:
    """OMPL's modules, imported once and only when they are needed."""
    global _modules
    if _modules is None:
        try:
            import ompl
        except ImportError as error:
            raise MissingDependency("OMPL is not installed: pip install ompl==1.7.0") from error
        # The wheel's loader maps a second copy of libompl beside the one that the
        # modules link; both then destroy the same statics when the process ends,
        # which crashes it. The modules find their own copy without the loader.
        ompl.dll_loader = lambda *_: None
        from ompl import base, geometric, util

        util.setLogLevel(util.LogLevel.LOG_NONE)
        _modules = base, geometric
    return _modules
