"""Traces and observations of known content."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.robots import GripperSpec, load_robot
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Heightmap,
    Observation,
    Phase,
    PhaseCode,
    Primitive,
    SensorTrace,
    Workspace,
)

MS = 10**6
#: (phase, start, end) [ms]
PHASES = (
    (PhaseCode.APPROACH, 0, 500),
    (PhaseCode.DESCEND, 500, 800),
    (PhaseCode.ACT, 800, 1700),
    (PhaseCode.LIFT, 1700, 2300),
)
RG2 = load_robot("ur5_rg2").arms[0].gripper
BAXTER = GripperSpec(
    name="electric",
    kind="prismatic",
    joint="finger",
    width_min=0.037,
    width_max=0.075,
    force_min=5,
    force_max=35,
    speed=0.1,
    measures_force=True,
    tcp_closed=0.12,
    joint_closed=0.0,
    joint_open=0.019,
    finger_thickness=0.01,
    finger_width=0.02,
    pad_length=0.02,
    command_topic="g",
)
BLIND = RG2.model_copy(update={"measures_force": False})


def grasp(
    gripper: GripperSpec,
    width: float,
    force: float = 20.0,
    lost_at: float = math.inf,
    weight: float = 0.5,
    strike: float = 0.0,
    step: int = 10,
    seed: int = 0,
    phases: tuple = PHASES,
    residue: float = 0.1,
) -> Execution:
    """A trace of closing on something of this width, lost at ``lost_at`` [ms].

    A gripper without anything between its fingers reports ``residue`` [N]: next to no force.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(0, phases[-1][2] + 1, step)
    opening = np.full(len(time), gripper.width_max)
    pushed = np.zeros(len(time))
    for i, t in enumerate(time):
        if t < 800:
            continue
        free = gripper.width_max - gripper.speed * (t - 800) / 1000
        opening[i] = max(free, width)
        if t >= lost_at:
            opening[i] = max(gripper.width_min, width - gripper.speed * (t - lost_at) / 1000)
        pushed[i] = force if opening[i] == width > gripper.width_min and t < lost_at else residue
        if width == gripper.width_min and free <= width and t < lost_at:
            pushed[i] = force
    wrench = rng.normal(0, 0.3, (len(time), 6))
    wrench[(time > 700) & (time < 800), 2] -= strike
    hangs = (time > 1750) & (time < lost_at) & (pushed > 1)
    wrench[hangs, 2] += weight  # +z of the tool points down
    measured = np.abs(pushed + rng.normal(0, gripper.force_noise, len(time)))
    trace = SensorTrace(
        time * MS,
        opening + rng.normal(0, gripper.width_noise, len(time)),
        measured if gripper.measures_force else np.full(len(time), np.nan),
        wrench,
        np.zeros((len(time), 6)),
        np.zeros((len(time), 6)),
    )
    candidate = Candidate(
        Primitive.GRASP,
        geometry.grasp_pose(-0.5, 0, 0.03, 0.4),
        angle=0.4,
        width=gripper.width_max,
        max_force=force,
    )
    return Execution(candidate, tuple(Phase(c, a * MS, b * MS) for c, a, b in phases), trace)


def without(
    execution: Execution,
    width: bool = True,
    force: bool = True,
    wrench: bool = False,
    since: float = 0.0,
) -> Execution:
    """The same, with no readings of these sensors from a time [ms] on."""
    trace = execution.trace
    late = trace.time > since * MS
    values = {}
    for name, mute in (("width", width), ("force", force), ("wrench", wrench)):
        value = getattr(trace, name).copy()
        value[late & mute] = np.nan
        values[name] = value
    return replace(execution, trace=replace(trace, **values))


def seldom(execution: Execution, period: int, first: int = 0) -> Execution:
    """The same, by a gripper that speaks only every ``period`` [ms] from ``first`` on."""
    trace = execution.trace
    said = (trace.time // MS - first) % period == 0
    return replace(
        execution,
        trace=replace(
            trace,
            width=np.where(said, trace.width, np.nan),
            force=np.where(said, trace.force, np.nan),
        ),
    )


def observation(height: float, name: str = "o") -> Observation:
    workspace = Workspace((-0.5, 0.0))
    heights = np.zeros(workspace.shape, np.float32)
    heights[50:100, 50:100] = height
    valid = np.ones(workspace.shape, bool)
    color = np.zeros((*workspace.shape, 3), np.uint8)
    return Observation(name, 0, {}, Heightmap(workspace, color, heights, valid))
