"""What a try would leave behind: run on a copy of the scene, in a world of its own.

For evaluation only, as all that reads simulator truth. The copy takes shapes, poses,
friction and density from the world that it rehearses for; that world is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfgrasp_nodes.errors import ExecutionFailed, InvalidCandidate, PlanningFailed
from selfgrasp_nodes.motion.above import plan_from_above
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.runner import Runner
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.lockstep import LockstepPort
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.truth import ObjectTruth
from selfgrasp_nodes.simulation.world import World, WorldOptions
from selfgrasp_nodes.types import Candidate, Heightmap

SETTLE = 0.6
"""How long objects are given to rest after the hand has left [s]."""

_REST = 0.01  # speed of an object that rests [m/s, rad/s]


class Rehearsal:
    """A second cell in which tries are run to see what they lead to."""

    def __init__(self, robot: RobotSpec, physics: PhysicsOptions):
        """Build the cell, without noise.

        Args:
            robot: Its description.
            physics: As those of the world that it rehearses for.
        """
        self.robot = robot
        self._world = World(robot, WorldOptions(physics, noise=False))
        self._planner = EmbeddedPlanner(robot, load_options(None, robot.name))

    def after(
        self, scene: Scene, candidate: Candidate, heightmap: Heightmap | None
    ) -> list[ObjectTruth] | None:
        """Where the objects would be after a try.

        Args:
            scene: Where they are now (:func:`scene_now`).
            candidate: What is tried, by its arm or the first.
            heightmap: What motion is to keep clear of.

        Returns:
            Their truth, in the scene's order; None where the try cannot be planned, or
            the physics broke down.
        """
        arm, world = self.robot.arm(candidate.arm), self._world
        self._planner.set_obstacles(heightmap)
        try:
            program = plan_from_above(self._planner, candidate, arm, heightmap)
            world.reset(scene, 0)
            world.set_arm(arm.name, program.q_start, program.candidate.width or None)
            # A runner remembers its last sample by the world's time, which began anew.
            port = LockstepPort(world, arm.name)
            Runner(port, arm, self._planner.options, self._planner).act(program)
            world.set_arm(arm.name, arm.home)
            self._settle()
        except (PlanningFailed, InvalidCandidate, ExecutionFailed):
            return None
        return world.truth()

    def _settle(self) -> None:
        chunk = max(1, round(0.05 / self._world.timestep))
        for _ in range(round(SETTLE / 0.05)):
            self._world.step(chunk)
            if self._world.object_speed() < _REST:
                return


def scene_now(world: World) -> Scene:
    """The objects that are still there, as they lie now."""
    center = np.array([*world.robot.workspace.center, 0.0])
    objects: Sequence[SceneObject] = world.scene.objects
    known = dict(zip(world.scene.names(), objects, strict=True))
    moved = []
    for truth in world.truth():
        pose = truth.world_T_object.copy()
        pose[:3, 3] -= center
        moved.append(known[truth.id].moved(pose))
    return Scene(f"{world.scene.name} now", tuple(moved))
