"""The force/torque sensor at an arm's flange."""

from __future__ import annotations

import mujoco
import numpy as np


class WristSensor:
    """What the world does to everything beyond the flange, in the flange's frame."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, tool: str):
        """Find the gripper's bodies.

        Args:
            model: The world's model.
            data: Its state.
            tool: Body of the tool flange.
        """
        self.model, self.data = model, data
        self.body = model.body(tool).id
        self.root = int(model.body_rootid[self.body])
        below = {self.body}
        for body in range(self.body + 1, model.nbody):  # parents come before children
            if int(model.body_parentid[body]) in below:
                below.add(body)
        self.below = np.array(sorted(below))
        self.masses = model.body_mass[self.below]
        self.mass = float(self.masses.sum())

    def read(self) -> np.ndarray:
        """Force [N] and torque [N m] about the flange's origin, (6,), without noise.

        The weight of the gripper is taken off; what its acceleration costs is not.
        """
        model, data = self.model, self.data
        mujoco.mj_rnePostConstraint(model, data)
        rotation = data.xmat[self.body].reshape(3, 3)
        origin = data.xpos[self.body]
        # The force with which the arm carries the tool, about the tree's centre of mass.
        torque, force = data.cfrc_int[self.body, :3], data.cfrc_int[self.body, 3:]
        torque = torque + _cross(data.subtree_com[self.root] - origin, force)
        weight = self.mass * model.opt.gravity
        center = self.masses @ data.xipos[self.below] / self.mass
        lever = _cross(center - origin, weight)
        return np.concatenate([rotation.T @ (-force - weight), rotation.T @ (-torque - lever)])


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A x b; numpy's own takes ten times as long for two vectors."""
    (a0, a1, a2), (b0, b1, b2) = a.tolist(), b.tolist()
    return np.array([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])
