"""``metadata.yaml`` of a rosbag2 folder that grows by one file a trial.

Version 9 of the format (Jazzy and later): quality of service by name, one
entry a file. Written by hand, since a night's run rewrites it thousands of
times: each entry is formatted once.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.trials.files import write_atomic

FILE_NAME = "metadata.yaml"
VERSION = 9
#: "No limit", as rosbag2 itself records it.
_FOREVER = QosTime(9223372036, 854775807)


@dataclass(frozen=True)
class Topic:
    """One recorded topic.

    Attributes:
        name: Full name.
        msgtype: ``package/msg/Name``.
        hash: RIHS01 hash of the type.
        transient_local: Whether late joiners get the last message.
        reliable: Whether the publisher is reliable.
        depth: Of the publisher's history.
    """

    name: str
    msgtype: str
    hash: str
    transient_local: bool = False
    reliable: bool = True
    depth: int = 10

    @property
    def qos(self) -> list[Qos]:
        """The offered quality of service, as ``rosbags`` takes it."""
        return [
            Qos(
                QosHistory.KEEP_LAST,
                self.depth,
                QosReliability.RELIABLE if self.reliable else QosReliability.BEST_EFFORT,
                QosDurability.TRANSIENT_LOCAL if self.transient_local else QosDurability.VOLATILE,
                _FOREVER,
                _FOREVER,
                QosLiveliness.AUTOMATIC,
                _FOREVER,
                False,
            )
        ]

    def yaml(self, count: int) -> str:
        """Its entry under ``topics_with_message_count``."""
        forever = f"{{sec: {_FOREVER.sec}, nsec: {_FOREVER.nsec}}}"
        return (
            "  - topic_metadata:\n"
            f"      name: {json.dumps(self.name)}\n"
            f"      type: {self.msgtype}\n"
            "      serialization_format: cdr\n"
            "      offered_qos_profiles:\n"
            "      - history: keep_last\n"
            f"        depth: {self.depth}\n"
            f"        reliability: {'reliable' if self.reliable else 'best_effort'}\n"
            f"        durability: {'transient_local' if self.transient_local else 'volatile'}\n"
            f"        deadline: {forever}\n"
            f"        lifespan: {forever}\n"
            "        liveliness: automatic\n"
            f"        liveliness_lease_duration: {forever}\n"
            "        avoid_ros_namespace_conventions: false\n"
            f"      type_description_hash: {self.hash}\n"
            f"    message_count: {count}\n"
        )


@dataclass(frozen=True)
class BagFile:
    """One finished MCAP file of the folder; times in [ns]."""

    path: str
    start: int
    duration: int
    counts: dict[str, int]

    @property
    def messages(self) -> int:
        """How many messages it holds."""
        return sum(self.counts.values())

    def yaml(self) -> str:
        """Its entry under ``files``."""
        return (
            f"  - path: {self.path}\n"
            f"    starting_time: {{nanoseconds_since_epoch: {self.start}}}\n"
            f"    duration: {{nanoseconds: {self.duration}}}\n"
            f"    message_count: {self.messages}\n"
        )


@dataclass
class BagMetadata:
    """What ``metadata.yaml`` says about one folder.

    Attributes:
        compressed_messages: Whether each message is compressed by itself
            (zstd); chunk compression is MCAP's own affair and not named here.
        custom: Free text values, e.g. the run's id.
        topics: By name.
        paths: Of the finished files, oldest first.
    """

    compressed_messages: bool = False
    custom: dict[str, str] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    _entries: list[str] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)
    _start: int = 2**63 - 1
    _end: int = 0

    def with_file(self, file: BagFile, topics: list[Topic]) -> BagMetadata:
        """This metadata plus one finished file and the topics that it holds."""
        counts = dict(self._counts)
        for name, count in file.counts.items():
            counts[name] = counts.get(name, 0) + count
        return BagMetadata(
            self.compressed_messages,
            self.custom,
            {**self.topics, **{t.name: t for t in topics}},
            [*self.paths, file.path],
            [*self._entries, file.yaml()],
            counts,
            min(self._start, file.start),
            max(self._end, file.start + file.duration),
        )

    def accepts(self, topics: list[Topic]) -> bool:
        """Whether no topic has another type or quality of service here already."""
        return all(self.topics.get(t.name, t) == t for t in topics)

    def text(self) -> str:
        """The file's content."""
        mode, form = ("MESSAGE", "zstd") if self.compressed_messages else ("", "")
        start = self._start if self.paths else 0
        lines = [
            "rosbag2_bagfile_information:\n",
            f"  version: {VERSION}\n",
            "  storage_identifier: mcap\n",
            f"  duration: {{nanoseconds: {max(0, self._end - start)}}}\n",
            f"  starting_time: {{nanoseconds_since_epoch: {start}}}\n",
            f"  message_count: {sum(self._counts.values())}\n",
            "  topics_with_message_count:" + ("\n" if self.topics else " []\n"),
            *(t.yaml(self._counts.get(t.name, 0)) for t in self.topics.values()),
            f'  compression_format: "{form}"\n',
            f'  compression_mode: "{mode}"\n',
            "  relative_file_paths:" + ("\n" if self.paths else " []\n"),
            *(f"  - {path}\n" for path in self.paths),
            "  files:" + ("\n" if self.paths else " []\n"),
            *self._entries,
            "  custom_data:" + ("\n" if self.custom else " {}\n"),
            *(f"    {json.dumps(k)}: {json.dumps(v)}\n" for k, v in self.custom.items()),
            f"  ros_distro: {os.environ.get('ROS_DISTRO', 'kilted')}\n",
        ]
        return "".join(lines)

    def save(self, folder: Path) -> None:
        """Replace the folder's ``metadata.yaml``, synced.

        Raises:
            OSError: If it could not be written; the one before stays.
        """
        write_atomic(folder / FILE_NAME, self.text())


