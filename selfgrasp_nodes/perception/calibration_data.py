"""What a calibration is computed from, in memory and in a folder.

A folder holds ``calibration.yaml`` (camera, board, arm, and for each pose the
joint positions and the kinematics at the moment of exposure) and, for each pose,
``NN_color.png`` and ``NN_depth.png`` (16 bit, tenths of a millimetre), so that it can be
solved again without the robot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.perception.calibration_board import Board

_FILE = "calibration.yaml"
_DEPTH_UNIT = 1e-4  # of the stored depth images [m]
_SCHEMA = 1


@dataclass(frozen=True)
class Shot:
    """One picture of the board.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 along the optical axis [m], 0 invalid; None where the
            camera has none.
        parent_T_carrier: From the measured joint positions, 4 x 4: the pose, in the frame
            that the camera is fixed to, of what carries the board: the hand of a fixed
            camera's robot, the world for a wrist camera.
        joints: Measured joint positions of the arm (J,) [rad].
    """

    color: np.ndarray
    depth: np.ndarray | None
    parent_T_carrier: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True)
class Session:
    """Pictures of one board by one camera.

    Attributes:
        robot: Name of the robot's description.
        camera: Name of the camera in it.
        arm: Name of the arm that moved.
        board: What was seen.
        parent: Frame that the camera is fixed to.
        carrier: Frame that the board is fixed to.
        intrinsics: 3 x 3 pinhole matrix.
        distortion: (5,) plumb-bob coefficients of the colour picture; zeros where rectified.
        shots: The pictures.
        serial: Of the device, where it tells.
    """

    robot: str
    camera: str
    arm: str
    board: Board
    parent: str
    carrier: str
    intrinsics: np.ndarray
    distortion: np.ndarray
    shots: tuple[Shot, ...] = field(default=())
    serial: str = ""


def save_session(session: Session, folder: Path) -> Path:
    """Write everything; a pose that is there already is written again.

    Raises:
        StorageError: If the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for i, shot in enumerate(session.shots):
            _write(folder / f"{i:02d}_color.png", shot.color[..., ::-1])
            if shot.depth is not None:
                stored = np.clip(np.rint(shot.depth / _DEPTH_UNIT), 0, 65535)
                _write(folder / f"{i:02d}_depth.png", stored.astype(np.uint16))
        text = yaml.safe_dump(_document(session), sort_keys=False, width=99)
        (folder / _FILE).write_text(text)
    except OSError as error:
        raise StorageError(f"cannot write the calibration's data to {folder}: {error}") from error
    return folder


def load_session(folder: Path) -> Session:
    """Inverse of :func:`save_session`.

    Raises:
        StorageError: If the folder holds none, or it is damaged.
    """
    file = folder / _FILE
    if not file.is_file():
        raise StorageError(
            f"{folder} has no {_FILE}; give a folder that `selfgrasp calibrate` has written"
        )
    try:
        text = yaml.safe_load(file.read_text())
        if text["schema"] != _SCHEMA:
            raise StorageError(f"{file} has schema {text['schema']}; this version reads {_SCHEMA}")
        shots = []
        for i, pose in enumerate(text["poses"]):
            color = _read(folder / f"{i:02d}_color.png", cv2.IMREAD_COLOR)[..., ::-1]
            depth = None
            if pose["depth"]:
                stored = _read(folder / f"{i:02d}_depth.png", cv2.IMREAD_UNCHANGED)
                depth = stored.astype(np.float32) * np.float32(_DEPTH_UNIT)
            shots.append(
                Shot(
                    np.ascontiguousarray(color),
                    depth,
                    np.array(pose["parent_T_carrier"], float).reshape(4, 4),
                    np.array(pose["joints"], float),
                )
            )
        return Session(
            robot=text["robot"],
            camera=text["camera"],
            arm=text["arm"],
            board=Board.parse(text["board"]),
            parent=text["parent"],
            carrier=text["carrier"],
            intrinsics=np.array(text["intrinsics"], float).reshape(3, 3),
            distortion=np.array(text["distortion"], float),
            shots=tuple(shots),
            serial=text["serial"],
        )
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise StorageError(f"{file} is damaged: {error!r}; take the pictures again") from error


def _document(session: Session) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "robot": session.robot,
        "camera": session.camera,
        "serial": session.serial,
        "arm": session.arm,
        "board": str(session.board),
        "parent": session.parent,
        "carrier": session.carrier,
        "intrinsics": [float(v) for v in session.intrinsics.ravel()],
        "distortion": [float(v) for v in session.distortion],
        "poses": [
            {
                "joints": [float(v) for v in shot.joints],
                "parent_T_carrier": [float(v) for v in shot.parent_T_carrier.ravel()],
                "depth": shot.depth is not None,
            }
            for shot in session.shots
        ],
    }


def _write(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image):
        raise StorageError(f"cannot write {path}; is the disk full?")


def _read(path: Path, flags: int) -> np.ndarray:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise StorageError(f"{path} is missing or no picture; take the pictures again")
    return image
