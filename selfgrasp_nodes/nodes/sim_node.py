"""The simulated cell as a node: what a robot with ros2_control offers, and scenes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from geometry_msgs.msg import WrenchStamped
from rosgraph_msgs.msg import Clock as ClockMsg
from selfgrasp.msg import GripperState, ObjectTruth, SceneTruth
from selfgrasp.srv import GetTruth, ResetScene, StepSimulation
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from selfgrasp_nodes.errors import Busy, InvalidScene
from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.robot_state import RobotState
from selfgrasp_nodes.nodes.sim_arm import ArmController
from selfgrasp_nodes.nodes.sim_cameras import SimCameras
from selfgrasp_nodes.nodes.sim_gripper import GripperController, joint_values
from selfgrasp_nodes.nodes.sim_loop import SimLoop
from selfgrasp_nodes.nodes.status import set_ok
from selfgrasp_nodes.nodes.tf import TransformPublisher
from selfgrasp_nodes.robots.urdf import expand_urdf
from selfgrasp_nodes.simulation.board import board_fixture
from selfgrasp_nodes.simulation.meshes import mesh_source
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.scenes import Scene, load_scenes, pick_scene, random_scene
from selfgrasp_nodes.simulation.world import World, WorldOptions


class SimNode(BaseNode):
    """MuJoCo behind the interfaces of a robot's drivers."""

    NAME = "sim"
    PARAMETERS = (
        Param("objects", 10, "Objects that are dropped at the start", low=0, high=100),
        Param("seed", 1, "Of scene and sensor noise", low=0),
        Param("scene", "", "Scene file (JSON) to start with, instead of a random drop"),
        Param("scene_name", "", "Which scene of the file; empty: the first"),
        Param("meshes", "", "Objects instead of blocks: pybullet, pybullet:0-99 or a mesh folder"),
        Param(
            "board", "", "Calibration board in the cell: BOARD@ARM in its fingers, or BOARD@table"
        ),
        Param("noise", True, "Whether sensors are noisy, as the robot's description says"),
        Param("friction_scale", 1.0, "Factor on all friction", low=0.1, high=1.25),
        Param("real_time_factor", 1.0, "Simulated seconds a second; 0: unlimited", low=0.0),
        Param("chunk", 0.004, "Simulated time between two commands [s]", low=0.002, high=0.05),
        Param("state_rate", 100.0, "Joint states, grippers, wrenches [Hz]", low=1.0, high=500.0),
        Param("clock_rate", 50.0, "/clock at most [Hz, wall time]", low=1.0, high=50.0),
        Param("tf_rate", 10.0, "Moving frames [Hz]; also sent with each picture", low=0.0),
        Param("truth_rate", 1.0, "sim/truth [Hz]; 0: only on request", low=0.0, high=50.0),
        Param("stream_rate", 0.0, "Pictures of each camera [Hz]; 0: on request", low=0.0, high=30),
        Param(
            "boundary_pictures",
            False,
            "An overhead picture, where somebody listens, whenever a phase of motion ends, beside "
            "those that the picker asks for; on two cores the next decision waits for them",
        ),
        Param("goal_tolerance", 0.02, "Joint distance at a trajectory's end [rad]", low=0.0),
        Param("goal_time_tolerance", 0.5, "Longest wait for the joints to arrive [s]", low=0.0),
        Param("gripper_goal_tolerance", 0.001, "Opening counts as reached [m]", low=0.0),
        Param("gripper_stall_speed", 0.004, "Slower fingers stand still [m/s]", low=0.0),
        Param("gripper_stall_time", 0.06, "Standing that long is a stall [s]", low=0.0, high=2.0),
    )

    def __init__(self, **options: Any):
        """Build the world, lay out the first scene and begin to step."""
        super().__init__(**options)
        values = self.values
        physics = PhysicsOptions(friction_scale=values["friction_scale"])
        board = board_fixture(self.robot, values["board"]) if values["board"] else None
        world = World(self.robot, WorldOptions(physics, noise=values["noise"], board=board))
        world.reset(self._first_scene(), values["seed"])
        self.loop = SimLoop(world, values["chunk"], values["real_time_factor"])
        self._state = RobotState(self.robot, self.frame)
        self._make_publishers()
        self.cameras = SimCameras(self, self.loop, self._exposed)
        on_end = self._take_boundary if values["boundary_pictures"] else lambda: None
        arms = self.robot.arms
        self._arms = [ArmController(self, self.loop, arm, on_end) for arm in arms]
        self._grippers = [GripperController(self, self.loop, arm, on_end) for arm in arms]
        self.serve(ResetScene, "sim/reset", self._reset)
        self.serve(GetTruth, "sim/get_truth", self._get_truth)
        self.serve(StepSimulation, "sim/step", self._step)
        self._positions: dict[str, float] = {}
        self.loop.every(0.0, self._publish_clock, wall=1.0 / values["clock_rate"])
        self.loop.every(1.0 / values["state_rate"], self._publish_state)
        if values["tf_rate"]:
            self.loop.every(1.0 / values["tf_rate"], self._publish_frames, wall=0.02)
        if values["truth_rate"]:
            self.loop.every(1.0 / values["truth_rate"], self._publish_truth, wall=0.02)
        if values["stream_rate"]:
            self.loop.every(1.0 / values["stream_rate"], self._stream)
        self.loop.start()

    def close(self) -> None:
        """End the stepping and the rendering thread."""
        self.loop.stop()
        self.cameras.close()
        super().close()

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """Real-time factor and pictures."""
        wanted, factor = self.loop.real_time_factor, self.loop.measured_factor
        problem = self.loop.failure
        if not problem and wanted and not self.loop.paused and 0 < factor < 0.9 * wanted:
            problem = f"behind real time: {factor:.2f} of {wanted:g}"
        return problem, {
            "real_time_factor": factor,
            "pictures": self.cameras.pictures,
            "render_ms": self.cameras.render_ms,
        }

    def _make_publishers(self) -> None:
        self._frames = TransformPublisher(self)
        self._frames.send_fixed(
            [conversions.transform_message(p, c, m, 0) for p, c, m in self._state.fixed]
        )
        self._clock_topic = self.create_publisher(ClockMsg, "/clock", qos.SENSOR)
        self._joints = self.create_publisher(JointState, "joint_states", qos.STATE)
        self._truth = self.create_publisher(SceneTruth, "sim/truth", qos.EVENT)
        self._description = self.create_publisher(String, "robot_description", qos.LATCHED)
        self._description.publish(String(data=expand_urdf(self.robot, resolve=False)))
        self._wrenches = {
            arm.name: self.create_publisher(WrenchStamped, arm.wrench_topic, qos.STATE)
            for arm in self.robot.arms
        }
        self._fingers = {
            arm.name: self.create_publisher(GripperState, f"{arm.name}/gripper/state", qos.STATE)
            for arm in self.robot.arms
        }

    # -- called in the stepping thread

    def _publish_clock(self, now: int) -> None:
        self._clock_topic.publish(ClockMsg(clock=conversions.time_message(now)))

    def _publish_state(self, now: int) -> None:
        world = self.loop.world
        states = JointState(header=conversions.header("", now))
        for arm in self.robot.arms:
            q, qd, effort = world.joint_state(arm.name)
            width, force = world.gripper_state(arm.name)
            opening, speed, target = world.gripper_motor(arm.name)
            position, torque = joint_values(arm, width, force)
            states.name += [*arm.joints, arm.gripper.joint]
            states.position.extend([*q.tolist(), position])
            states.velocity.extend([*qd.tolist(), 0.0])
            states.effort.extend([*effort.tolist(), torque])
            moving = speed > self.values["gripper_stall_speed"]
            short = abs(opening - target) > self.values["gripper_goal_tolerance"]
            self._fingers[arm.name].publish(
                GripperState(
                    header=conversions.header(arm.tip_link, now),
                    arm=arm.name,
                    width=float(width),
                    force=float(force),
                    moving=moving,
                    stalled=short and not moving,
                )
            )
            message = WrenchStamped(header=conversions.header(arm.tip_link, now))
            reading = [float(v) for v in world.wrench(arm.name)]
            for part, triple in (("force", reading[:3]), ("torque", reading[3:])):
                vector = getattr(message.wrench, part)
                vector.x, vector.y, vector.z = triple
            self._wrenches[arm.name].publish(message)
        self._joints.publish(states)
        self._positions = dict(zip(states.name, states.position, strict=True))

    def _publish_frames(self, now: int) -> None:
        frames = self._state.frames(self._positions)
        self._frames.send([conversions.transform_message(p, c, m, now) for p, c, m in frames])

    def _exposed(self, now: int) -> None:
        """A picture was taken: its camera's pose at that very moment must be known."""
        if any(camera.parent != "world" for camera in self.robot.cameras):
            self._publish_frames(now)

    def _publish_truth(self, now: int) -> None:
        self._truth.publish(self._truth_message(self.loop.world))

    def _stream(self, now: int) -> None:
        for camera in self.robot.cameras:
            self.cameras.request(camera.name)

    def _take_boundary(self) -> None:
        camera = self.robot.overhead_camera
        if self.cameras.heard(camera):
            self.cameras.request(camera)

    def _truth_message(self, world: World) -> SceneTruth:
        return SceneTruth(
            header=conversions.header(self.frame, self.loop.now),
            scene_id=world.scene.id,
            objects=[
                ObjectTruth(
                    id=item.id,
                    shape=item.shape,
                    pose=conversions.pose_message(item.world_T_object),
                    held_by=item.held_by,
                )
                for item in world.truth()
            ],
        )

    # -- services

    def _reset(self, request: ResetScene.Request, response: ResetScene.Response) -> None:
        if any(arm.busy for arm in self._arms):
            raise Busy("a trajectory is running; cancel it, or wait until the arm is at rest")
        if request.scene_json:
            scene = scene_from_json(request.scene_json, request.scene_name, request.seed)
        else:
            scene = self._drop(request.objects, request.seed)
        self.loop.reset(lambda world: world.reset(scene, int(request.seed)))
        self.cameras.reset()
        response.scene_id = scene.id
        inside = self.robot.workspace.workspace.contains
        truth = self.loop.do(lambda world: world.truth())
        response.settled = sum(inside(*item.world_T_object[:2, 3]) for item in truth)
        set_ok(response, f"{response.settled} objects on the table")

    def _get_truth(self, request: GetTruth.Request, response: GetTruth.Response) -> None:
        response.truth = self.loop.do(self._truth_message)
        set_ok(response)

    def _step(self, request: StepSimulation.Request, response: StepSimulation.Response) -> None:
        if request.command == StepSimulation.Request.STEP:
            self.loop.advance(conversions.seconds(request.duration))
        else:
            self.loop.pause(request.command == StepSimulation.Request.PAUSE)
        response.now = conversions.time_message(self.loop.now)
        set_ok(response)

    def _first_scene(self) -> Scene:
        values = self.values
        if values["scene"]:
            return pick_scene(load_scenes(values["scene"], values["seed"]), values["scene_name"])
        return self._drop(values["objects"], values["seed"])

    def _drop(self, count: int, seed: int) -> Scene:
        assets = mesh_source(self.values["meshes"])
        return random_scene(self.robot, count, seed, mesh_assets=assets)


def scene_from_json(text: str, name: str, seed: int) -> Scene:
    """A scene from JSON text: one scene, or a file's content with several.

    Raises:
        InvalidScene: If it is malformed, or its objects interpenetrate.
        UnknownName: If there is no scene of that name.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidScene(f"scene_json is not JSON: {error}") from error
    if isinstance(content, dict) and "scenes" not in content:
        content = {"scenes": [content]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.json"
        path.write_text(json.dumps(content))
        return pick_scene(load_scenes(path, seed), name)
