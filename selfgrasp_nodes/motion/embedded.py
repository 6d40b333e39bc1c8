"""The embedded planner: Pinocchio, coal, OMPL and TOPP-RA in one process.

A free path is first tried as the straight line in joint space; only where that
collides does OMPL search. Everything is planned from rest to rest.
"""

from __future__ import annotations

import itertools
import threading

import numpy as np

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.cell import Cell
from selfgrasp_nodes.motion.collision import Contact
from selfgrasp_nodes.motion.escape import way_out
from selfgrasp_nodes.motion.kinematics import ArmKinematics
from selfgrasp_nodes.motion.lines import densified, joined, line
from selfgrasp_nodes.motion.options import MotionOptions, load_options
from selfgrasp_nodes.motion.sampling import check_planner, sample_path
from selfgrasp_nodes.motion.timing import Limits, interpolate, parametrise
from selfgrasp_nodes.motion.visibility import Visibility
from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.types import Heightmap, Trajectory

_LARGEST_JUMP = 0.5  # of a joint between two knots [rad]
_GOAL_RESTARTS = 12
_CORNER_STEPS = (0.15, 0.05)  # knots on a sampled path [rad]


class EmbeddedPlanner:
    """Plans for every arm of one robot cell; may be shared by threads.

    Attributes:
        robot: The cell.
        options: Speeds, planner and resolution.
    """

    def __init__(self, robot: RobotSpec, options: MotionOptions | None = None):
        """Build the model.

        Raises:
            UnknownName: If the configured planner does not exist.
            InvalidConfig: If URDF and description do not agree.
        """
        self.robot = robot
        self.options = options or load_options(robot=robot.name)
        check_planner(self.options.planner.name)
        self._lock = threading.RLock()
        self._cell = Cell(robot, self.options.planner)
        model = self._cell.model
        self._chains = {a.name: ArmKinematics(model, a) for a in robot.arms}
        self._visibility = Visibility(model)

    def close(self) -> None:
        """Nothing of it outlives it."""

    def fk(self, arm: str, q: np.ndarray) -> np.ndarray:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            return self._chain(arm).fk(np.asarray(q, float))

    def ik(self, arm: str, world_T_tip: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            return self._chain(arm).ik(world_T_tip, np.asarray(seed, float))

    def reach(
        self, arm: str, world_T_tip: np.ndarray, seed: np.ndarray, width: float | None = None
    ) -> np.ndarray:
        """As :meth:`ik`, but free of collisions.

        Args:
            arm: Name.
            world_T_tip: Where the flange shall be, 4 x 4.
            seed: Joint positions (J,) near which to look [rad].
            width: Opening of the gripper [m]; as it is taken to be where None.

        Raises:
            PlanningFailed: If the arm cannot be there, with the reason.
        """
        with self._lock:
            spec = self._begin(arm)
            goal = np.asarray(world_T_tip, float)
            return self._goal(spec, np.asarray(seed, float), goal, Contact.FREE, width)

    def set_obstacles(self, heightmap: Heightmap | None) -> None:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            self._cell.collision.set_heightmap(heightmap)

    def set_arm(self, arm: str, q: np.ndarray, width: float | None = None) -> None:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            self._cell.assume(self.robot.arm(arm), q, width)

    def plan_free(
        self,
        arm: str,
        q_start: np.ndarray,
        goal: np.ndarray,
        *,
        width: float | None = None,
        carries: bool = False,
        scale: float = 1.0,
    ) -> Trajectory:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            spec, q_start = self._begin(arm), np.asarray(q_start, float)
            contact = Contact.CARRY if carries else Contact.FREE
            self._check_start(spec, q_start)
            if carries and self._cell.collides(spec, q_start, contact, width):
                contact = Contact.FREE  # what is carried is smaller than assumed
            self._cell.refuse(
                spec, q_start, contact, width, "the arm is in collision where it starts"
            )
            q_goal = self._goal(spec, q_start, np.asarray(goal, float), contact, width)
            return self._free_path(spec, q_start, q_goal, contact, scale)

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
            chain = self._chain(arm)
            self._check_start(spec, q)
            start = chain.fk(q)
            poses = line(start, world_T_tip)
            knots = [q]
            for number, pose in enumerate(poses[1:], start=1):
                guess = 2 * knots[-1] - knots[-2] if len(knots) > 1 else knots[-1]
                found = chain.solve(pose, guess)
                if found is None or np.abs(found - knots[-1]).max() > _LARGEST_JUMP:
                    raise PlanningFailed(
                        f"the straight line of arm {arm!r} cannot be followed beyond "
                        f"{100 * (number - 1) / (len(poses) - 1):.0f} %: a joint limit, a "
                        "singularity or the end of its reach"
                    )
                for joints in ((knots[-1] + found) / 2, found):
                    self._cell.refuse(
                        spec, joints, Contact.TOUCH, width, "the straight line collides"
                    )
                knots.append(found)
            speeds = self.options.speed
            limits = self._limits(
                spec, scale, speed or speeds.linear_velocity, speeds.linear_acceleration
            )
            length = float(np.linalg.norm(world_T_tip[:3, 3] - start[:3, 3]))
            return parametrise(
                spec.joints, np.array(knots), limits, np.linspace(0, length, len(knots))
            )

    def plan_escape(
        self,
        arm: str,
        q_start: np.ndarray,
        *,
        width: float | None = None,
        rise: float = 0.2,
        scale: float = 1.0,
    ) -> tuple[Trajectory, np.ndarray] | None:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            spec, q = self._begin(arm), np.asarray(q_start, float)
            self._check_start(spec, q)
            if not self._cell.collides(spec, q, Contact.FREE, width):
                return None
            what = "the arm is in collision where it starts"
            self._cell.refuse(spec, q, Contact.ESCAPE, width, what)
            chain = self._chain(arm)
            knots, travel = way_out(
                chain,
                q,
                rise,
                lambda q: self._cell.collision.among(self._cell.place(spec, q, width), spec),
                lambda q: self._cell.collides(spec, q, Contact.ESCAPE, width),
            )
            speeds = self.options.speed
            limits = self._limits(spec, scale, speeds.linear_velocity, speeds.linear_acceleration)
            return parametrise(spec.joints, knots, limits, travel), chain.fk(knots[-1])

    def view_clear_at(self, arm: str, trajectory: Trajectory) -> float | None:
        """See :class:`selfgrasp_nodes.motion.planner.Planner`."""
        with self._lock:
            spec = self._begin(arm)
            for index in range(len(trajectory.time) - 1, -1, -1):
                q = self._cell.place(spec, trajectory.positions[index])
                if self._visibility.blocks(q, spec):
                    last = index + 1 == len(trajectory.time)
                    return None if last else float(trajectory.time[index + 1])
            return 0.0

    def swept(self, arm: str, trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
        """Boxes that hold all that the arm's links pass through.

        Returns:
            Lower and upper corners in the world frame, (N, 3) each [m].
        """
        with self._lock:
            spec = self._begin(arm)
            steps = np.abs(np.diff(trajectory.positions, axis=0)).max(axis=1, initial=0).sum()
            count = int(np.clip(steps / 0.15, 1, 60)) + 1
            positions, _ = interpolate(trajectory, np.linspace(0, trajectory.duration, count))
            boxes = [
                self._cell.collision.boxes(self._cell.place(spec, q), spec) for q in positions
            ]
            low = np.array([b[0] for b in boxes])
            high = np.array([b[1] for b in boxes])
            if len(boxes) == 1:
                return low[0], high[0]
            low = np.minimum(low[:-1], low[1:]).reshape(-1, 3)
            high = np.maximum(high[:-1], high[1:]).reshape(-1, 3)
            return low, high

    def _free_path(
        self,
        spec: ArmSpec,
        q_start: np.ndarray,
        q_goal: np.ndarray,
        contact: Contact,
        scale: float,
    ) -> Trajectory:
        """The trajectory between two configurations that are free; the gripper is in place."""
        limits = self._limits(spec, scale)
        if self._cell.clear(spec, np.stack([q_start, q_goal]), contact):
            return parametrise(spec.joints, np.stack([q_start, q_goal]), limits)
        return self._sampled(spec, q_start, q_goal, contact, limits)

    def _chain(self, arm: str) -> ArmKinematics:
        return self._chains[self.robot.arm(arm).name]

    def _begin(self, arm: str) -> ArmSpec:
        """Put every arm where it is taken to be; the description of the one that moves."""
        self._cell.begin()
        return self.robot.arm(arm)

    def _check_start(self, arm: ArmSpec, q: np.ndarray) -> None:
        if q.shape != (len(arm.joints),) or not np.all(np.isfinite(q)):
            raise PlanningFailed(
                f"start of arm {arm.name!r} must be {len(arm.joints)} finite joint positions"
            )

    def _goal(
        self,
        arm: ArmSpec,
        q_start: np.ndarray,
        goal: np.ndarray,
        contact: Contact,
        width: float | None,
    ) -> np.ndarray:
        """Joint positions of a goal that are within the limits and free of collisions."""
        chain = self._chain(arm.name)
        if goal.shape == (4, 4):
            q_goal = chain.ik(goal, q_start)
            if len(arm.joints) > 6 and self._cell.collides(arm, q_goal, contact, width):
                q_goal = self._other_elbow(arm, q_start, goal, contact, width, q_goal)
        elif goal.shape == q_start.shape and np.all(np.isfinite(goal)):
            q_goal = goal
            if not chain.within_limits(q_goal):
                names = [
                    f"{j} {v:.3f} not in {lo:.3f}..{hi:.3f}"
                    for j, v, lo, hi in zip(
                        arm.joints, q_goal, chain.lower, chain.upper, strict=True
                    )
                    if not lo - 1e-9 <= v <= hi + 1e-9
                ]
                raise PlanningFailed("goal past the joint limits: " + ", ".join(names))
        else:
            raise PlanningFailed(
                f"goal must be {len(arm.joints)} finite joint positions or a 4 x 4 pose"
            )
        self._cell.refuse(arm, q_goal, contact, width, "the goal is in collision")
        return q_goal

    def _other_elbow(
        self,
        arm: ArmSpec,
        q_start: np.ndarray,
        goal: np.ndarray,
        contact: Contact,
        width: float | None,
        fallback: np.ndarray,
    ) -> np.ndarray:
        """Another solution of a redundant arm, free of collisions where there is one."""
        chain, rng = self._chain(arm.name), np.random.default_rng(1)
        for spread in np.linspace(0.3, 1.2, _GOAL_RESTARTS):
            seed = np.asarray(arm.ready) + spread * rng.uniform(-1, 1, len(arm.ready))
            q = chain.solve(goal, np.clip(seed, chain.lower, chain.upper))
            if q is not None and not self._cell.collides(arm, q, contact, width):
                return q
        return fallback

    def _limits(
        self, arm: ArmSpec, scale: float, tool: float = np.inf, tool_acceleration: float = np.inf
    ) -> Limits:
        speed = self.options.speed
        return Limits(
            scale * speed.velocity * np.asarray(arm.velocity_limits),
            scale * speed.acceleration * np.asarray(arm.acceleration_limits),
            scale * tool,
            tool_acceleration,
        )

    def _sampled(
        self,
        arm: ArmSpec,
        q_start: np.ndarray,
        q_goal: np.ndarray,
        contact: Contact,
        limits: Limits,
    ) -> Trajectory:
        """A way round obstacles by OMPL, as one smooth trajectory where that stays clear."""
        chain, options = self._chain(arm.name), self.options.planner
        # Searching beyond half a turn past start and goal only winds the wrist up.
        lower = np.maximum(chain.lower, np.minimum(q_start, q_goal) - np.pi / 2)
        upper = np.minimum(chain.upper, np.maximum(q_start, q_goal) + np.pi / 2)
        corners = sample_path(
            q_start,
            q_goal,
            lower,
            upper,
            lambda q: not self._cell.collides(arm, q, contact),
            options.name,
            options.timeout,
            options.resolution,
        )
        for step in _CORNER_STEPS:
            trajectory = parametrise(arm.joints, densified(corners, step), limits)
            if self._cell.clear(arm, trajectory.positions, contact):
                return trajectory
        return joined(
            [parametrise(arm.joints, np.stack(leg), limits) for leg in itertools.pairwise(corners)]
        )
