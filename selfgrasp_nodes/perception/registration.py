"""Registration of depth to colour: what the colour camera would measure.

Every depth pixel is a small square of surface. Its corners are carried into the colour
picture, and the pixels between them take its depth, the nearest surface winning: without
holes where colour is finer than depth, without far surfaces that shine through near ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

_LARGEST = 12  # pixels that one depth pixel may cover each way; nearer surfaces thin out


@dataclass(frozen=True)
class Registration:
    """Carries depth pictures of one camera into another.

    Attributes:
        depth_intrinsics: 3 x 3 of the depth camera.
        depth_distortion: (5,) plumb-bob coefficients of the depth picture.
        depth_size: (width, height) of the depth picture.
        color_intrinsics: 3 x 3 of the colour camera.
        color_T_depth: Pose of the depth camera in the colour camera's frame, 4 x 4.
        color_size: (width, height) of what is produced.
    """

    depth_intrinsics: np.ndarray
    depth_distortion: np.ndarray
    depth_size: tuple[int, int]
    color_intrinsics: np.ndarray
    color_T_depth: np.ndarray
    color_size: tuple[int, int]
    _rays: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Rays of the pixels' corners, turned into the colour camera's axes, once."""
        width, height = self.depth_size
        u, v = np.meshgrid(np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5)
        pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
        flat = cv2.undistortPoints(
            pixels, self.depth_intrinsics, np.asarray(self.depth_distortion, float)
        ).reshape(height + 1, width + 1, 2)
        rays = np.concatenate([flat, np.ones((height + 1, width + 1, 1))], axis=-1)
        turned = (rays @ self.color_T_depth[:3, :3].T).astype(np.float32)
        corners = np.moveaxis(turned, -1, 0)
        object.__setattr__(self, "_rays", (corners[:, :-1, :-1], corners[:, 1:, 1:]))

    def apply(self, depth: np.ndarray) -> np.ndarray:
        """Depth in the colour picture.

        Args:
            depth: (h, w) float32 along the depth camera's axis [m], 0 invalid.

        Returns:
            (H, W) float32 along the colour camera's axis [m], 0 where nothing was measured.
        """
        width, height = self.color_size
        (x0, y0, z0), (x1, y1, z1) = (self._corner(rays, depth) for rays in self._rays)
        seen = (depth > 0) & (z0 > 0) & (z1 > 0)
        u0, v0, z0 = x0[seen], y0[seen], z0[seen]
        u1, v1, z1 = x1[seen], y1[seen], z1[seen]
        left = np.ceil(np.minimum(u0, u1)).astype(np.int32)
        top = np.ceil(np.minimum(v0, v1)).astype(np.int32)
        columns = np.ceil(np.maximum(u0, u1)).astype(np.int32) - left
        rows = np.ceil(np.maximum(v0, v1)).astype(np.int32) - top
        z = (z0 + z1) / 2
        picture = np.full(height * width, np.inf, np.float32)
        for dv in range(min(int(rows.max(initial=0)), _LARGEST)):
            for du in range(min(int(columns.max(initial=0)), _LARGEST)):
                column, row = left + du, top + dv
                inside = (du < columns) & (dv < rows)
                inside &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
                np.minimum.at(picture, row[inside] * width + column[inside], z[inside])
        picture[np.isinf(picture)] = 0
        return picture.reshape(height, width)

    def _corner(
        self, rays: np.ndarray, depth: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column and row [px] and depth [m] in the colour camera of one corner of each pixel."""
        shift, k = self.color_T_depth[:3, 3].astype(np.float32), self.color_intrinsics
        z = rays[2] * depth + shift[2]
        with np.errstate(divide="ignore", invalid="ignore"):
            u = (rays[0] * depth + shift[0]) / z * np.float32(k[0, 0]) + np.float32(k[0, 2])
            v = (rays[1] * depth + shift[1]) / z * np.float32(k[1, 1]) + np.float32(k[1, 2])
        return u, v, z
