"""A calibration in the simulated cell, without ROS: what the test and the bench solve."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_data import Session, Shot
from selfgrasp_nodes.perception.calibration_poses import (
    clears_table,
    held_by_edge,
    lying,
    reachable_poses,
    view_poses,
)
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.simulation.board import BoardFixture
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.world import World, WorldOptions

# Nobody holds a board to the millimetre: it is somewhere else than what is assumed.
_CROOKED = geometry.transform((0.008, -0.006, 0.002), (0.05, -0.03, 0.08))
_VIEWS = 3  # wanted views for each picture
_SETTLE = 50  # steps until the servos hold still
_READINGS = 20  # joint states that are averaged at rest, as a calibration does


def simulated_session(
    robot: RobotSpec,
    camera_name: str,
    board: Board,
    guess: np.ndarray,
    *,
    noise: bool = True,
    seed: int = 0,
    count: int = 20,
) -> Session:
    """Pictures of a board by a camera that is thought to be somewhere else than it is.

    A camera on the first arm's hand looks at a board on the table, any other at a board in
    that arm's fingers.

    Args:
        robot: The cell; its description of the camera is the truth.
        camera_name: Of a camera fixed to the world or to the first arm's hand.
        board: What is looked at.
        guess: parent_T_camera by which the poses are chosen, 4 x 4.
        noise: Whether pictures and joint states are noisy.
        seed: Of the noise.
        count: Pictures at most.
    """
    camera, arm = robot.camera(camera_name), robot.arms[0]
    fixed = arm.hand_camera != camera.name
    link = arm.tip_link if fixed else ""
    hold = held_by_edge(board, arm.gripper.tcp_closed) if fixed else lying(robot.workspace.center)
    fixture = BoardFixture(board, link, hold @ _CROOKED)
    world = World(robot, WorldOptions(noise=noise, board=fixture))
    world.reset(Scene("empty", ()), seed)
    planner, joints = EmbeddedPlanner(robot), {}

    def reach(pose: np.ndarray) -> bool:
        tip = pose if fixed else geometry.inverse(pose)
        if fixed and not clears_table(tip @ hold, board):
            return False
        try:
            joints[pose.tobytes()] = planner.reach(arm.name, tip, np.array(arm.ready))
        except PlanningFailed:
            return False
        return True

    shots = []
    views = view_poses(camera, board, _VIEWS * count)
    for pose in reachable_poses(views, guess, hold, reach, count):
        world.set_arm(arm.name, joints[pose.tobytes()])
        world.step(_SETTLE)
        view = world.render(camera.name)
        q = np.mean([world.joint_state(arm.name)[0] for _ in range(_READINGS)], axis=0)
        tip = planner.fk(arm.name, q)
        shots.append(Shot(view.color, view.depth, tip if fixed else geometry.inverse(tip), q))
    world.close()
    return Session(
        robot=robot.name,
        camera=camera.name,
        arm=arm.name,
        board=board,
        parent=camera.parent,
        carrier=link or "world",
        intrinsics=camera.intrinsics,
        distortion=np.zeros(5),
        shots=tuple(shots),
    )
