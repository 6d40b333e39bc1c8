"""Trials of known content, as CDR bytes of the real message definitions."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.record import TrialRecord
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Outcome,
    OutcomeCode,
    Phase,
    PhaseCode,
    Primitive,
    Trial,
)

SECOND = 10**9
JOINTS = "/joint_states"
STATIC = "/tf_static"
OBSERVATION = "/observation"


class Synthesizer:
    """Serialises messages of the real types from a seed."""

    def __init__(self, types: MessageTypes | None = None, seed: int = 0) -> None:
        self.types = types or MessageTypes()
        self.rng = np.random.default_rng(seed)

    def make(self, msgtype: str, **fields: object) -> object:
        self.types.load(msgtype)
        return self.types.store.types[msgtype](**fields)

    def cdr(self, message: object) -> bytes:
        return bytes(self.types.store.serialize_cdr(message, message.__msgtype__))

    def time(self, stamp: int) -> object:
        return self.make(
            "builtin_interfaces/msg/Time", sec=stamp // SECOND, nanosec=stamp % SECOND
        )

    def header(self, stamp: int, frame: str = "world") -> object:
        return self.make("std_msgs/msg/Header", stamp=self.time(stamp), frame_id=frame)

    def image(self, pixels: np.ndarray, encoding: str, stamp: int) -> object:
        return self.make(
            "sensor_msgs/msg/Image",
            header=self.header(stamp, "camera"),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels[0].nbytes,
            data=np.frombuffer(pixels.tobytes(), np.uint8),
        )

    def transform(self, stamp: int, child: str, matrix: np.ndarray) -> object:
        w, x, y, z = geometry.quaternion(matrix)
        g = "geometry_msgs/msg/"
        return self.make(
            g + "TransformStamped",
            header=self.header(stamp),
            child_frame_id=child,
            transform=self.make(
                g + "Transform",
                translation=self.make(
                    g + "Vector3", **dict(zip("xyz", matrix[:3, 3], strict=False))
                ),
                rotation=self.make(g + "Quaternion", x=x, y=y, z=z, w=w),
            ),
        )

    def tf_static(self, child: str) -> bytes:
        transforms = [self.transform(0, child, np.eye(4))]
        return self.cdr(self.make("tf2_msgs/msg/TFMessage", transforms=transforms))

    def joint_state(self, stamp: int, value: float) -> bytes:
        return self.cdr(
            self.make(
                "sensor_msgs/msg/JointState",
                header=self.header(stamp),
                name=[f"joint_{i}" for i in range(6)],
                position=np.full(6, value),
                velocity=np.zeros(6),
                effort=np.zeros(6),
            )
        )

    def observation(
        self, name: str, stamp: int, color: np.ndarray, depth: np.ndarray, pose: np.ndarray
    ) -> bytes:
        info = self.make(
            "sensor_msgs/msg/CameraInfo",
            header=self.header(stamp, "camera"),
            height=color.shape[0],
            width=color.shape[1],
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=np.array([600.0, 0, 320, 0, 600, 240, 0, 0, 1]),
            r=np.eye(3).ravel(),
            p=np.zeros(12),
            binning_x=0,
            binning_y=0,
            roi=self.make(
                "sensor_msgs/msg/RegionOfInterest",
                x_offset=0,
                y_offset=0,
                height=0,
                width=0,
                do_rectify=False,
            ),
        )
        view = self.make(
            "selfgrasp/msg/View",
            camera="overhead",
            color=self.image(color, "rgb8", stamp),
            depth=self.image(depth, "32FC1", stamp),
            info=info,
            camera_pose=self.transform(stamp, "camera", pose),
        )
        g = "geometry_msgs/msg/"
        cells = (20, 30)
        heightmap = self.make(
            "selfgrasp/msg/Heightmap",
            header=self.header(stamp),
            observation_id=name,
            origin=self.make(
                g + "Pose",
                position=self.make(g + "Point", x=-0.53, y=-0.02, z=0.0),
                orientation=self.make(g + "Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
            ),
            resolution=0.002,
            height_max=0.4,
            color=self.image(np.full((*cells, 3), 7, np.uint8), "rgb8", stamp),
            height=self.image(np.full(cells, 0.05, np.float32), "32FC1", stamp),
            valid=self.image(np.full(cells, 255, np.uint8), "mono8", stamp),
            source_frames=["camera"],
        )
        return self.cdr(
            self.make(
                "selfgrasp/msg/Observation",
                header=self.header(stamp),
                observation_id=name,
                views=[view],
                heightmap=[heightmap],
                regions=[],
            )
        )


def record(number: int, run: str = "run") -> TrialRecord:
    """The record of a synthetic trial, made the way the trial sequence makes it."""
    start = number * 10 * SECOND
    candidate = Candidate(
        Primitive.GRASP,
        geometry.grasp_pose(-0.5, 0.01 * number, 0.03, 0.5),
        angle=0.5,
        width=0.06,
        score=0.9,
        policy="antipodal",
        arm="arm",
        id=f"candidate-{number}",
        observation_id=f"observation-{number}",
    )
    code = OutcomeCode.SUCCESS if number % 2 == 0 else OutcomeCode.MISSED
    outcome = Outcome(code, 0.9, "measured", "grasp/1", 0.03, 0.03, 21.0, 20.0, 1.0)
    phases = (
        Phase(PhaseCode.APPROACH, start, start + SECOND),
        Phase(PhaseCode.LIFT, start + SECOND, start + 2 * SECOND),
    )
    return TrialRecord.from_trial(
        Trial(
            trial_id=f"trial-{number}",
            run_id=run,
            episode_id="episode-0",
            index=number,
            seed=42,
            robot="ur5_rg2",
            config_digest="abc",
            scene_id="scene",
            candidate=candidate,
            outcome=outcome,
            execution=Execution(candidate, phases, None),
            observation_before=f"observation-{number}",
            observation_after=f"observation-{number + 1}",
        )
    )


def feed(writer: TrialBagWriter, make: Synthesizer, number: int, joints: int, size: int) -> None:
    """One trial's messages: an observation with random pixels, and joint states."""
    start = number * 10 * SECOND
    if number == 0:
        writer.add_topic(STATIC, "tf2_msgs/msg/TFMessage", transient_local=True, depth=1)
        for child in ("camera", "table"):
            writer.write(STATIC, "tf2_msgs/msg/TFMessage", make.tf_static(child), 0)
    color = make.rng.integers(0, 255, (size, size, 3), dtype=np.uint8)
    depth = make.rng.random((size, size), dtype=np.float32)
    raw = make.observation(f"observation-{number}", start, color, depth, np.eye(4))
    writer.write(OBSERVATION, "selfgrasp/msg/Observation", raw, start)
    for i in range(joints):
        stamp = start + i * 10**7
        raw = make.joint_state(stamp, number + i / 1000)
        writer.write(JOINTS, "sensor_msgs/msg/JointState", raw, stamp)
