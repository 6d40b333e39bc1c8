"""The planner whose paths are MoveIt's.

Kinematics, the choice of goals, ways out of objects and what the camera sees are the
embedded planner's: so both choose the same configurations, where MoveIt's own inverse
kinematics would wind a wrist up at random. MoveIt plans the way between them: OMPL and
TOTG where it is free, Pilz's LIN where it is straight. Whatever comes back is checked
here: joints, start, end, order in time, speed, and collisions.

How MoveIt is reached is a :class:`~selfgrasp_nodes.motion.moveit_types.MoveItBackend`;
those live in ``nodes/``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.collision import Contact
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.lines import densified
from selfgrasp_nodes.motion.moveit_parameters import LINE, OMPL, PILZ, planner_id
from selfgrasp_nodes.motion.moveit_types import (
    ERRORS,
    MoveItBackend,
    PlanReply,
    PlanRequest,
    SceneShape,
)
from selfgrasp_nodes.motion.obstacles import pooled
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.robots.gripper import tcp_distance
from selfgrasp_nodes.types import Heightmap, Trajectory

OBJECTS = "objects"
"""Name of what the heightmap shows in MoveIt's scene."""

_THERE = 1e-4  # nothing need be planned to a goal so near [rad, m]
_START, _GOAL = 1e-3, 5e-3  # how far a path may begin and end from where it should [rad]
_TOOL = 0.002, 0.02  # a straight line's end may be off by this much [m, rad]
_FASTER = 1.1  # share of a joint's limit that a path may reach
_CAMERA = 0.12  # edge of the cube that stands for a fixed camera and its holder [m]


