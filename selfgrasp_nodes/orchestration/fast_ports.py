"""Adapters of the trial sequence's ports to the world in lockstep; no ROS.

Policy and label see what the robot's sensors give. Simulator truth is read to
move held objects out of the world after the label, as the carry to the bin
would have, and to count results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import EmptyObservation, Unavailable
from selfgrasp_nodes.labeling.rules import GraspRule
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.orchestration.limits import Limits
from selfgrasp_nodes.perception.heightmap import build_heightmap
from selfgrasp_nodes.perception.pixels import workspace_mask
from selfgrasp_nodes.perception.regions import BackgroundModel
from selfgrasp_nodes.policies.base import Policy
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.world import World
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Heightmap,
    Observation,
    Outcome,
    Primitive,
    Regions,
    Trial,
)

BACKGROUND_FRAMES = 10
"""Pictures of the empty table that the background model learns from."""

OBJECT_HEIGHT = 0.12
"""Of the tallest object that stands in the workspace's far corner and is to be seen whole [m]."""

SETTLE_SPEED = 0.01
"""Objects slower than this rest [m/s and rad/s]."""

SETTLE_LIMIT = 2.0
"""Longest wait for the objects to rest [s]; a robot's arm takes as long to come back."""


class FastClock:
    """Simulated time."""

    def __init__(self, world: World):
        self._world = world

    def now(self) -> int:
        """Nanoseconds since the reset."""
        return self._world.time


class FastObserver:
    """Renders the overhead camera when the objects have come to rest; a hand's when asked.

    Attributes:
        background: The empty table's model; None where the policy asks for no
            regions.
        heightmap: Of the last observation.
    """

    def __init__(
        self,
        world: World,
        required_views: Sequence[str],
        planner: EmbeddedPlanner | None = None,
    ):
        """Learn the empty table where regions are asked for.

        Args:
            world: The cell; it is reset to an empty table when regions are
                asked for.
            required_views: As the policy declares them.
            planner: Knows how an arm holds its camera; no looks without it.
        """
        self._world = world
        self._planner = planner
        self._workspace = world.robot.workspace.workspace
        self._count = 0
        self.heightmap: Heightmap | None = None
        self.background: BackgroundModel | None = None
        if "regions" in required_views:
            self._learn_background()

    def observe(self) -> Observation:
        """See ports.Observer."""
        self._settle()
        world = self._world
        view = world.render()
        self.heightmap = build_heightmap([view], self._workspace)
        regions: Regions | None = None
        if self.background is not None:
            regions = self.background.regions(
                view.color, view.camera, within=self._within, arm_in_view=False
            )
        self._count += 1
        return Observation(
            f"o{self._count:05d}", world.time, {view.camera: view}, self.heightmap, regions
        )

    def look(self, before: Observation, arm: str, world_T_camera: np.ndarray) -> Observation:
        """See ports.Observer; arms are put at the viewpoint and home again at once.

        Nothing else moves meanwhile: what a robot's arm does in the time between is
        a way through free space that leaves the table as it is.

        Raises:
            Unavailable: If the arm carries no camera.
            PlanningFailed: If it cannot hold its camera there.
        """
        world = self._world
        spec = world.robot.arm(arm)
        if not spec.hand_camera or self._planner is None:
            raise Unavailable(f"arm {arm!r} of {world.robot.name} carries no hand camera")
        world.set_arm(arm, spec.home)
        world_T_tip = self._planner.fk(arm, np.asarray(spec.home))
        tip_T_camera = geometry.inverse(world_T_tip) @ world.world_T_camera(spec.hand_camera)
        self._planner.set_obstacles(before.heightmap)
        target = world_T_camera @ geometry.inverse(tip_T_camera)
        q = self._planner.reach(arm, target, np.asarray(spec.ready))
        world.set_arm(arm, q)
        view = world.render(spec.hand_camera)
        world.set_arm(arm, spec.home)
        self._count += 1
        return replace(
            before,
            id=f"o{self._count:05d}",
            stamp=world.time,
            views={**before.views, view.camera: view},
        )

    def _settle(self) -> None:
        """Step until the objects rest, as they do while an arm carries."""
        world = self._world
        chunk = max(1, round(0.05 / world.timestep))
        for _ in range(round(SETTLE_LIMIT / 0.05)):
            world.step(chunk)
            if world.object_speed() < SETTLE_SPEED:
                return

    def _learn_background(self) -> None:
        world = self._world
        world.reset(Scene("empty", ()), 0)
        views = [world.render() for _ in range(BACKGROUND_FRAMES)]
        self.background = BackgroundModel()
        self.background.learn_empty([view.color for view in views])
        self._within = workspace_mask(
            views[0].intrinsics,
            views[0].world_T_camera,
            self._workspace,
            views[0].depth.shape,
            OBJECT_HEIGHT,
        )


class FastProposer:
    """A policy in this process."""

    def __init__(self, policy: Policy, max_candidates: int = Limits.plan_attempts):
        self._policy = policy
        self._max_candidates = max_candidates

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """See ports.Proposer."""
        return self._policy.look_pose(observation, seed)

    def propose(
        self,
        observation: Observation,
        seed: int,
        primitives: Sequence[Primitive],
        avoid: Sequence[Candidate] = (),
    ) -> Sequence[Candidate]:
        """See ports.Proposer."""
        return self._policy.propose(observation, seed, self._max_candidates, primitives, avoid)


class FastLabeler:
    """Outcomes by the same rules as the label node's."""

    def __init__(self, robot: RobotSpec):
        self._robot = robot
        self._rule = GraspRule()

    def label(
        self, execution: Execution, before: Observation, after: Observation | None
    ) -> Outcome:
        """See ports.Labeler."""
        if execution.candidate.primitive == Primitive.GRASP:
            return self._rule.label_grasp(
                execution, self._robot.arm(execution.candidate.arm).gripper
            )
        if after is None:
            raise EmptyObservation("a push is labelled by what it changed: observe afterwards")
        return self._rule.label_push(before, after)

    def changed(self, before: Observation, after: Observation) -> tuple[bool, float]:
        """See ports.Labeler."""
        return self._rule.changed(before, after)


class NullStore:
    """Keeps nothing: evaluation counts, and does not record."""

    def store(self, trial: Trial) -> None:
        """See ports.Store."""
