"""Forward and inverse kinematics of one arm.

Inverse kinematics is numeric (damped least squares on the SE(3) logarithm), so
that it serves any arm; a redundant one is drawn towards its seed.
"""

from __future__ import annotations

import numpy as np
import pinocchio
from scipy.linalg.lapack import dposv

from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.robots import ArmSpec

_TOLERANCE = 1e-6  # of the error twist [m, rad]
_DAMPING = 1e-8
_LONGEST_STEP = 0.4  # of a joint in one iteration [rad]
_ITERATIONS = 60
_NEAR = 0.5  # a solution so near its seed need not be compared with others [s]
_TWO_PI = 2 * np.pi
_IDENTITY = np.eye(6)


class ArmKinematics:
    """One arm's chain, everything else of the robot frozen.

    Attributes:
        arm: Its description.
        lower: (J,) lower joint limits [rad].
        upper: (J,) upper joint limits [rad].
    """

    def __init__(self, robot: RobotModel, arm: ArmSpec):
        self.arm = arm
        frozen = [
            joint
            for joint, name in enumerate(robot.model.names)
            if joint > 0 and name not in arm.joints
        ]
        self._model = pinocchio.buildReducedModel(robot.model, frozen, robot.neutral())
        self._data = self._model.createData()
        self._frame = self._model.getFrameId(arm.tip_link)
        # The model may order joints otherwise than the description does.
        self._order = np.array(
            [self._model.joints[self._model.getJointId(j)].idx_q for j in arm.joints]
        )
        self._base = robot.world_T_base
        self._base_inverse = pinocchio.SE3(robot.world_T_base).inverse()
        self.lower = self._model.lowerPositionLimit[self._order]
        self.upper = self._model.upperPositionLimit[self._order]
        self._slowness = 1 / np.asarray(arm.velocity_limits)

    def fk(self, q: np.ndarray) -> np.ndarray:
        """world_T_tip (4 x 4) of the tool flange at joint positions (J,) [rad]."""
        pinocchio.framesForwardKinematics(self._model, self._data, self._unordered(q))
        return self._base @ self._data.oMf[self._frame].homogeneous

    def within_limits(self, q: np.ndarray) -> bool:
        """Whether joint positions (J,) [rad] respect the limits."""
        return bool(np.all(q >= self.lower - 1e-9) and np.all(q <= self.upper + 1e-9))

    def distance(self, q_from: np.ndarray, q_to: np.ndarray) -> float:
        """Least time between two configurations at full joint speed [s]."""
        return float(np.max(np.abs(q_to - q_from) * self._slowness))

    def solve(self, world_T_tip: np.ndarray, seed: np.ndarray) -> np.ndarray | None:
        """The solution that the iteration finds from ``seed``, or None.

        Args:
            world_T_tip: Wanted pose of the flange, 4 x 4.
            seed: Joint positions (J,) to start from [rad].

        Returns:
            Joint positions (J,) within the limits [rad].
        """
        model, data, frame = self._model, self._data, self._frame
        target = self._base_inverse * pinocchio.SE3(world_T_tip)
        lower, upper = model.lowerPositionLimit, model.upperPositionLimit
        start = np.clip(self._unordered(seed), lower, upper)
        q = start.copy()
        redundant = len(q) > 6
        for _ in range(_ITERATIONS):
            pinocchio.computeJointJacobians(model, data, q)
            placement = pinocchio.updateFramePlacement(model, data, frame)
            error = pinocchio.log6(placement.actInv(target)).vector
            size = np.abs(error).max()
            if size < _TOLERANCE:
                return self._nearest_turn(q[self._order], np.asarray(seed, float))
            jacobian = pinocchio.getFrameJacobian(model, data, frame, pinocchio.LOCAL)
            # Levenberg: damp in proportion to the error, so that it is robust
            # near singularities and quadratic at the solution (Sugihara 2011).
            gram = jacobian @ jacobian.T + (_DAMPING + 1e-3 * size * size) * _IDENTITY
            step = jacobian.T @ dposv(gram, error)[1]
            if redundant:
                pull = 0.1 * (start - q)
                step += pull - jacobian.T @ dposv(gram, jacobian @ pull)[1]
            longest = np.abs(step).max()
            if longest > _LONGEST_STEP:
                step *= _LONGEST_STEP / longest
            q = np.clip(q + step, lower, upper)
        return None

    def ik(
        self,
        world_T_tip: np.ndarray,
        seed: np.ndarray,
        restarts: int = 8,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """The solution nearest to ``seed`` in time, of several starts.

        Args:
            world_T_tip: Wanted pose of the flange, 4 x 4.
            seed: Joint positions (J,) from which the arm will move [rad].
            restarts: Random starts round the ready configuration, tried only
                where seed and ready lead nowhere.
            rng: Source of the random starts; a fixed one where None.

        Raises:
            PlanningFailed: If no start leads to a solution within the limits.
        """
        seed = np.asarray(seed, float)
        ready = np.asarray(self.arm.ready, float)
        solutions = []
        for start in (seed, ready):
            q = self.solve(world_T_tip, start)
            if q is not None:
                solutions.append(self._nearest_turn(q, seed))
                if self.distance(seed, solutions[-1]) < _NEAR:
                    break
        if not solutions:
            rng = rng or np.random.default_rng(0)
            for spread in np.linspace(0.3, 1.5, restarts):
                start = ready + spread * rng.uniform(-1, 1, len(ready))
                q = self.solve(world_T_tip, np.clip(start, self.lower, self.upper))
                if q is not None:
                    solutions.append(self._nearest_turn(q, seed))
                    break
        if not solutions:
            x, y, z = world_T_tip[:3, 3]
            raise PlanningFailed(
                f"arm {self.arm.name!r} cannot reach its flange to ({x:.3f}, {y:.3f}, {z:.3f}) "
                "within its joint limits in this orientation"
            )
        return min(solutions, key=lambda q: self.distance(seed, q))

    def _unordered(self, q: np.ndarray) -> np.ndarray:
        full = np.empty(len(self._order))
        full[self._order] = q
        return full

    def _nearest_turn(self, q: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """The same pose with whole turns taken off, as near to the seed as limits allow."""
        turned = q + _TWO_PI * np.round((seed - q) / _TWO_PI)
        turned = np.where(turned > self.upper + 1e-9, turned - _TWO_PI, turned)
        turned = np.where(turned < self.lower - 1e-9, turned + _TWO_PI, turned)
        inside = (turned >= self.lower - 1e-9) & (turned <= self.upper + 1e-9)
        return np.where(inside, turned, q)
