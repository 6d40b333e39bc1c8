"""One try as the store keeps it, and how its pictures become bytes.

Colour is a JPEG, height a 16-bit PNG in steps of half a millimetre: about what
the depth cameras' noise allows, and lossless from there on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from selfgrasp_nodes.errors import StorageError

JPEG_QUALITY = 92
HEIGHT_STEP = 0.0005
"""Of a stored height [m]."""

HEIGHT_ZERO = 1 << 15
"""The stored number of height 0; the number 0 itself stands for NaN."""


@dataclass(frozen=True, eq=False)
class StoredTry:
    """One finished try of a store.

    Attributes:
        run: Id of the run that it belongs to.
        episode: Number of the episode in the run: one dropped clutter.
        try_: Number of the try in the episode; (run, episode, try_) is unique.
        robot: Name of the robot.
        arm: That acted.
        gripper: Name of its gripper.
        view: Camera that the crop comes from.
        policy: That proposed the action.
        checkpoint: Digest of its weights; empty where it has none.
        stage: 0 for random tries, k for those of stage k.
        propensity: Probability density with which the policy chose this action
            [1 / (m^2 rad)] as its first draw; NaN where unknown. Of several candidates
            that are drawn without replacement the later ones are made only where the
            earlier cannot be planned, and have the density of a first draw, too.
        pose: (4, 4) world_T_tcp as executed.
        angle: World angle at which the fingers close, in [0, pi).
        width: Opening before the fingers close [m].
        score: The policy's own.
        surface: World z of the crop's plane [m].
        color: (P, P, 3) uint8 RGB; see ``perception.patches``.
        height: (P, P) float32 [m] above the plane, NaN where unknown.
        success: The label; None where the try could not be made or labelled.
        code: Name of the outcome's code (``types.OutcomeCode``).
        reason: One sentence of the label's.
        rule: Version of the label's rule.
        sensors: What the sensors said, in a few numbers.
        scene: Id of the scene at the start of the episode.
        scene_seed: Seed of the episode.
        object_set: Name of the set that the scene was drawn from.
        object: Name in the set of the object nearest to the grasp, as the
            simulator knows it: for splits and evaluation, never an input.
        held: Names of the objects truly held at the end of the lift, likewise.
    """

    run: str
    episode: int
    try_: int
    robot: str
    arm: str
    gripper: str
    view: str
    policy: str
    pose: np.ndarray
    angle: float
    color: np.ndarray
    height: np.ndarray
    success: bool | None
    width: float = 0.0
    score: float = 0.0
    surface: float = 0.0
    checkpoint: str = ""
    stage: int = 0
    propensity: float = float("nan")
    code: str = ""
    reason: str = ""
    rule: str = ""
    sensors: Mapping[str, Any] = field(default_factory=dict)
    scene: str = ""
    scene_seed: int = 0
    object_set: str = ""
    object: str = ""
    held: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int, int]:
        """(run, episode, try)."""
        return (self.run, self.episode, self.try_)


# Column of the table `tries` -> its SQLite type, in the order of the table. The
# pictures come last: SQLite reads a row's beginning without its end.
COLUMNS: dict[str, str] = {
    "run": "TEXT NOT NULL",
    "episode": "INTEGER NOT NULL",
    "try": "INTEGER NOT NULL",
    "robot": "TEXT NOT NULL",
    "arm": "TEXT NOT NULL",
    "gripper": "TEXT NOT NULL",
    "view": "TEXT NOT NULL",
    "policy": "TEXT NOT NULL",
    "checkpoint": "TEXT NOT NULL",
    "stage": "INTEGER NOT NULL",
    "propensity": "REAL",
    "x": "REAL NOT NULL",
    "y": "REAL NOT NULL",
    "z": "REAL NOT NULL",
    "angle": "REAL NOT NULL",
    "width": "REAL NOT NULL",
    "score": "REAL",
    "surface": "REAL NOT NULL",
    "success": "INTEGER",
    "code": "TEXT NOT NULL",
    "reason": "TEXT NOT NULL",
    "rule": "TEXT NOT NULL",
    "scene": "TEXT NOT NULL",
    "scene_seed": "INTEGER NOT NULL",
    "object_set": "TEXT NOT NULL",
    "object": "TEXT NOT NULL",
    "held": "TEXT NOT NULL",
    "pose": "BLOB NOT NULL",
    "sensors": "TEXT NOT NULL",
    "color": "BLOB NOT NULL",
    "height": "BLOB NOT NULL",
}
PICTURES = ("color", "height")
PLAIN = tuple(name for name in COLUMNS if name not in ("pose", "sensors", *PICTURES))
"""The columns that hold one number or text each."""


def to_row(stored: StoredTry) -> tuple[Any, ...]:
    """A try's values in the order of :data:`COLUMNS`."""
    pose = np.ascontiguousarray(stored.pose, "<f8")
    derived: dict[str, Any] = {
        "try": stored.try_,
        "x": float(pose[0, 3]),
        "y": float(pose[1, 3]),
        "z": float(pose[2, 3]),
        "pose": pose.tobytes(),
        "propensity": _finite(stored.propensity),
        "score": _finite(stored.score),
        "success": None if stored.success is None else int(stored.success),
        "held": json.dumps(list(stored.held)),
        "sensors": json.dumps(stored.sensors, separators=(",", ":")),
        "color": encode_color(stored.color),
        "height": encode_height(stored.height),
    }
    return tuple(derived[n] if n in derived else getattr(stored, n) for n in COLUMNS)


