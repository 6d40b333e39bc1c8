"""Writes and inspects the MCAP file of one trial, through the ``rosbags`` library."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.rosbag2.errors import ReaderError

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.trials.buffer import RawMessage
from selfgrasp_nodes.trials.files import sync_file
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.metadata import BagFile, Topic
from selfgrasp_nodes.trials.record import RECORD_TOPIC, RECORD_TYPE, TrialRecord

_MODES = {
    "none": CompressionMode.NONE,
    "chunk": CompressionMode.STORAGE,
    "message": CompressionMode.MESSAGE,
}
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class McapFile:
    """One MCAP file in the making, in a staging folder of its own.

    All methods raise ``OSError`` when the disk is full; the file is then lost
    and :meth:`abort` removes it.
    """

    def __init__(self, folder: Path, types: MessageTypes, compression: str) -> None:
        """Create ``folder`` (replacing what a failed try left) and the file in it."""
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self.path = folder / f"{folder.name}.mcap"
        self._types = types
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(_MODES[compression], CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[str, Connection] = {}
        self.topics: dict[str, Topic] = {}

    def write(self, messages: Sequence[RawMessage], topics: dict[str, Topic]) -> None:
        """Append messages, in their order; each topic is looked up in ``topics``."""
        for message in messages:
            connection = self._connections.get(message.topic)
            if connection is None:
                connection = self._connect(topics[message.topic])
            self._writer.write(connection, message.stamp, message.data)

    def _connect(self, topic: Topic) -> Connection:
        text, digest = self._types.definition(topic.msgtype)
        connection = self._writer.add_connection(
            topic.name,
            topic.msgtype,
            msgdef=text,
            rihs01=digest,
            offered_qos_profiles=topic.qos,
        )
        self._connections[topic.name] = connection
        self.topics[topic.name] = topic
        return connection

    def close(self, name: str) -> BagFile:
        """Finish and sync the file; ``name`` is what it will be called in its bag."""
        self._writer.close()
        sync_file(self.path)
        writer = self._writer
        return BagFile(
            name,
            writer.min_timestamp,
            writer.max_timestamp - writer.min_timestamp,
            {c.topic: writer.counts[c.id] for c in writer.connections},
        )

    def abort(self) -> None:
        """Drop the file and its folder."""
        with contextlib.suppress(Exception):
            self._writer.abort()
        shutil.rmtree(self.folder, ignore_errors=True)


class Inspection(NamedTuple):
    """What a finished trial's file says about itself."""

    file: BagFile
    topics: list[Topic]
    record: TrialRecord
    compressed_messages: bool


def inspect(path: Path, types: MessageTypes) -> Inspection:
    """Read what a folder's metadata or a run's index has to know about a trial's file.

    Raises:
        StorageError: If the file is not complete, or holds no trial's record.
    """
    try:
        with Reader(path) as reader:
            topics, counts = [], {}
            record, compressed = None, False
            for connection in reader.connections:
                ext = connection.ext
                assert isinstance(ext, ConnectionExtRosbag2)
                qos = ext.offered_qos_profiles[0]
                types_hash = types.definition(connection.msgtype)[1]
                topics.append(
                    Topic(
                        connection.topic,
                        connection.msgtype,
                        types_hash,
                        qos.durability.name == "TRANSIENT_LOCAL",
                        qos.reliability.name == "RELIABLE",
                        qos.depth,
                    )
                )
                counts[connection.topic] = connection.msgcount
            connections = [c for c in reader.connections if c.topic == RECORD_TOPIC]
            for connection, _, data in reader.messages(connections):
                compressed = data[:4] == _ZSTD_MAGIC
                text = types.store.deserialize_cdr(uncompressed(data), connection.msgtype)
                record = TrialRecord.from_json(text.data)  # type: ignore[attr-defined]
            if record is None:
                raise StorageError(f"{path} holds no trial record (topic {RECORD_TOPIC})")
            start = reader.start_time
            file = BagFile(path.name, start, reader.end_time - 1 - start, counts)
            return Inspection(file, topics, record, compressed)
    except (OSError, ReaderError, IndexError) as error:
        raise StorageError(f"{path} is not a complete MCAP file: {error}") from error


def record_message(record: TrialRecord, types: MessageTypes, stamp: int) -> RawMessage:
    """A trial's record as the message that goes into its own file."""
    types.load(RECORD_TYPE)
    message = types.store.types[RECORD_TYPE](data=record.to_json())
    return RawMessage(RECORD_TOPIC, bytes(types.store.serialize_cdr(message, RECORD_TYPE)), stamp)


def uncompressed(data: bytes) -> bytes:
    """A message's CDR bytes, whichever compression its bag has.

    CDR begins with 0x00, a zstd frame with 0x28: the two cannot be confused.
    """
    if data[:4] != _ZSTD_MAGIC:
        return data
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        from backports import zstd
    return zstd.decompress(data)
