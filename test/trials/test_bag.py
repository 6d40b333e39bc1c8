from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from trial_synthesis import JOINTS, OBSERVATION, SECOND, STATIC, Synthesizer, feed, record

from selfgrasp_nodes.errors import InvalidConfig, StorageError, UnknownName
from selfgrasp_nodes.trials.bag import TrialBagWriter
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.options import RecorderOptions, load_options
from selfgrasp_nodes.trials.reader import RunReader
from selfgrasp_nodes.trials.record import RECORD_TOPIC


def make_run(run: Path, trials: int = 3, first: int = 0, **options) -> None:
    make = Synthesizer(seed=first)
    with TrialBagWriter(run, options=RecorderOptions(**options)) as writer:
        for number in range(first, first + trials):
            writer.begin_trial(f"trial-{number}")
            feed(writer, make, number, joints=20, size=32)
            path = writer.finish_trial(record(number))
            assert path.is_file()


@pytest.mark.parametrize("compression", ["none", "chunk", "message"])
def test_the_whole_folder_is_one_rosbag2(tmp_path, compression):
    make_run(tmp_path / "run", 3, compression=compression)
    with AnyReader([tmp_path / "run" / "bag"]) as reader:
        topics = {name: info.msgcount for name, info in reader.topics.items()}
        messages = list(reader.messages())
        stamps = [m[1] for m in messages]
        joints = [
            reader.deserialize(raw, c.msgtype).position[0]
            for c, _, raw in messages
            if c.topic == JOINTS
        ]
    # tf_static: two messages at first, then repeated at the head of each file.
    assert topics == {STATIC: 6, OBSERVATION: 3, JOINTS: 60, RECORD_TOPIC: 3}
    assert len(messages) == 72
    assert stamps == sorted(stamps)
    assert joints == pytest.approx([n + i / 1000 for n in range(3) for i in range(20)])


def test_metadata_is_what_rosbag2_expects_of_split_files(tmp_path):
    make_run(tmp_path / "run", 3)
    bag = tmp_path / "run" / "bag"
    info = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    files = ["trial_000000.mcap", "trial_000001.mcap", "trial_000002.mcap"]
    assert info["version"] == 9
    assert info["storage_identifier"] == "mcap"
    assert info["compression_format"] == info["compression_mode"] == ""
    assert info["relative_file_paths"] == files
    assert [f["path"] for f in info["files"]] == files
    assert sum(f["message_count"] for f in info["files"]) == info["message_count"] == 72
    assert info["starting_time"]["nanoseconds_since_epoch"] == 0
    assert info["duration"]["nanoseconds"] == 20 * SECOND + 19 * 10**7
    for item, path in zip(info["files"], files, strict=True):
        with Reader(bag / path) as reader:
            assert item["message_count"] == reader.message_count
            assert item["starting_time"]["nanoseconds_since_epoch"] == reader.start_time
            assert item["duration"]["nanoseconds"] == reader.duration - 1
    topics = {t["topic_metadata"]["name"]: t for t in info["topics_with_message_count"]}
    static = topics[STATIC]["topic_metadata"]
    assert static["offered_qos_profiles"][0]["durability"] == "transient_local"
    assert static["offered_qos_profiles"][0]["depth"] == 1
    assert topics[JOINTS]["topic_metadata"]["offered_qos_profiles"][0]["durability"] == "volatile"
    assert topics[JOINTS]["message_count"] == 60
    types = MessageTypes()
    for item in topics.values():
        meta = item["topic_metadata"]
        assert meta["serialization_format"] == "cdr"
        assert meta["type_description_hash"] == types.definition(meta["type"])[1]


def test_every_file_stands_alone_with_what_late_joiners_get(tmp_path):
    make_run(tmp_path / "run", 2)
    with Reader(tmp_path / "run" / "bag" / "trial_000001.mcap") as reader:
        static = [c for c in reader.connections if c.topic == STATIC]
        assert static[0].ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL
        assert static[0].msgcount == 2
        first = next(reader.messages())
        assert first[0].topic == STATIC
        assert first[1] == 10 * SECOND