class MoveItPlanner(EmbeddedPlanner):
    """Plans every arm's ways with MoveIt.

    Attributes:
        backend: The way to MoveIt.
    """

    def __init__(
        self,
        robot: RobotSpec,
        options: MotionOptions,
        backend: MoveItBackend,
        parameters: dict[str, Any],
    ):
        """Prepare; the scene is shown with the first plan.

        Args:
            robot: The cell.
            options: Of motion; its planner is asked of OMPL.
            backend: The way to MoveIt.
            parameters: What MoveIt was started with, see :mod:`.moveit_parameters`.

        Raises:
            UnknownName: If a group does not list the planner.
        """
        super().__init__(robot, options)
        for arm in robot.arms:  # or MoveIt would take its default with a warning
            planner_id(parameters, arm.name, options.planner.name)
        limits = parameters["robot_description_planning"]["cartesian_limits"]
        self._fastest = float(limits["max_trans_vel"])
        self.backend = backend
        self._shown: dict[str, SceneShape] = {}
        self._objects: SceneShape | None = None
        self._fixed = self._furniture()

    def close(self) -> None:
        """End the way to MoveIt."""
        self.backend.close()

    def set_obstacles(self, heightmap: Heightmap | None) -> None:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            super().set_obstacles(heightmap)
            cell = self.options.planner.obstacle_cell
            self._objects = None if heightmap is None else _surface(heightmap, cell)

    def plan_linear(
        self,
        arm: str,
        q_start: np.ndarray,
        world_T_tip: np.ndarray,
        *,
        width: float | None = None,
        speed: float = 0.0,
        scale: float = 1.0,
    ) -> Trajectory:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            spec, q = self._begin(arm), np.asarray(q_start, float)
            self._check_start(spec, q)
            chain = self._chain(arm)
            if np.abs(chain.fk(q) - world_T_tip).max() < _THERE:
                return super().plan_linear(arm, q, world_T_tip, width=width, scale=scale)
            goal = chain.ik(np.asarray(world_T_tip, float), q)
            for joints in (q, goal):
                what = "the straight line collides at one end"
                self._cell.refuse(spec, joints, Contact.TOUCH, width, what)
            share = (speed or self.options.speed.linear_velocity) * scale / self._fastest
            # Without the objects: the hand may touch them. What else would is seen below.
            reply = self._ask(spec, q, goal, PILZ, LINE, float(np.clip(share, 0.01, 1.0)), False)
            path = self._accept(spec, reply, q, None, Contact.TOUCH, 1.0)
            end = geometry.inverse(chain.fk(path.positions[-1])) @ world_T_tip
            turn = float(np.arccos(np.clip((np.trace(end[:3, :3]) - 1) / 2, -1, 1)))
            if np.linalg.norm(end[:3, 3]) > _TOOL[0] or turn > _TOOL[1]:
                raise PlanningFailed(
                    f"MoveIt's straight line ends {1e3 * np.linalg.norm(end[:3, 3]):.1f} mm and "
                    f"{np.degrees(turn):.1f} degrees beside its goal"
                )
            return path

    def _free_path(
        self,
        spec: ArmSpec,
        q_start: np.ndarray,
        q_goal: np.ndarray,
        contact: Contact,
        scale: float,
    ) -> Trajectory:
        if np.abs(q_goal - q_start).max() < _THERE:
            return super()._free_path(spec, q_start, q_goal, contact, scale)
        share = self.options.speed.velocity * scale
        planner = self.options.planner.name
        carries = contact is Contact.CARRY
        reply = self._ask(spec, q_start, q_goal, OMPL, planner, share, True, carries)
        return self._accept(spec, reply, q_start, q_goal, contact, share)

    def _ask(
        self,
        spec: ArmSpec,
        q_start: np.ndarray,
        q_goal: np.ndarray,
        pipeline: str,
        planner: str,
        velocity: float,
        objects: bool,
        carries: bool = False,
    ) -> PlanReply:
        """Show the scene as it is now and ask for one path."""
        self._show(objects)
        options, grip = self.options, spec.gripper
        edge = options.planner.payload if carries else 0.0
        names = self._cell.model.model.names
        mimics = {mimic.joint for mimic in self._cell.model.mimics}
        others = {
            names[joint]: float(self._cell.q[self._cell.model.model.idx_qs[joint]])
            for joint in range(1, len(names))
            if names[joint] not in spec.joints and names[joint] not in mimics
        }
        return self.backend.plan(
            PlanRequest(
                group=spec.name,
                joints=list(spec.joints),
                start=[float(v) for v in q_start],
                goal=[float(v) for v in q_goal],
                others=others,
                pipeline=pipeline,
                planner=planner,
                velocity=velocity,
                acceleration=options.speed.acceleration,
                timeout=options.planner.timeout,
                carried=edge,
                carried_at=tcp_distance(grip, grip.width_min) + edge / 2,
                tip=spec.tip_link,
                touch=self._hand_links(spec),
            )
        )

    def _show(self, objects: bool) -> None:
        """Bring MoveIt's world up to date; only what has changed is sent."""
        wanted = {shape.name: shape for shape in self._fixed}
        if objects and self._objects is not None:
            wanted[OBJECTS] = self._objects
        changed = [s for name, s in wanted.items() if self._shown.get(name) is not s]
        removed = [name for name in self._shown if name not in wanted]
        if changed or removed:
            self._shown = {}  # unknown, should it fail half-way
            self.backend.show(changed, removed)
        self._shown = wanted

    def _furniture(self) -> list[SceneShape]:
        """Table, bins and fixed cameras."""
        boxes = self._cell.collision.fixed_boxes()
        for camera in self.robot.cameras:
            if camera.parent == "world":
                boxes.append((f"camera {camera.name}", np.full(3, _CAMERA), camera.pose.matrix))
        return [
            SceneShape(name, np.asarray(place).tolist(), np.asarray(size).tolist())
            for name, size, place in boxes
        ]

    def _hand_links(self, spec: ArmSpec) -> list[str]:
        """Links that turn with the arm's last joint, the fingers among them."""
        joints = self._cell.model.subtree(self._cell.model.arm_joint_ids(spec)[-1])
        return [
            frame.name
            for frame in self._cell.model.model.frames
            if frame.parentJoint in joints and frame.type.name == "BODY"
        ]

    def _accept(
        self,
        spec: ArmSpec,
        reply: PlanReply,
        q_start: np.ndarray,
        q_goal: np.ndarray | None,
        contact: Contact,
        share: float,
    ) -> Trajectory:
        """MoveIt's path as a trajectory, if it is what was asked for.

        Raises:
            PlanningFailed: With MoveIt's reason, or with what is wrong about its path.
        """
        if reply.code != 1:
            reason = ERRORS.get(reply.code, "see moveit_msgs/MoveItErrorCodes")
            raise PlanningFailed(f"MoveIt found no path (error {reply.code}: {reason})")
        if set(reply.joints) != set(spec.joints):
            raise PlanningFailed(f"MoveIt moves {sorted(reply.joints)} instead of {spec.joints}")
        order = [reply.joints.index(joint) for joint in spec.joints]
        time = np.asarray(reply.time, float)
        count = len(time)
        positions = np.asarray(reply.positions, float).reshape(count, -1)
        velocities = np.asarray(reply.velocities, float).reshape(count, -1)
        if count < 2 or positions.shape != velocities.shape or positions.shape[1] != len(order):
            raise PlanningFailed("MoveIt's path has fewer than two timed points with velocities")
        positions, velocities = positions[:, order], velocities[:, order]
        if not all(np.isfinite(x).all() for x in (time, positions, velocities)):
            raise PlanningFailed("MoveIt's path holds values that are not finite")
        if time[0] != 0 or np.any(np.diff(time) <= 0):
            raise PlanningFailed("MoveIt's path does not go on in time from 0")
        for what, found, wanted, tolerance in (
            ("begins", positions[0], q_start, _START),
            ("ends", positions[-1], q_goal, _GOAL),
        ):
            off = 0.0 if wanted is None else float(np.abs(found - wanted).max())
            if off > tolerance:
                raise PlanningFailed(f"MoveIt's path {what} {off:.3f} rad beside where it should")
        fastest = np.abs(velocities).max(axis=0) / np.asarray(spec.velocity_limits)
        if fastest.max() > _FASTER * share:
            raise PlanningFailed(
                f"MoveIt's path is too fast: joint {spec.joints[int(fastest.argmax())]} would "
                f"reach {fastest.max():.2f} of its limit, where {share:.2f} is allowed; do the "
                "limits of config/moveit agree with the robot's description?"
            )
        for q in densified(positions, self.options.planner.resolution):
            self._cell.refuse(spec, q, contact, None, "MoveIt's path collides")
        return Trajectory(spec.joints, time, positions, velocities)


def _surface(heightmap: Heightmap, cell: float) -> SceneShape | None:
    """What a heightmap shows as a mesh over each cell's highest point; None of a bare table."""
    corners = pooled(heightmap, cell)
    rows, cols = corners.shape
    (cx, cy), (sx, sy) = heightmap.workspace.center, heightmap.workspace.size
    x, y = np.meshgrid(np.linspace(-sx / 2, sx / 2, cols), np.linspace(-sy / 2, sy / 2, rows))
    index = np.arange(rows * cols).reshape(rows, cols)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    high = corners.ravel()[triangles].max(axis=1) > 0  # the bare table is a box already
    if not high.any():
        return None
    return SceneShape(
        OBJECTS,
        geometry.transform((cx, cy, 0)).tolist(),
        vertices=np.stack([x.ravel(), y.ravel(), corners.ravel()], 1).tolist(),
        triangles=triangles[high].tolist(),
    )
