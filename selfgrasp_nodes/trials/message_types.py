"""Message definitions and their hashes, for the schema that goes into a bag.

Standard types come from the ``rosbags`` library; a type that it does not know
is read from its ``.msg`` file, in this package's shared files or in an
installation of ROS 2.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.records import Schema
from mcap_ros2.decoder import DecoderFactory
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from selfgrasp_nodes.errors import InvalidConfig, StorageError, UnknownName
from selfgrasp_nodes.paths import PACKAGE, share_dir

_STORES = {
    "none": Stores.EMPTY,
    "humble": Stores.ROS2_HUMBLE,
    "jazzy": Stores.ROS2_JAZZY,
    "kilted": Stores.ROS2_KILTED,
    "lyrical": Stores.ROS2_LYRICAL,
}


def _search_paths() -> Iterator[tuple[str, Path]]:
    """(package, or "*" for any) and the folder whose ``msg/`` holds definitions."""
    with contextlib.suppress(InvalidConfig):
        yield PACKAGE, share_dir()
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in (*prefixes, sys.prefix):
        if prefix:
            yield "*", Path(prefix) / "share"


def find_definition(msgtype: str) -> Path | None:
    """The ``.msg`` file of a type, or None."""
    package, _, name = msgtype.split("/")
    for owner, folder in _search_paths():
        base = folder if owner == package else folder / package
        path = base / "msg" / f"{name}.msg"
        if owner in (package, "*") and path.is_file():
            return path
    return None


def _nested(fields: list[tuple[str, Any]]) -> Iterator[str]:
    """Names of the message types that a definition refers to."""
    for _, (kind, detail) in fields:
        if kind == Nodetype.NAME:
            yield detail
        elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) and detail[0][0] == Nodetype.NAME:
            yield detail[0][1]


class MessageTypes:
    """Definitions by type name, loaded when first asked for.

    Attributes:
        store: The ``rosbags`` type store, to serialise and deserialise with.
    """

    def __init__(self, distro: str = "") -> None:
        """Start from the standard types of a ROS 2 distribution.

        Args:
            distro: Its name; that of the environment, or Kilted, where empty; "none"
                to start with no type at all (a bag brings its own definitions).
        """
        name = distro or os.environ.get("ROS_DISTRO", "kilted")
        self.store: Typestore = get_typestore(_STORES.get(name, Stores.ROS2_KILTED))
        self._definitions: dict[str, tuple[str, str]] = {}
        self._decoders: dict[str, Any] = {}

    def add(self, msgtype: str, text: str) -> None:
        """Add a type from its definition (nested types may follow, as in a bag)."""
        types = get_types_from_msg(text, msgtype)
        self.store.register({k: v for k, v in types.items() if k not in self.store.fielddefs})

    def load(self, msgtype: str) -> None:
        """Make a type and all that it refers to known.

        Raises:
            UnknownName: If there is no definition of it.
        """
        waiting = [msgtype]
        while waiting:
            name = waiting.pop()
            if name not in self.store.fielddefs:
                path = find_definition(name)
                if path is None:
                    raise UnknownName(
                        "message type (build or source the package that defines it)",
                        name,
                        [f"{len(self.store.fielddefs)} known types, e.g. sensor_msgs/msg/Image"],
                    )
                self.add(name, path.read_text(encoding="utf-8"))
                waiting.extend(_nested(self.store.fielddefs[name][1]))

    def definition(self, msgtype: str) -> tuple[str, str]:
        """(full definition text, RIHS01 hash) of a type.

        Raises:
            UnknownName: If there is no definition of it.
        """
        if msgtype not in self._definitions:
            self.load(msgtype)
            text, _ = self.store.generate_msgdef(msgtype, ros_version=2)
            self._definitions[msgtype] = text, self.store.hash_rihs01(msgtype)
        return self._definitions[msgtype]

    def decode(self, msgtype: str, raw: bytes) -> Any:
        """A message as an object with the fields of its definition.

        By ``mcap-ros2-support``: ``rosbags`` takes an empty sequence of doubles to be followed
        by padding, which ROS 2 does not write, and so misreads a JointTrajectory with no efforts.

        Raises:
            StorageError: If the bytes do not fit the definition.
        """
        try:
            if msgtype not in self._decoders:
                text = self.definition(msgtype)[0].encode()
                schema = Schema(data=text, encoding="ros2msg", id=1, name=msgtype)
                self._decoders[msgtype] = DecoderFactory().decoder_for("cdr", schema)
            return self._decoders[msgtype](raw)
        except Exception as error:  # the library raises whatever its parser stumbles on
            raise StorageError(f"a message of type {msgtype} is damaged: {error}") from error