def test_message_bytes_come_back_identical(tmp_path):
    make = Synthesizer(seed=3)
    sent = [make.joint_state(i, float(i)) for i in range(50)]
    with TrialBagWriter(tmp_path / "run") as writer:
        for i, raw in enumerate(sent):
            writer.write(JOINTS, "sensor_msgs/msg/JointState", raw, i)
        writer.finish_trial(record(0))
    trial = next(RunReader(tmp_path / "run").trials())
    assert [m.raw for m in trial.messages([JOINTS])] == sent


@pytest.mark.parametrize(
    ("topic", "msgtype"),
    [
        (
            "/arm/joint_trajectory_controller/joint_trajectory",
            "trajectory_msgs/msg/JointTrajectory",
        ),
        (
            "/arm/follow/_action/feedback",
            "control_msgs/action/FollowJointTrajectory_FeedbackMessage",
        ),
        ("/arm/follow/_action/status", "action_msgs/msg/GoalStatusArray"),
        ("/gripper/command", "std_msgs/msg/Float64"),
        ("/cmd_vel", "geometry_msgs/msg/Pose"),
        ("/base", "geometry_msgs/msg/Twist"),
        ("/forward_position_controller/commands", "std_msgs/msg/Float64"),
        ("/plan/_service_event", "selfgrasp/srv/Plan_Event"),
        ("/no type", "sensor_msgs/msg/Image"),
    ],
)
def test_command_topics_are_refused(tmp_path, topic, msgtype):
    with TrialBagWriter(tmp_path / "run") as writer:
        with pytest.raises(InvalidConfig, match="is not recorded"):
            writer.write(topic, msgtype, b"\x00\x01\x00\x00", 0)
        assert writer.waiting == (0, 0)


def test_unknown_types_and_a_second_type_for_a_topic_are_refused(tmp_path):
    with TrialBagWriter(tmp_path / "run") as writer:
        with pytest.raises(UnknownName, match="no_such_msgs/msg/Thing"):
            writer.add_topic("/thing", "no_such_msgs/msg/Thing")
        writer.add_topic("/image", "sensor_msgs/msg/Image")
        with pytest.raises(InvalidConfig, match="cannot be std_msgs/msg/String too"):
            writer.add_topic("/image", "std_msgs/msg/String")


def test_resuming_continues_the_same_bag_and_index(tmp_path):
    make_run(tmp_path / "run", 2)
    make_run(tmp_path / "run", 2, first=2)
    run = RunReader(tmp_path / "run")
    assert [r.trial_id for r in run.records] == [f"trial-{i}" for i in range(4)]
    assert [r.bag for r in run.records] == [f"bag/trial_{i:06d}.mcap" for i in range(4)]
    assert len(run.session["started"]) == 2
    with AnyReader([tmp_path / "run" / "bag"]) as reader:
        assert reader.topics[JOINTS].msgcount == 80
        assert len(list(reader.messages())) == reader.message_count


def test_a_run_continues_in_another_bag_when_one_is_full_or_a_topic_changed(tmp_path):
    run = tmp_path / "run"
    make_run(run, 5, trials_per_bag=2)
    assert [r.bag.split("/")[0] for r in RunReader(run).records] == [
        "bag", "bag", "bag_1", "bag_1", "bag_2",
    ]  # fmt: skip
    make = Synthesizer()
    with TrialBagWriter(run) as writer:
        writer.add_topic(JOINTS, "sensor_msgs/msg/JointState", reliable=False)
        feed(writer, make, 5, joints=5, size=8)
        assert writer.finish_trial(record(5)).parent.name == "bag_3"
    for bag, count in (("bag", 40), ("bag_1", 40), ("bag_2", 20), ("bag_3", 5)):
        with AnyReader([run / bag]) as reader:
            assert sum(1 for c, _, _ in reader.messages() if c.topic == JOINTS) == count


