"""Takes the pictures of a calibration through the running graph.

The arm moves with the graph's own ``move_arm`` action, planned and watched as any motion;
pictures and joint states come from the topics that perception and motion use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from selfgrasp.action import MoveArm
from sensor_msgs.msg import JointState

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import PlanningFailed, Unavailable
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.nodes import conversions, image_messages, qos
from selfgrasp_nodes.nodes.action_caller import ActionCaller
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.cameras import CameraStream
from selfgrasp_nodes.nodes.joint_readings import JointReadings
from selfgrasp_nodes.nodes.robot_state import RobotState
from selfgrasp_nodes.nodes.status import check
from selfgrasp_nodes.nodes.tf import TransformPublisher
from selfgrasp_nodes.nodes.tf_tree import TransformTree
from selfgrasp_nodes.nodes.waiting import wait
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_data import Session, Shot
from selfgrasp_nodes.perception.calibration_poses import (
    clears_table,
    held_by_edge,
    lying,
    reachable_poses,
    view_poses,
)
from selfgrasp_nodes.robots import ArmSpec, CameraSpec

_PATIENCE = 10.0  # for it to come to rest, for a picture, for a first joint state [s]
_MOTION = 120.0  # for one motion [s]
_CANDIDATES = 3  # wanted views for each pose that is asked for: arms do not reach all


class Calibrator(BaseNode):
    """Moves an arm, takes pictures and joint states; use it in a ``with`` block."""

    NAME = "calibrate"

    def __init__(
        self,
        robot: str,
        camera: str,
        arm: str,
        board: Board,
        namespace: str = "",
        camera_namespace: str = "",
    ):
        """Subscribe and spin.

        Args:
            robot: Name or YAML of the robot, with the camera roughly where it is.
            camera: Its camera that is calibrated; empty for the overhead camera.
            arm: The arm that moves: it holds the board, or carries the camera.
            board: What is looked for.
            namespace: In which the graph runs.
            camera_namespace: Of the camera's topics; that of the description where empty.

        Raises:
            UnknownName: If robot, camera or arm are not known.
        """
        self._own = Context()
        rclpy.init(context=self._own)
        super().__init__({"robot": robot}, context=self._own, namespace=namespace or None)
        self.camera: CameraSpec = self.robot.camera(camera)
        self.arm: ArmSpec = self._moving_arm(arm)
        self.board = board
        self.serial = ""
        self._tree = RobotState(self.robot, self.frame)
        self._readings = JointReadings(self.arm)
        # What an older calibration says of scale and device must not count.
        bare = self.camera.model_copy(update={"calibration": None})
        self._stream = CameraStream(self, bare, camera_namespace)
        self._planner = EmbeddedPlanner(self.robot)
        self._mover = ActionCaller(self, MoveArm, "move_arm", self.group)
        self._transforms = TransformPublisher(self)
        self.create_subscription(
            JointState,
            "joint_states",
            self._readings.take,
            qos.state(50),
            callback_group=self.group,
        )
        self.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            self._take_status,
            qos.EVENT,
            callback_group=self.group,
        )
        self._ending = threading.Event()
        self._spinner = SingleThreadedExecutor(context=self._own)
        self._spinner.add_node(self)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    @property
    def on_wrist(self) -> bool:
        """Whether the arm that moves carries the camera."""
        return self.arm.hand_camera == self.camera.name

    @property
    def carrier(self) -> str:
        """Frame that the board is fixed to."""
        return self.frame if self.on_wrist else self.arm.tip_link

    @property
    def parent(self) -> str:
        """Frame that the camera is fixed to."""
        return self.frame if self.camera.parent == "world" else self.camera.parent

    def assumed_hold(self) -> np.ndarray:
        """carrier_T_board where nothing else is said: by its edge in the fingers, or lying."""
        if self.on_wrist:
            return lying(self.robot.workspace.center)
        return held_by_edge(self.board, self.arm.gripper.tcp_closed)

    def plan(self, hold: np.ndarray, count: int) -> list[np.ndarray]:
        """world_T_tip of poses that show the board and that the arm reaches.

        Raises:
            PlanningFailed: If there are none.
        """
        positions = self._readings.newest(_PATIENCE)
        world_T_parent = self._lookup(self.frame, self.parent, positions)
        tip_T_parent = self._lookup(self.arm.tip_link, self.parent, positions)

        def tip(parent_T_carrier: np.ndarray) -> np.ndarray:
            if self.on_wrist:  # the carrier is the world
                return geometry.inverse(tip_T_parent @ parent_T_carrier)
            return np.asarray(world_T_parent @ parent_T_carrier)

        def reach(parent_T_carrier: np.ndarray) -> bool:
            wanted = tip(parent_T_carrier)
            if not self.on_wrist and not clears_table(wanted @ hold, self.board):
                return False
            try:
                self._planner.reach(self.arm.name, wanted, np.array(self.arm.ready))
            except PlanningFailed:
                return False
            return True

        views = view_poses(self.camera, self.board, _CANDIDATES * count)
        found = reachable_poses(views, self.camera.pose.matrix, hold, reach, count)
        if not found:
            raise PlanningFailed(
                f"arm {self.arm.name!r} reaches no pose in which camera {self.camera.name!r} sees "
                "the whole board; say how the board is held (--hold), take a smaller one, or "
                "correct the camera's rough pose in the robot's description"
            )
        return [tip(pose) for pose in found]

    def take(self, world_T_tip: np.ndarray, speed: float) -> Shot:
        """Move there, come to rest, take a picture.

        Raises:
            SelfGraspError: If the arm does not get there, or there is no picture.
        """
        goal = MoveArm.Goal(
            arm=self.arm.name,
            target=MoveArm.Goal.LOOK,
            camera=self.arm.tip_link,
            speed_scale=speed,
        )
        goal.camera_pose.header.frame_id = self.frame
        goal.camera_pose.pose = conversions.pose_message(world_T_tip)
        self._move(goal)
        stamp, positions = self._readings.rest(_PATIENCE)
        pair = self._stream.wait(stamp, _PATIENCE)
        view = self._stream.view(pair, np.eye(4))
        return Shot(
            color=view.color,
            depth=view.depth,
            parent_T_carrier=self._lookup(self.parent, self.carrier, positions),
            joints=np.array([positions[name] for name in self.arm.joints]),
        )

    def home(self, speed: float) -> None:
        """Send the arm out of view."""
        goal = MoveArm.Goal(arm=self.arm.name, target=MoveArm.Goal.HOME, speed_scale=speed)
        self._move(goal)

    def session(self, shots: list[Shot]) -> Session:
        """The pictures with what belongs to them."""
        info = self._stream.info
        if info is None:
            raise Unavailable("no camera_info has come; is the camera running?")
        distortion = np.zeros(5)
        given = np.asarray(info.d, float)[:5]
        distortion[: len(given)] = given
        return Session(
            robot=self.robot.name,
            camera=self.camera.name,
            arm=self.arm.name,
            board=self.board,
            parent=self.parent,
            carrier=self.carrier,
            intrinsics=image_messages.intrinsics(info),
            distortion=distortion,
            shots=tuple(shots),
            serial=self.serial,
        )

    def publish(self, parent_T_camera: np.ndarray) -> None:
        """The camera's frame on /tf_static, for as long as this node lives."""
        message = conversions.transform_message(
            self.parent, self.camera.frame, parent_T_camera, self.now()
        )
        self._transforms.send_fixed([message])

    def close(self) -> None:
        """End the thread and the ROS context."""
        self._ending.set()
        self._spinner.wake()
        self._thread.join(3.0)
        super().close()
        self._spinner.shutdown(0.5)
        self.destroy_node()
        rclpy.try_shutdown(context=self._own)

    def __enter__(self) -> Calibrator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._spinner.spin_once(timeout_sec=0.2)

    def _moving_arm(self, name: str) -> ArmSpec:
        if name:
            return self.robot.arm(name)
        carriers = [a for a in self.robot.arms if a.hand_camera == self.camera.name]
        return carriers[0] if carriers else self.robot.arm()

    def _move(self, goal: MoveArm.Goal) -> None:
        if not self._mover.wait_for_server(_PATIENCE):
            raise Unavailable(
                "nobody serves move_arm; start the graph first: selfgrasp up robot robot:="
                f"{self.robot.name} (or up sim), and give the same --namespace"
            )
        handle = self._mover.send(goal, _PATIENCE)
        if not handle.accepted:
            raise Unavailable("move_arm refused the goal; look at the motion node's messages")
        try:
            answer = wait(self._mover.result(handle), _MOTION, "the end of the motion")
        except BaseException:
            handle.cancel_goal_async()  # Ctrl-C and time-outs must not leave the arm moving
            raise
        check(answer.result)

    def _take_status(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if values.get("camera") == self.camera.name and values.get("serial"):
                self.serial = values["serial"]

    def _lookup(self, target: str, source: str, positions: dict[str, float]) -> np.ndarray:
        tree = TransformTree()
        for parent, child, matrix in (*self._tree.fixed, *self._tree.frames(positions)):
            tree.set_fixed(parent, child, matrix)
        return tree.lookup(target, source)


def take_all(
    calibrator: Calibrator,
    poses: list[np.ndarray],
    speed: float,
    into: list[Shot],
    on_progress: Callable[[int, str], None],
) -> None:
    """Visit all poses; one that cannot be reached is passed over.

    Args:
        calibrator: Moves and looks.
        poses: world_T_tip.
        speed: Share of full speed.
        into: Gets the pictures, also those before an error.
        on_progress: Called with the number of poses done and what became of the last.

    Raises:
        SelfGraspError: What ends it: the camera or the robot is gone, the arm was stopped.
    """
    for number, pose in enumerate(poses, 1):
        try:
            into.append(calibrator.take(pose, speed))
        except PlanningFailed as error:
            on_progress(number, f"pose {number} passed over: {error}")
            continue
        seen = calibrator.board.detect(into[-1].color) is not None
        on_progress(number, f"pose {number}: {'board seen' if seen else 'board not seen'}")
