"""Reads a run back: its trials, their messages, and observations by id. No ROS.

A run that is being recorded, or whose recorder was killed, reads as the trials
that were finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError

from selfgrasp_nodes.errors import StorageError, UnknownName
from selfgrasp_nodes.trials import decode, index, session
from selfgrasp_nodes.trials.mcap import uncompressed
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.record import TrialRecord
from selfgrasp_nodes.types import Observation

OBSERVATION_TYPE = "selfgrasp/msg/Observation"


@dataclass(frozen=True)
class Message:
    """One recorded message.

    Attributes:
        topic: Full name.
        msgtype: ``package/msg/Name``.
        stamp: Time it is filed under [ns].
        raw: CDR bytes, as they were received.
        types: Definitions to deserialise it with.
    """

    topic: str
    msgtype: str
    stamp: int
    raw: bytes
    types: MessageTypes

    def decode(self) -> Any:
        """The message as an object; see :meth:`MessageTypes.decode`."""
        return self.types.decode(self.msgtype, self.raw)


class TrialReader:
    """One finished trial."""

    def __init__(self, run: RunReader, record: TrialRecord) -> None:
        """See :meth:`RunReader.trials`."""
        self._run = run
        self.record = record
        self.path = run.path / record.bag

    def messages(self, topics: Sequence[str] = (), msgtype: str = "") -> Iterator[Message]:
        """Its messages in the order of their stamps.

        Args:
            topics: Only these; all where empty.
            msgtype: Only this type; all where empty.

        Raises:
            StorageError: If the file is missing or damaged.
        """
        types = self._run.types
        try:
            with Reader(self.path) as reader:
                wanted = [
                    c
                    for c in reader.connections
                    if (not topics or c.topic in topics) and msgtype in ("", c.msgtype)
                ]
                for connection in wanted:
                    # The definition of the recording, not of the installation, counts.
                    types.add(connection.msgtype, connection.msgdef.data)
                if wanted:
                    for connection, stamp, data in reader.messages(wanted):
                        raw = uncompressed(data)
                        yield Message(connection.topic, connection.msgtype, stamp, raw, types)
        except (OSError, ReaderError) as error:
            raise StorageError(f"cannot read {self.path}: {error}") from error

    def topics(self) -> dict[str, tuple[str, int]]:
        """(type, number of messages) by topic."""
        try:
            with Reader(self.path) as reader:
                return {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        except (OSError, ReaderError) as error:
            raise StorageError(f"cannot read {self.path}: {error}") from error

    def observations(self) -> Iterator[Observation]:
        """Every observation in its file."""
        for message in self.messages(msgtype=OBSERVATION_TYPE):
            yield decode.observation(message.decode())

    def observation(self, which: str = "before") -> Observation:
        """The observation that was decided on (``before``), or the one ``after``.

        Raises:
            UnknownName: If the trial has none, or the run does not hold it.
        """
        names = {"before": self.record.observation_before, "after": self.record.observation_after}
        if which not in names:
            raise UnknownName("observation", which, names)
        return self._run.observation(names[which], near=self.record)


class RunReader:
    """A run's folder.

    Attributes:
        path: The folder.
        session: The content of ``session.json``.
        records: The index, one entry a finished trial.
        types: Message definitions, as the bags hold them.
    """

    def __init__(self, run: str | Path) -> None:
        """Open it.

        Raises:
            StorageError: If it is not a run, or its index is damaged.
        """
        self.path = Path(run)
        self.session = session.load_session(self.path)
        self.records = index.read_index(self.path / index.FILE_NAME)
        self.types = MessageTypes("none")

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {record.trial_id: i for i, record in enumerate(self.records)}

    def trials(self) -> Iterator[TrialReader]:
        """The finished trials, oldest first."""
        for record in self.records:
            yield TrialReader(self, record)

    def trial(self, trial_id: str) -> TrialReader:
        """The trial of that id.

        Raises:
            UnknownName: If there is none.
        """
        if trial_id not in self._positions:
            raise UnknownName("trial", trial_id, list(self._positions)[:20])
        return TrialReader(self, self.records[self._positions[trial_id]])

    def observation(self, observation_id: str, near: TrialRecord | None = None) -> Observation:
        """The observation of that id.

        What one trial ends with may be what the next decides on, so the trial's
        own file is searched first and then its neighbours'.

        Raises:
            UnknownName: If no file of the run holds it.
        """
        if observation_id:
            at = self._positions.get(near.trial_id, 0) if near else 0
            order = sorted(range(len(self.records)), key=lambda i: (abs(i - at), i))
            for i in order:
                reader = TrialReader(self, self.records[i])
                for message in reader.messages(msgtype=OBSERVATION_TYPE):
                    decoded = message.decode()
                    if decoded.observation_id == observation_id:
                        return decode.observation(decoded)
        raise UnknownName("observation", observation_id, ["ids are in the index of the run"])