def from_row(row: Mapping[str, Any]) -> StoredTry:
    """Inverse of :func:`to_row`; a row without pictures gets empty ones.

    Raises:
        StorageError: If a value cannot be read.
    """
    values = dict(row)
    pictures = "color" in values
    try:
        color = decode_color(values.pop("color")) if pictures else np.empty((0, 0, 3), np.uint8)
        height = decode_height(values.pop("height")) if pictures else np.empty((0, 0), np.float32)
        pose = np.frombuffer(values.pop("pose"), "<f8").reshape(4, 4).copy()
        for name in ("x", "y", "z"):
            del values[name]
        values["try_"] = values.pop("try")
        for name in ("propensity", "score"):
            values[name] = float("nan") if values[name] is None else values[name]
        values["success"] = None if values["success"] is None else bool(values["success"])
        values["held"] = tuple(json.loads(values["held"]))
        values["sensors"] = json.loads(values["sensors"])
        return StoredTry(pose=pose, color=color, height=height, **values)
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"the store holds a try that cannot be read: {error!r}") from error


def encode_color(color: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG."""
    return _encode(".jpg", color[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def decode_color(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a JPEG or PNG.

    Raises:
        StorageError: If it is cut short.
    """
    return np.ascontiguousarray(_decode(data, cv2.IMREAD_COLOR)[..., ::-1])


def encode_height(height: np.ndarray) -> bytes:
    """(H, W) float [m], NaN where unknown, as a 16-bit PNG."""
    known = np.isfinite(height)
    steps = np.rint(np.where(known, height, 0.0) / HEIGHT_STEP) + HEIGHT_ZERO
    stored = np.where(known, np.clip(steps, 1, 65535), 0).astype(np.uint16)
    return _encode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 4])


def decode_height(data: bytes) -> np.ndarray:
    """(H, W) float32 [m], NaN where unknown; inverse of :func:`encode_height`.

    Raises:
        StorageError: If it is cut short.
    """
    stored = _decode(data, cv2.IMREAD_UNCHANGED)
    height = (stored.astype(np.float32) - HEIGHT_ZERO) * np.float32(HEIGHT_STEP)
    height[stored == 0] = np.nan
    return height


def _encode(kind: str, image: np.ndarray, options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, np.ascontiguousarray(image), options)
    if not done:
        raise StorageError(f"an image {image.shape} {image.dtype} cannot be written as {kind}")
    return data.tobytes()


def _decode(data: bytes, flag: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if image is None:
        raise StorageError(
            "the store holds a picture that cannot be read: its file is damaged; restore it from "
            "a copy, or collect the same run into a new file"
        )
    return image


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
