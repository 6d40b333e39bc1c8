"""A candidate to waypoints: pure functions, no robot model, no ROS.

Grasp (Pinto and Gupta 2016, section III; Zeng and others 2018, section V):
approach, descend, close, lift, carry, release, home. Push (Zeng 2018): closed
fingers, approach, descend, stroke, lift, home. Both keep the fingertips above
the table at every opening: the pads of an arc gripper reach deeper the further
they close, so that a hand that is safe open could hit the table closing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.motion.candidates import LEAST_DOWNWARDS, check_candidate
from selfgrasp_nodes.motion.options import MotionOptions
from selfgrasp_nodes.robots import ArmSpec, GripperSpec, RobotSpec
from selfgrasp_nodes.types import Candidate, Heightmap, PhaseCode, Primitive


@dataclass(frozen=True)
class Move:
    """Bring the tool centre point somewhere.

    Attributes:
        phase: It belongs to.
        world_T_tcp: Where the TCP is to be.
        width: Opening at which that TCP is meant [m].
        linear: In a straight line; otherwise along any free path.
        speed: Largest speed of the tool on a straight line [m/s]; 0: no other
            limit than the joints'.
        guarded: Whether a change of the wrist's wrench stops it.
        carries: Whether something may hang from the gripper.
        any_yaw: Whether any turn about the approach will do.
    """

    phase: PhaseCode
    world_T_tcp: np.ndarray
    width: float
    linear: bool = False
    speed: float = 0.0
    guarded: bool = False
    carries: bool = False
    any_yaw: bool = False


@dataclass(frozen=True)
class MoveJoints:
    """Bring the arm to joint positions [rad] along a free path."""

    phase: PhaseCode
    positions: tuple[float, ...]


@dataclass(frozen=True)
class Grip:
    """Command the gripper.

    Attributes:
        phase: It belongs to.
        width: Wanted opening [m].
        force: Largest force [N].
        wait: Whether to wait until the fingers are there or have stalled;
            otherwise the next step begins at once.
        opens_by: Where positive, ``width`` is ignored and the fingers open by
            this much from where they are [m].
    """

    phase: PhaseCode
    width: float
    force: float
    wait: bool = True
    opens_by: float = 0.0


@dataclass(frozen=True)
class Rest:
    """Hold still, so that the sensors settle [s]."""

    phase: PhaseCode
    duration: float


Step = Move | MoveJoints | Grip | Rest


def height_below(
    heightmap: Heightmap | None, world_T_tcp: np.ndarray, width: float, gripper: GripperSpec
) -> float:
    """Highest point under the open hand [m]; 0 where no heightmap is given."""
    if heightmap is None:
        return 0.0
    workspace = heightmap.workspace
    # Radius of a circle round the open hand: coarse, on the safe side.
    radius = float(
        np.hypot(width / 2 + gripper.finger_thickness, gripper.finger_width / 2)
        + workspace.resolution
    )
    row, col = geometry.point_to_pixel(workspace, *world_T_tcp[:2, 3])
    reach = int(np.ceil(radius / workspace.resolution))
    rows = slice(max(row - reach, 0), max(row + reach + 1, 0))
    cols = slice(max(col - reach, 0), max(col + reach + 1, 0))
    patch = heightmap.height[rows, cols]
    return float(patch.max()) if patch.size else 0.0


def clip_stroke(robot: RobotSpec, start: np.ndarray, angle: float, length: float) -> float:
    """Length of a stroke that stays in the workspace [m].

    Args:
        robot: Its workspace.
        start: (x, y) inside the workspace [m].
        angle: Of the stroke about world +z [rad].
        length: Wanted [m].
    """
    workspace = robot.workspace.workspace
    direction = np.array([np.cos(angle), np.sin(angle)])
    with np.errstate(divide="ignore"):
        edges = np.where(direction > 0, workspace.high, workspace.low)
        reach = np.where(np.abs(direction) > 1e-12, (edges - start) / direction, np.inf)
    return float(np.clip(min(length, reach.min()), 0.0, None))


def grasp_steps(
    candidate: Candidate,
    robot: RobotSpec,
    arm: ArmSpec,
    options: MotionOptions,
    heightmap: Heightmap | None = None,
    place: np.ndarray | None = None,
) -> tuple[Step, ...]:
    """Waypoints of a grasp, from the approach to home.

    Args:
        candidate: As :func:`executed` returns it.
        robot: Workspace and bin.
        arm: The arm that acts.
        options: Heights and speeds.
        heightmap: What lies under the hand; the approach begins above it.
        place: world_T_tcp in which it lets go; over the bin where None.

    Raises:
        InvalidCandidate: See :func:`check_candidate`.
    """
    check_candidate(candidate, robot, arm)
    gripper, speed, width = arm.gripper, options.speed, candidate.width
    grasp = candidate.pose
    above = _above(grasp, width, gripper, options, options.grasp.approach_height, heightmap)
    lifted = _raised(grasp, options.grasp.lift_height)
    if place is None:
        bin_pose = release_pose(grasp, robot, arm, options.grasp.bin_spread)
        carry: tuple[Step, ...] = (
            Move(PhaseCode.CARRY, bin_pose, width, carries=True, any_yaw=True),
        )
        leave: tuple[Step, ...] = ()
    else:
        over = _above(place, width, gripper, options, options.grasp.lift_height, heightmap)
        down = Move(PhaseCode.CARRY, place, width, True, speed.descend_velocity, guarded=True)
        carry = (Move(PhaseCode.CARRY, over, width, carries=True), down)
        leave = (Move(PhaseCode.RELEASE, over, width, True, speed.linear_velocity),)
    return (
        Grip(PhaseCode.APPROACH, width, gripper.force_max, wait=False),
        Move(PhaseCode.APPROACH, above, width, guarded=True),
        Grip(PhaseCode.APPROACH, width, gripper.force_max),
        Move(PhaseCode.DESCEND, grasp, width, True, speed.descend_velocity, guarded=True),
        Grip(PhaseCode.ACT, gripper.width_min, candidate.max_force),
        Move(PhaseCode.LIFT, lifted, width, True, speed.linear_velocity, carries=True),
        Rest(PhaseCode.LIFT, options.grasp.settle),
        *carry,
        Grip(
            PhaseCode.RELEASE, width, gripper.force_max, opens_by=options.gripper.release_opening
        ),
        *leave,
        MoveJoints(PhaseCode.HOME, arm.home),
    )


def push_steps(
    candidate: Candidate,
    robot: RobotSpec,
    arm: ArmSpec,
    options: MotionOptions,
    heightmap: Heightmap | None = None,
) -> tuple[Step, ...]:
    """Waypoints of a push, from the approach to home; arguments as :func:`grasp_steps`.

    Raises:
        InvalidCandidate: See :func:`check_candidate`.
    """
    check_candidate(candidate, robot, arm)
    gripper, speed, width = arm.gripper, options.speed, arm.gripper.width_min
    start = candidate.pose
    above = _above(start, width, gripper, options, options.push.approach_height, heightmap)
    angle = geometry.push_angle(start)
    length = clip_stroke(robot, start[:2, 3], angle, candidate.push_length)
    end = start.copy()
    end[:2, 3] += length * np.array([np.cos(angle), np.sin(angle)])
    closed = Grip(PhaseCode.APPROACH, width, gripper.force_max)
    return (
        replace(closed, wait=False),
        Move(PhaseCode.APPROACH, above, width, guarded=True),
        closed,
        Move(PhaseCode.DESCEND, start, width, True, speed.descend_velocity, guarded=True),
        Move(PhaseCode.ACT, end, width, True, speed.push_velocity, guarded=True),
        Move(
            PhaseCode.LIFT, _raised(end, options.push.lift_height), width, True,
            speed.linear_velocity,
        ),
        MoveJoints(PhaseCode.HOME, arm.home),
    )  # fmt: skip


def release_pose(grasp: np.ndarray, robot: RobotSpec, arm: ArmSpec, spread: float) -> np.ndarray:
    """Where over the bin a grasp lets go: the workspace drawn to scale into the bin.

    Dropped at one spot, objects pile up until they roll over the bin's wall.

    Args:
        grasp: world_T_tcp of the grasp.
        robot: Workspace and bins.
        arm: Whose bin is used.
        spread: Share of the bin that is used, along x and along y.

    Returns:
        world_T_tcp, 4 x 4.
    """
    box, workspace = robot.bin_of(arm), robot.workspace.workspace
    share = (grasp[:2, 3] - workspace.center) / workspace.size
    x, y = np.asarray(box.center) + spread * share * np.asarray(box.size[:2])
    return geometry.grasp_pose(x, y, box.release_height, geometry.grasp_angle(grasp))


def candidate_steps(
    candidate: Candidate,
    robot: RobotSpec,
    arm: ArmSpec,
    options: MotionOptions,
    heightmap: Heightmap | None = None,
    place: np.ndarray | None = None,
) -> tuple[Step, ...]:
    """:func:`grasp_steps` or :func:`push_steps`, by the candidate's primitive."""
    if candidate.primitive == Primitive.GRASP:
        return grasp_steps(candidate, robot, arm, options, heightmap, place)
    return push_steps(candidate, robot, arm, options, heightmap)


def _raised(pose: np.ndarray, height: float) -> np.ndarray:
    raised = pose.copy()
    raised[2, 3] += height
    return raised


def _above(
    pose: np.ndarray,
    width: float,
    gripper: GripperSpec,
    options: MotionOptions,
    margin: float,
    heightmap: Heightmap | None,
) -> np.ndarray:
    """Where the straight descent begins: ``margin`` higher, and clear of all below."""
    tip = pose[2, 3] + pose[2, 2] * gripper.pad_length / 2
    clear = height_below(heightmap, pose, width, gripper) + options.safety.obstacle_clearance
    rise = max(margin, clear - tip)
    # Backwards along the approach, so that a tilted hand also descends straight.
    above = pose.copy()
    above[:3, 3] -= pose[:3, 2] * rise / max(-pose[2, 2], LEAST_DOWNWARDS)
    return above
