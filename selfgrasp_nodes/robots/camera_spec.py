"""The description of a camera and of its calibration. Units: m, px."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from selfgrasp_nodes.robots.spec import PoseSpec, Positive, Spec


class CalibrationSpec(Spec):
    """Where a camera's pose comes from, and whose it is; `selfgrasp calibrate` writes it.

    Attributes:
        date: When it was made.
        serial: Of the device; empty where its driver does not tell.
        width: Of the pictures that it was made with.
        height: Of them.
        intrinsics: Their (fx, fy, cx, cy).
        depth_scale: Measured depth times this is true.
        pictures: That it rests on.
        reprojection: Median error of a picture [px].
        error_3d: Median error of a picture's corners [m].
    """

    date: str
    serial: str = ""
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    intrinsics: tuple[Positive, Positive, float, float]
    depth_scale: Annotated[float, Field(gt=0.5, lt=2.0)] = 1.0
    pictures: Annotated[int, Field(gt=0)]
    reprojection: float
    error_3d: float

    def mismatch(self, width: int, height: int, intrinsics: np.ndarray) -> str:
        """Why pictures are not of the calibrated camera; empty where they may be.

        Args:
            width: Of the pictures.
            height: Of them.
            intrinsics: Their 3 x 3 matrix.
        """
        if (width, height) != (self.width, self.height):
            return f"calibrated at {self.width}x{self.height}, pictures are {width}x{height}"
        now = np.array([intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]])
        then = np.array(self.intrinsics)
        # Two devices of one model differ by a percent; another model or lens by far more.
        if np.any(np.abs(now - then) > 0.003 * max(width, height)):
            return (
                f"calibrated with fx, fy, cx, cy = {np.round(then, 1).tolist()}, pictures have "
                f"{np.round(now, 1).tolist()}"
            )
        return ""


class CameraSpec(Spec):
    """A pinhole RGB-D camera; depth is aligned to colour.

    Attributes:
        parent: ``world`` or a link of the URDF.
        pose: parent_T_camera, of the optical frame.
        frame: Name of the optical frame in TF.
        namespace: Of its topics ``color/image_raw``, ``depth/image_raw`` and
            their ``camera_info``.
        depth_noise: (a, b): standard deviation a + b z^2 [m] at distance z [m].
        depth_dropout: Share of pixels at depth edges that are lost.
        color_noise: Standard deviation of each channel (of 255).
        calibration: Where ``pose`` comes from; None where it is a drawing's or a guess.
    """

    name: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    fx: Positive
    fy: Positive
    cx: float
    cy: float
    parent: str = "world"
    pose: PoseSpec
    frame: str
    namespace: str
    depth_noise: tuple[float, float] = (0.0005, 0.001)
    depth_dropout: float = 0.3
    color_noise: float = 2.0
    calibration: CalibrationSpec | None = None

    @property
    def depth_scale(self) -> float:
        """Factor on measured depth; 1 where the camera was not calibrated."""
        return self.calibration.depth_scale if self.calibration else 1.0

    @model_serializer(mode="wrap")
    def _as_before(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A camera that was not calibrated keeps the digest of records made before."""
        values: dict[str, Any] = serialise(self)
        if self.calibration is None:
            values.pop("calibration", None)
        return values

    @property
    def intrinsics(self) -> np.ndarray:
        """3 x 3 pinhole matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])
