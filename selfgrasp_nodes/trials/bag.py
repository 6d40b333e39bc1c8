"""Records a run: one rosbag2 (MCAP) whose files are the finished trials.

A run's folder::

    session.json      what it was recorded with
    index.jsonl       one line a finished trial
    bag/              rosbag2: metadata.yaml, trial_000000.mcap, trial_000001.mcap, ...
    bag_1/            the same, where a run has more trials than one folder should hold

A trial is finished in this order, each step synced before the next: its file,
written aside and renamed into the bag; ``metadata.yaml``, replaced atomically;
its line in the index. A process that is killed anywhere leaves a bag whose
metadata lists exactly the files that are whole; what it had finished but not
entered yet is entered when the run is resumed.
"""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

from selfgrasp_nodes.errors import InvalidConfig, StorageError
from selfgrasp_nodes.trials import recovery
from selfgrasp_nodes.trials import session as sessions
from selfgrasp_nodes.trials.bag_folders import BagFolders, close_file
from selfgrasp_nodes.trials.buffer import MessageBuffer, RawMessage
from selfgrasp_nodes.trials.files import RunLock, guarded, storage_error
from selfgrasp_nodes.trials.index import TrialIndex
from selfgrasp_nodes.trials.mcap import McapFile, record_message
from selfgrasp_nodes.trials.message_types import MessageTypes
from selfgrasp_nodes.trials.metadata import Topic
from selfgrasp_nodes.trials.options import RecorderOptions
from selfgrasp_nodes.trials.record import RECORD_TOPIC, RECORD_TYPE, TrialRecord
from selfgrasp_nodes.trials.topics import check_topic

_STAGING = ".staging"


