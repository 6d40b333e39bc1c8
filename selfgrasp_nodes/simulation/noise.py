"""What a real RGB-D camera adds to a picture.

Depth: Gaussian noise whose standard deviation grows with the square of the
distance (structured light and stereo; Khoshelham and Elberink, 2012), and holes
beside depth edges, where one of the two optical paths is blocked. Colour:
Gaussian noise on each channel.

Drawing a million normal numbers costs more than rendering, so each frame reads
tables, drawn once, from a random offset: white in the picture, and with far
more offsets than frames of a run, without visible repetition.
"""

from __future__ import annotations

import cv2
import numpy as np

from selfgrasp_nodes.robots import CameraSpec

EDGE_STEP = 0.015
"""Step in depth between neighbours that counts as an edge [m] at 1 m; grows
with the distance."""
_SPARE = 1 << 18  # how many offsets a table offers
_TABLE_SEED = 1603


class CameraNoise:
    """The noise of one camera; equal seeds give equal sequences of noise."""

    def __init__(self, camera: CameraSpec, seed: int = 0):
        """Draw the tables, the same for every seed.

        Args:
            camera: Gives the strengths: ``depth_noise``, ``depth_dropout`` and
                ``color_noise``.
            seed: See :meth:`reseed`.
        """
        tables = np.random.default_rng(_TABLE_SEED)
        pixels = camera.width * camera.height
        self.camera = camera
        self._normal = tables.standard_normal(pixels + _SPARE, dtype=np.float32)
        self._uniform = tables.random(pixels + _SPARE, dtype=np.float32)
        color = tables.standard_normal(3 * pixels + _SPARE, dtype=np.float32)
        self._color = np.rint(color * camera.color_noise).astype(np.int16)
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Begin the sequence of a seed, whatever was drawn before."""
        self._rng = np.random.default_rng([seed, 2])

    def apply(self, color: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A noisy copy of a picture.

        Args:
            color: (H, W, 3) uint8.
            depth: (H, W) float32 [m], 0 invalid.

        Returns:
            Colour and depth, of the same shapes and types; holes are 0.
        """
        return self.color(color), self.depth(depth)

    def color(self, color: np.ndarray) -> np.ndarray:
        """Colour with Gaussian noise, (H, W, 3) uint8."""
        if self.camera.color_noise <= 0:
            return color.copy()
        noise = self._slice(self._color, color.size).reshape(color.shape)
        return cv2.add(color, noise, dtype=cv2.CV_8U)  # saturates

    def depth(self, depth: np.ndarray) -> np.ndarray:
        """Depth with noise and holes, (H, W) float32 [m]."""
        base, growth = self.camera.depth_noise
        noise = self._slice(self._normal, depth.size).reshape(depth.shape)
        spread = depth * depth
        spread *= np.float32(growth)
        spread += np.float32(base)
        spread *= noise
        spread += depth
        hole = depth <= 0
        if self.camera.depth_dropout > 0:
            lost = self._slice(self._uniform, depth.size).reshape(depth.shape)
            hole |= edges(depth) & (lost < self.camera.depth_dropout)
        spread[hole] = 0
        return np.maximum(spread, 0, out=spread)

    def _slice(self, table: np.ndarray, size: int) -> np.ndarray:
        start = int(self._rng.integers(len(table) - size + 1))
        return table[start : start + size]


def edges(depth: np.ndarray) -> np.ndarray:
    """Pixels within one pixel of a depth edge.

    Args:
        depth: (H, W) float32 [m]; 0 (invalid) counts as infinitely near.

    Returns:
        (H, W) bool.
    """
    kernel = np.ones((3, 3), np.uint8)
    far, near = cv2.dilate(depth, kernel), cv2.erode(depth, kernel)
    return (far - near) > np.float32(EDGE_STEP) * np.maximum(far, np.float32(1.0))