def test_only_one_process_records_into_a_run(tmp_path):
    with (
        TrialBagWriter(tmp_path / "run"),
        pytest.raises(StorageError, match="recorded into by another"),
    ):
        TrialBagWriter(tmp_path / "run")
    TrialBagWriter(tmp_path / "run").close()


def test_what_falls_between_trials_is_kept_within_limits(tmp_path):
    make = Synthesizer()
    options = RecorderOptions(pre_roll=1.0)
    with TrialBagWriter(tmp_path / "run", options=options) as writer:
        for i in range(50):  # 5 s of idling: only the last second stays
            writer.write(JOINTS, "sensor_msgs/msg/JointState", make.joint_state(i, i), i * 10**8)
        assert writer.waiting[0] == 11
        writer.begin_trial("trial-0")
        for i in range(50, 100):  # 5 s of a trial: all of it stays
            writer.write(JOINTS, "sensor_msgs/msg/JointState", make.joint_state(i, i), i * 10**8)
        assert writer.waiting[0] == 61
        writer.finish_trial(record(0))
        assert writer.dropped == 39
        # A reset simulation begins at zero again: nothing of before leaks into it.
        writer.write(JOINTS, "sensor_msgs/msg/JointState", make.joint_state(0, 0), 99 * 10**8)
        writer.write(JOINTS, "sensor_msgs/msg/JointState", make.joint_state(0, 0), 0)
        assert writer.waiting[0] == 1
    assert RunReader(tmp_path / "run").records[0].messages == 62


def test_a_trial_larger_than_the_memory_goes_to_the_disk_as_it_comes(tmp_path):
    make = Synthesizer()
    options = RecorderOptions(memory_bytes=20_000)
    with TrialBagWriter(tmp_path / "run", options=options) as writer:
        writer.begin_trial("trial-0")
        feed(writer, make, 0, joints=500, size=64)
        assert writer.waiting[1] <= 20_000
        writer.finish_trial(record(0))
    trial = next(RunReader(tmp_path / "run").trials())
    assert trial.topics()[JOINTS] == ("sensor_msgs/msg/JointState", 500)
    assert trial.topics()[STATIC][1] == 2
    values = [m.decode().position[0] for m in trial.messages([JOINTS])]
    assert values == pytest.approx(np.arange(500) / 1000)


def test_a_trial_is_finished_once(tmp_path):
    with TrialBagWriter(tmp_path / "run") as writer:
        writer.finish_trial(record(0))
        with pytest.raises(StorageError, match="finished already"):
            writer.finish_trial(record(0))


def test_a_negative_stamp_is_refused_and_harms_nothing(tmp_path):
    make = Synthesizer()
    raw = make.joint_state(0, 0.0)
    with TrialBagWriter(tmp_path / "run") as writer:
        writer.write(JOINTS, "sensor_msgs/msg/JointState", raw, 5)
        with pytest.raises(StorageError, match="negative stamp"):
            writer.write(JOINTS, "sensor_msgs/msg/JointState", raw, -1)
        with pytest.raises(StorageError, match="negative stamp"):
            writer.finish_trial(record(0), (JOINTS, "sensor_msgs/msg/JointState", raw, -1))
        writer.finish_trial(record(0))
    assert RunReader(tmp_path / "run").records[0].messages == 2


def test_session_says_what_the_run_was_recorded_with(tmp_path):
    make_run(tmp_path / "run", 1)
    session = json.loads((tmp_path / "run" / "session.json").read_text())
    assert session["run_id"] == "run"
    assert session["versions"]["rosbags"]
    assert session["schema"] == 1


def test_options_ship_with_the_package_and_unknown_names_are_refused(tmp_path):
    assert load_options() == RecorderOptions()
    bad = tmp_path / "recorder.yaml"
    bad.write_text("bag: {compresion: chunk}")
    with pytest.raises(InvalidConfig, match="compresion"):
        load_options(bad)
    bad.write_text("bag: {compression: gzip}")
    with pytest.raises(InvalidConfig, match="compression"):
        load_options(bad)
