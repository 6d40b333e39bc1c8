"""What makes a label hard: objects hardly thicker than the closed gripper, and any force."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.types import Candidate, Observation, Primitive

if TYPE_CHECKING:  # the simulator comes with them
    from selfgrasp_nodes.policies.base import Policy
    from selfgrasp_nodes.robots import RobotSpec
    from selfgrasp_nodes.simulation.scene import Scene

THIN = {
    "thin": ((0.005, 0.012), (0.001, 0.003)),
    "thinnest": ((0.002, 0.005), (0.0, 0.001)),
}
"""Kind of scene -> how much thicker than the smallest opening its objects are [m]: for a
gripper that closes fully, and for one that does not."""


def thin_scene(robot: RobotSpec, objects: int, seed: int, kind: str = "thin") -> Scene:
    """Boxes that stand on edge, hardly thicker than the closed gripper.

    Friction and density are those of the blocks.

    Args:
        robot: Whose gripper and workspace it is for.
        objects: How many.
        seed: Everything follows from it.
        kind: Of :data:`THIN`.
    """
    from selfgrasp_nodes.simulation.objects import DENSITY_RANGE, FRICTION_RANGE, ObjectSpec
    from selfgrasp_nodes.simulation.scene import Scene, SceneObject

    rng = np.random.default_rng([seed, 11])
    gripper = robot.arms[0].gripper
    closes, stays_open = THIN[kind]
    extra = closes if gripper.width_min < 0.005 else stays_open
    columns = math.ceil(math.sqrt(objects))
    pitch = min(robot.workspace.size) / (columns + 0.5)
    placed = []
    for i in range(objects):
        size = (
            float(gripper.width_min + rng.uniform(*extra)),
            float(rng.uniform(0.03, 0.06)),
            float(rng.uniform(0.03, 0.05)),
        )
        red, green, blue = (float(c) for c in rng.uniform(0.25, 1.0, 3))
        spec = ObjectSpec(
            "cube",
            size,
            (red, green, blue),
            float(rng.uniform(*FRICTION_RANGE)),
            float(rng.uniform(*DENSITY_RANGE)),
        )
        row, column = divmod(i, columns)
        middle = (columns - 1) / 2
        shift = rng.uniform(-0.01, 0.01, 2)
        pose = geometry.transform(
            (
                (column - middle) * pitch + shift[0],
                (row - middle) * pitch + shift[1],
                size[2] / 2 + 0.0002,
            ),
            (0, 0, rng.uniform(0, np.pi)),
        )
        blank = SceneObject(spec, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))
        placed.append(blank.moved(pose))
    return Scene(f"{kind}-{objects}-{seed}", tuple(placed))


class VariedForce:
    """A policy whose grasps close with any force that the gripper has.

    Weak grasps slip, and a light squeeze must still be told from none.
    """

    def __init__(self, policy: Policy, robot: RobotSpec):
        self._policy = policy
        self._robot = robot
        self.name = policy.name
        self.required_views = policy.required_views
        self.primitives = policy.primitives

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """None: a label does not depend on how well the region was seen."""
        return None

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = (Primitive.GRASP,),
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """As the policy does, with forces drawn evenly on a logarithmic scale."""
        rng = np.random.default_rng([rng_seed, 13])
        found = self._policy.propose(observation, rng_seed, max_candidates, primitives, avoid)
        varied = []
        for candidate in found:
            gripper = self._robot.arm(candidate.arm).gripper
            low, high = np.log(max(gripper.force_min, 1.0)), np.log(gripper.force_max)
            varied.append(replace(candidate, max_force=float(np.exp(rng.uniform(low, high)))))
        return varied