class TrialBagWriter:
    """Takes serialised messages as they come and files them by trial.

    ``write`` may be called from other threads than ``finish_trial``.

    Attributes:
        run: The run's folder.
        session: The content of its ``session.json``.
        index: Its index.
        options: As given.
        recovered: Trials that a killed process had finished but not entered.
    """

    def __init__(
        self,
        run: str | Path,
        session: dict[str, Any] | None = None,
        options: RecorderOptions | None = None,
        types: MessageTypes | None = None,
    ) -> None:
        """Create a run's folder, or resume the run that is in it.

        Args:
            run: Folder; created where it does not exist.
            session: From :func:`selfgrasp_nodes.trials.session.new_session`; that of
                a run which is resumed stays, and gets another start time.
            options: Compression and limits.
            types: Message definitions.

        Raises:
            StorageError: If the folder cannot be written, is being recorded into,
                or is damaged.
        """
        self.run = Path(run)
        self.options = options or RecorderOptions()
        self._types = types or MessageTypes()
        with guarded("cannot create the run's folder", self.run):
            self.run.mkdir(parents=True, exist_ok=True)
            self._lock = RunLock(self.run)
        try:
            self.session = self._open_session(session)
            self.index = TrialIndex(self.run / "index.jsonl")
            bag, metadata, self.recovered = recovery.recover(self.run, self.index, self._types)
            run_id = self.session["run_id"]
            self._bags = BagFolders(self.run, bag, metadata, self.options, run_id)
        except BaseException:
            self._lock.release()
            raise
        self._buffer = MessageBuffer(self.options.pre_roll, self.options.pre_roll_bytes)
        self._buffer_lock = threading.Lock()
        self._disk_lock = threading.Lock()
        record_topic = Topic(RECORD_TOPIC, RECORD_TYPE, self._types.definition(RECORD_TYPE)[1])
        self._topics: dict[str, Topic] = {RECORD_TOPIC: record_topic}
        self._file: McapFile | None = None
        self._spilled = 0
        self._lost = 0
        self._trial = ""
        self._unindexed: TrialRecord | None = None
        self._next = recovery.next_number(self.run)

    def _open_session(self, session: dict[str, Any] | None) -> dict[str, Any]:
        if (self.run / sessions.FILE_NAME).is_file():
            found = sessions.load_session(self.run)
            found["started"].append(sessions.now())
        else:
            found = session or sessions.new_session(self.run.name)
        sessions.save_session(self.run, found)
        return found

    def describe(self, **values: Any) -> None:
        """Say what the run is recorded with, as long as nothing is recorded.

        Args:
            **values: Entries of the session, e.g. ``seed``; empty ones are left out.

        Raises:
            StorageError: If it could not be written.
        """
        self.session.update({key: value for key, value in values.items() if value})
        sessions.save_session(self.run, self.session)

    def add_topic(
        self,
        topic: str,
        msgtype: str,
        *,
        transient_local: bool = False,
        reliable: bool = True,
        depth: int = 10,
    ) -> None:
        """Announce a topic with its publisher's quality of service.

        The last messages of a transient-local topic are repeated at the start of
        every trial's file.

        Raises:
            InvalidConfig: If it is a command or action topic, or known with another type.
            UnknownName: If the type has no definition.
        """
        check_topic(topic, msgtype)
        digest = self._types.definition(msgtype)[1]
        new = Topic(topic, msgtype, digest, transient_local, reliable, depth)
        known = self._topics.setdefault(topic, new)
        if known.msgtype != msgtype:
            raise InvalidConfig(
                f"topic {topic!r} is recorded as {known.msgtype}, and cannot be {msgtype} too"
            )

    def begin_trial(self, trial_id: str) -> None:
        """From here on no message falls out before this trial is finished.

        Without it a trial keeps what the pre-roll limits allow. The trial before
        may still be finished afterwards.
        """
        with self._buffer_lock:
            self._trial = trial_id
            self._buffer.in_trial = True

    def write(self, topic: str, msgtype: str, raw: bytes, stamp: int) -> None:
        """Take one message.

        Args:
            topic: Full name.
            msgtype: ``package/msg/Name``.
            raw: CDR bytes with their encapsulation header, as a raw subscription
                gives them.
            stamp: Time it is filed under [ns, graph clock], >= 0.

        Raises:
            InvalidConfig: If the topic must not be recorded.
            StorageError: If the stamp is negative, or a trial outgrew the memory while the
                disk is full.
        """
        known = self._topics.get(topic)
        if known is None or known.msgtype != msgtype:
            self.add_topic(topic, msgtype)
            known = self._topics[topic]
        message = _message(topic, raw, stamp)
        with self._buffer_lock:
            self._buffer.add(message, known.depth if known.transient_local else 0)
            full = self._buffer.size > self.options.memory_bytes
        if full:
            with self._disk_lock:
                self._spill()

    def _spill(self) -> None:
        """Move what waits in memory to the unfinished trial's file."""
        with self._buffer_lock:
            messages = self._buffer.take()
        try:
            file, latched = self._open_file(messages)
            file.write(latched, self._topics)
            file.write(messages, self._topics)
            self._spilled += len(messages)
        except OSError as error:
            self._drop_file(messages)
            raise storage_error("cannot record into", self.run, error) from error

    def _open_file(self, messages: list[RawMessage]) -> tuple[McapFile, list[RawMessage]]:
        """The unfinished trial's file, and what a new one has to begin with."""
        if self._file is not None:
            return self._file, []
        folder = self.run / _STAGING / f"trial_{self._next:06d}"
        self._file = McapFile(folder, self._types, self.options.compression)
        start = messages[0].stamp if messages else 0
        with self._buffer_lock:
            return self._file, self._buffer.latched(messages, start)

    def _drop_file(self, messages: list[RawMessage]) -> None:
        """After a failure: keep what memory still has, so that a retry can succeed."""
        if self._file is not None:
            self._file.abort()
            self._file = None
        self._lost += self._spilled
        self._spilled = 0
        with self._buffer_lock:
            self._buffer.put_back(messages)

    def finish_trial(
        self, record: TrialRecord, closing: tuple[str, str, bytes, int] | None = None
    ) -> Path:
        """Close the trial; on return it is on disk, in the bag and in the index.

        Args:
            record: Its ``bag``, ``messages``, ``bytes`` and ``finished`` are filled in.
            closing: A last message (as :meth:`write` takes it) that belongs to this
                trial alone: after a failure it is not kept, so that a second call
                does not record it twice.

        Returns:
            The trial's MCAP file.

        Raises:
            StorageError: If it could not be written. Earlier trials are intact, and
                its messages are kept: call again when there is room.
        """
        with self._disk_lock:
            entered = self._enter()
            if entered is not None and entered.trial_id == record.trial_id:
                return self.run / entered.bag
            if any(r.trial_id == record.trial_id for r in self.index.records[-1:]):
                raise StorageError(f"trial {record.trial_id!r} is finished already")
            last = []
            if closing is not None:
                topic, msgtype, raw, stamp = closing
                self.add_topic(topic, msgtype)
                last = [_message(topic, raw, stamp)]
            with self._buffer_lock:
                messages = self._buffer.take()
            try:
                complete = self._write_file(record, messages + last)
            except OSError as error:
                self._drop_file(messages)
                raise storage_error("cannot finish the trial in", self.run, error) from error
            except Exception:
                self._drop_file(messages)
                raise
            with self._buffer_lock:
                if self._trial in ("", record.trial_id):
                    self._trial, self._buffer.in_trial = "", False
            self._spilled = self._lost = 0
            self._next += 1
            self._unindexed = complete
            self._enter()
            return self.run / complete.bag

    def _enter(self) -> TrialRecord | None:
        """Append the finished trial to the index.

        Where that fails it stays to be entered: a retry must not write its file again.
        """
        record = self._unindexed
        if record is not None:
            self.index.append(record)
            self._unindexed = None
        return record

    def _write_file(self, record: TrialRecord, messages: list[RawMessage]) -> TrialRecord:
        """Steps 1 and 2 of finishing: the file in its bag, then the metadata."""
        file, latched = self._open_file(messages)
        last = messages[-1].stamp if messages else max(record.end, 0)
        topics = self._topics
        complete = dataclasses.replace(
            record,
            run_id=record.run_id or self.session["run_id"],
            finished=sessions.now(),
            notes={**record.notes, **({"messages_lost": self._lost} if self._lost else {})},
        )
        file.write(latched, topics)
        file.write(messages, topics)
        self._bags.roll(list(file.topics.values()))
        name = file.path.name
        complete = dataclasses.replace(complete, bag=f"{self._bags.folder.name}/{name}")
        file.write([record_message(complete, self._types, last)], topics)
        entry = close_file(file)
        complete = dataclasses.replace(
            complete, messages=entry.messages, bytes=file.path.stat().st_size
        )
        self._bags.enter(file, entry)
        self._file = None
        file.abort()  # only its empty folder is left
        return complete

    @property
    def dropped(self) -> int:
        """Messages that fell out between trials."""
        return self._buffer.dropped

    @property
    def waiting(self) -> tuple[int, int]:
        """(number, bytes) of the messages that wait in memory."""
        return len(self._buffer), self._buffer.size

    def close(self) -> None:
        """Let go of the run; messages of an unfinished trial are dropped."""
        with self._disk_lock:
            if self._file is not None:
                self._file.abort()
                self._file = None
            self.index.close()
            self._lock.release()

    def __enter__(self) -> TrialBagWriter:
        """The writer itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


def _message(topic: str, raw: bytes, stamp: int) -> RawMessage:
    if stamp < 0:
        raise StorageError(f"a message of {topic!r} has the negative stamp {stamp}")
    return RawMessage(topic, bytes(raw), int(stamp))