def load_metadata(folder: Path) -> BagMetadata:
    """Read a folder's ``metadata.yaml`` as this module writes it.

    Raises:
        StorageError: If it is missing or not of this form.
    """
    path = folder / FILE_NAME
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        info = yaml.load(path.read_text(encoding="utf-8"), loader)["rosbag2_bagfile_information"]
        if info["storage_identifier"] != "mcap" or info["version"] != VERSION:
            raise StorageError(
                f"{path} is not a bag that selfgrasp recorded (MCAP, metadata version {VERSION})"
            )
        return _parse(info)
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist; is {folder} a run's bag?") from error
    except (OSError, yaml.YAMLError, KeyError, TypeError, IndexError) as error:
        raise StorageError(f"{path} is not readable as rosbag2 metadata: {error!r}") from error


def _parse(info: dict[str, Any]) -> BagMetadata:
    result = BagMetadata(
        compressed_messages=str(info["compression_mode"]).lower() == "message",
        custom=dict(info.get("custom_data") or {}),
    )
    for item in info["topics_with_message_count"]:
        meta = item["topic_metadata"]
        qos = meta["offered_qos_profiles"][0]
        topic = Topic(
            meta["name"],
            meta["type"],
            meta["type_description_hash"],
            qos["durability"] == "transient_local",
            qos["reliability"] == "reliable",
            qos["depth"],
        )
        result.topics[topic.name] = topic
        result._counts[topic.name] = item["message_count"]
    for item in info["files"]:
        start = item["starting_time"]["nanoseconds_since_epoch"]
        duration = item["duration"]["nanoseconds"]
        file = BagFile(item["path"], start, duration, {"": item["message_count"]})
        result.paths.append(file.path)
        result._entries.append(file.yaml())
        result._start = min(result._start, start)
        result._end = max(result._end, start + duration)
    return result
