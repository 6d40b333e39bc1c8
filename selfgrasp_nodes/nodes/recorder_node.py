"""Records trials: raw messages of state topics into bags, trial by trial."""

from __future__ import annotations

import importlib
import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from selfgrasp.srv import StartRun, StoreTrial

from selfgrasp_nodes.errors import Busy, InvalidConfig, NotReady, SelfGraspError, StorageError
from selfgrasp_nodes.nodes import conversions, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.status import set_ok
from selfgrasp_nodes.robots import config_digest
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.options import load_options
from selfgrasp_nodes.trials.record import TrialRecord
from selfgrasp_nodes.trials.session import load_session, new_session
from selfgrasp_nodes.trials.topics import check_topic

STATE_TOPICS = (
    "observation",  # holds the pictures that were used, and heightmap and regions
    "candidates",
    "outcomes",
    "joint_states",
    "/tf",
    "/tf_static",
    "robot_description",
)
_TRIAL_TYPE = "selfgrasp/msg/Trial"
_DEPTH = 200
_KEPT_IDENTITIES = 64  # of observations that have come


class RecorderNode(BaseNode):
    """State topics in, bags and an index of trials out. Never a command topic."""

    NAME = "recorder"
    PARAMETERS = (
        Param("uri", "", "Folder of the run; empty: out/recording-<time>"),
        Param("record_at_start", False, "Begin a run at once, without start_run"),
        Param("topics", list(STATE_TOPICS), "State topics to record, beside gripper and wrench"),
        Param("bag_file", "", "YAML with compression and limits; empty: config/recorder.yaml"),
        Param("observation_timeout", 5.0, "Longest wait for a trial's pictures [s]", low=0.0),
        Param("discovery_period", 0.5, "Between two looks for topics [s]", low=0.05, high=60.0),
    )

    def __init__(self, **options: Any):
        """Subscribe to what is there, and go on looking."""
        super().__init__(**options)
        self._options = load_options(self.values["bag_file"])
        names = list(self.values["topics"])
        self.declare_digest(self._options, sorted(names))
        for arm in self.robot.arms:
            names += [f"{arm.name}/gripper/state", arm.wrench_topic]
        self._wanted = {self.resolve_topic_name(name) for name in names}
        for name in self._wanted:
            check_topic(name, "std_msgs/msg/String")  # refuses names of commands at once
        self._trial_topic = self.resolve_topic_name("trial")
        self._announced: dict[str, dict[str, Any]] = {}
        self._writer: TrialBagWriter | None = None
        self._lock = threading.Lock()
        self._received, self._trials = 0, 0
        self._problem = ""
        self._observation_topic = self.resolve_topic_name("observation")
        self._observed: deque[str] = deque(maxlen=_KEPT_IDENTITIES)
        self._heard = threading.Condition()
        self.serve(StartRun, "start_run", self._start_run)
        self.serve(StoreTrial, "store_trial", self._store_trial)
        if self.values["record_at_start"]:
            self._open(self._folder(""), StartRun.Request(resume=True))
        self._discover()
        self.every(self.values["discovery_period"], self._discover)

    def close(self) -> None:
        """Let go of the run; finished trials are on disk already."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        super().close()

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """What is recorded."""
        missing = sorted(self._wanted - set(self._announced))
        return self._problem, {
            "run": str(self._writer.run) if self._writer is not None else "",
            "trials": self._trials,
            "messages": self._received,
            "topics": len(self._announced),
            "not_yet_there": ", ".join(missing),
        }

    def _discover(self) -> None:
        """Subscribe to wanted topics that have a publisher now."""
        for name in self._wanted - set(self._announced):
            publishers = self.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            kind = publishers[0].topic_type
            try:
                check_topic(name, kind)
                message_class = message_type(kind)
            except SelfGraspError as error:
                self._problem = str(error)
                self.get_logger().error(str(error), throttle_duration_sec=30.0)
                continue
            profiles = [info.qos_profile for info in publishers]
            latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
            reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
            profile = QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=_DEPTH,
                reliability=(
                    ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
                ),
                durability=(
                    DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
                ),
            )
            announced = {"transient_local": latched, "reliable": reliable}
            with self._lock:
                self._announced[name] = {"msgtype": kind, **announced}
                if self._writer is not None:
                    self._writer.add_topic(name, kind, **announced)
            self.create_subscription(
                message_class,
                name,
                lambda raw, name=name, kind=kind: self._take(name, kind, raw),
                profile,
                callback_group=self.group,
                raw=True,
            )

    def _take(self, name: str, kind: str, raw: bytes) -> None:
        writer = self._writer
        if writer is None:
            return
        self._received += 1
        try:
            writer.write(name, kind, raw, max(self.now(), 0))
            self._problem = ""
        except SelfGraspError as error:
            self._problem = str(error)
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
        if name == self._observation_topic:
            identity = observation_id(raw)
            with self._heard:
                self._observed.append(identity)
                self._heard.notify_all()

    def _folder(self, uri: str) -> Path:
        given = uri or self.values["uri"]
        if given:
            return Path(given.removeprefix("file://")).expanduser().absolute()
        return Path("out").absolute() / f"recording-{time.strftime('%Y%m%d-%H%M%S')}"

    def _open(self, folder: Path, request: StartRun.Request) -> TrialBagWriter:
        """Begin or resume the run in a folder.

        Raises:
            InvalidConfig: If it was recorded with another robot or configuration.
            StorageError: If it must not or cannot be written.
        """
        if (folder / "session.json").is_file():
            if not request.resume:
                raise StorageError(
                    f"{folder} holds a run already; choose another folder, or resume it"
                )
            session = load_session(folder)
            wanted = {"robot": self.robot.name, "config_digest": request.config_digest}
            for key, value in wanted.items():
                if session.get(key) and value and session[key] != value:
                    raise InvalidConfig(
                        f"the run in {folder} was recorded with {key} {session[key]!r}, not "
                        f"{value!r}; record into another folder"
                    )
        elif folder.is_dir() and any(folder.iterdir()):
            raise StorageError(f"{folder} is not empty; choose another folder")
        session = new_session(
            request.run_id or folder.name,
            robot=self.robot.name,
            robot_digest=config_digest(self.robot),
            config_digest=request.config_digest,
            seed=int(request.seed),
        )
        writer = TrialBagWriter(folder, session, self._options)
        with self._lock:
            for name, about in self._announced.items():
                writer.add_topic(name, **about)
            self._writer, self._trials = writer, len(writer.index.records)
        self.get_logger().info(f"recording into {folder}")
        return writer

    def _start_run(self, request: StartRun.Request, response: StartRun.Response) -> None:
        writer = self._writer
        goes_on = writer is not None and not request.uri
        folder = writer.run if writer is not None and goes_on else self._folder(request.uri)
        if request.robot and request.robot != self.robot.name:
            raise InvalidConfig(
                f"this recorder listens to robot {self.robot.name!r}, not {request.robot!r}"
            )
        if writer is not None and writer.run != folder:
            if self._trials:
                raise Busy(f"the run in {writer.run} is being recorded; restart the recorder")
            with self._lock:
                writer.close()
                self._writer = writer = None
        if writer is None:
            writer = self._open(folder, request)
        elif self._trials and not request.resume:
            raise StorageError(f"{folder} holds {self._trials} trials already; resume it")
        elif not self._trials:
            # It was opened before anybody knew what it would be recorded with.
            writer.describe(seed=int(request.seed), config_digest=request.config_digest)
        response.run_id, response.uri = writer.session["run_id"], str(writer.run)
        response.trials = self._trials
        set_ok(response)

    def _store_trial(self, request: StoreTrial.Request, response: StoreTrial.Response) -> None:
        writer = self._writer
        if writer is None:
            raise NotReady("no run is being recorded; call start_run first")
        trial = trial_messages.trial(request.trial)
        missing = self._await_observations(trial.observation_before, trial.observation_after)
        record = TrialRecord.from_trial(trial)
        if missing:
            record.notes["observations_missing"] = missing
            self.get_logger().warning(
                f"{trial.trial_id}: observation {', '.join(missing)} did not arrive within "
                f"{self.values['observation_timeout']:g} s; the trial is stored without"
            )
        raw = serialize_message(request.trial)
        stamp = max(conversions.stamp(request.trial.header.stamp), 0)
        path = writer.finish_trial(record, (self._trial_topic, _TRIAL_TYPE, raw, stamp))
        self._trials = len(writer.index.records)
        response.bag_uri, response.trials = str(path), self._trials
        set_ok(response)

    def _await_observations(self, *identities: str) -> list[str]:
        """Wait until the pictures that a trial names are taken; those that did not come.

        They were published before the call, on another topic: they may come after it.
        The executor's thread takes them while this thread waits.
        """
        if self._observation_topic not in self._announced:
            return []  # not wanted, or nobody publishes any
        wanted = [identity for identity in identities if identity]
        with self._heard:
            self._heard.wait_for(
                lambda: all(identity in self._observed for identity in wanted),
                self.values["observation_timeout"],
            )
            return [identity for identity in wanted if identity not in self._observed]


def message_type(name: str) -> type:
    """The class of a message type.

    Raises:
        InvalidConfig: If its package is not installed here.
    """
    package, _, kind = name.split("/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError) as error:
        raise InvalidConfig(f"message type {name!r} is not installed: {error}") from error
    return found


def observation_id(raw: bytes) -> str:
    """The ``observation_id`` of a serialised Observation, without reading its pictures.

    CDR: four bytes that name the byte order; the header (stamp of two numbers, frame as a
    counted text); then the identity, counted and aligned to four bytes.
    """
    order = "<" if raw[1] & 1 else ">"

    def text(at: int) -> tuple[str, int]:
        at += -(at - 4) % 4  # alignment counts from behind the first four bytes
        (length,) = struct.unpack_from(f"{order}I", raw, at)
        end = at + 4 + int(length)
        return bytes(raw[at + 4 : end - 1]).decode(), end

    _, end = text(12)
    return text(end)[0]
