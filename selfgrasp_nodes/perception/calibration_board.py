"""Calibration boards: how they look, and where their corners are in a picture.

A board's frame lies in its middle: x to the right and y down in the printed
picture, z away from whoever looks at it, so that a board held upright and
square to a camera has the camera's own orientation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency

KINDS = ("checkerboard", "charuco")
_DICTIONARY = "DICT_4X4_50"
_MARKER_SHARE = 0.75  # of a square's side, where none is given
_LEAST_CORNERS = 6  # of a ChArUco board, below which a pose is not to be trusted
_MARGIN = 0.5  # white border round the squares, in squares
_BEYOND = 20  # grey levels by which a white square must outshine a black one


@dataclass(frozen=True)
class Board:
    """A printed board.

    Attributes:
        kind: One of :data:`KINDS`. A ChArUco board may be partly hidden.
        columns: Squares along x.
        rows: Squares along y.
        square: Side of a square [m]: measure it on the print.
        marker: Side of a marker [m] (ChArUco).
        dictionary: Of the markers (ChArUco), an OpenCV name.
    """

    kind: str = "charuco"
    columns: int = 7
    rows: int = 5
    square: float = 0.024
    marker: float = 0.018
    dictionary: str = _DICTIONARY

    def __post_init__(self) -> None:
        """Refuse boards that cannot work.

        Raises:
            InvalidConfig: With the reason.
            MissingDependency: If the installed OpenCV cannot find such boards.
        """
        if self.kind not in KINDS:
            raise InvalidConfig(
                f"board kind {self.kind!r} is not known; valid: {', '.join(KINDS)}"
            )
        if not (3 <= self.columns <= 40 and 3 <= self.rows <= 40 and 0.002 <= self.square <= 0.5):
            raise InvalidConfig(
                "a board has 3 to 40 squares each way, of 0.002 to 0.5 m; got "
                f"{self.columns}x{self.rows} of {self.square} m"
            )
        if self.kind == "checkerboard" and (self.columns + self.rows) % 2 == 0:
            raise InvalidConfig(
                f"a checkerboard of {self.columns}x{self.rows} squares looks the same upside "
                "down, so its pose is ambiguous; use one with an odd number of squares one way "
                "and an even number the other, or a ChArUco board"
            )
        if self.kind == "charuco":
            if not hasattr(cv2.aruco, "CharucoDetector"):
                raise MissingDependency(
                    f"OpenCV {cv2.__version__} has no ChArUco detector: "
                    "pip install 'opencv-python-headless>=4.8', or use a checkerboard"
                )
            if not 0 < self.marker < self.square:
                raise InvalidConfig(
                    f"the markers of a board must be smaller than its squares ({self.square} m), "
                    f"not {self.marker} m"
                )
            if not (self.dictionary.startswith("DICT_") and hasattr(cv2.aruco, self.dictionary)):
                names = ", ".join(n for n in dir(cv2.aruco) if n.startswith("DICT_"))
                raise InvalidConfig(f"no marker dictionary {self.dictionary!r}; valid: {names}")
            held = len(self._aruco_dictionary.bytesList)
            if held < self.columns * self.rows // 2:
                raise InvalidConfig(
                    f"{self.dictionary} has {held} markers, this board needs "
                    f"{self.columns * self.rows // 2}; take a larger dictionary"
                )

    @classmethod
    def parse(cls, text: str) -> Board:
        """A board from a text, e.g. ``checkerboard:8x5:0.024``.

        Args:
            text: ``KIND:COLUMNSxROWS:SQUARE[:MARKER[:DICTIONARY]]``, squares counted,
                lengths in metres.

        Raises:
            InvalidConfig: If it has another form, or no such board can be used.
        """
        parts = text.split(":")
        try:
            columns, rows = (int(n) for n in parts[1].lower().split("x"))
            square = float(parts[2])
            marker = float(parts[3]) if len(parts) > 3 else _MARKER_SHARE * square
        except (ValueError, IndexError):
            raise InvalidConfig(
                f"board {text!r}: expected KIND:COLUMNSxROWS:SQUARE[:MARKER[:DICTIONARY]] with "
                "the number of squares and lengths in metres, e.g. charuco:7x5:0.024:0.018 or "
                "checkerboard:8x5:0.024"
            ) from None
        return cls(parts[0], columns, rows, square, marker, *parts[4:5])

    def __str__(self) -> str:
        base = f"{self.kind}:{self.columns}x{self.rows}:{self.square:g}"
        return base + (f":{self.marker:g}:{self.dictionary}" if self.kind == "charuco" else "")

    @property
    def size(self) -> tuple[float, float]:
        """(x, y) extent of the squares [m]."""
        return self.columns * self.square, self.rows * self.square

    @property
    def sheet(self) -> tuple[float, float]:
        """(x, y) extent with the white border [m]."""
        border = 2 * _MARGIN * self.square
        return self.size[0] + border, self.size[1] + border

    @cached_property
    def corners(self) -> np.ndarray:
        """Inner corners in the board's frame, row by row: (N, 3) [m]."""
        x = (np.arange(1, self.columns) - self.columns / 2) * self.square
        y = (np.arange(1, self.rows) - self.rows / 2) * self.square
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        return np.concatenate([grid, np.zeros((len(grid), 1))], axis=1)

    def image(self, pixels_per_square: int = 64) -> np.ndarray:
        """The board to print, with its border: (H, W) uint8."""
        p = pixels_per_square
        if self.kind == "charuco":
            squares = self._aruco_board.generateImage((self.columns * p, self.rows * p))
        else:
            row, col = np.mgrid[: self.rows, : self.columns]
            cells = np.where((row + col) % 2 == 0, 0, 255).astype(np.uint8)
            squares = np.kron(cells, np.ones((p, p), np.uint8))
        border = round(_MARGIN * p)
        return np.pad(squares, border, constant_values=255)

    def detect(self, color: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Find the board.

        Args:
            color: (H, W, 3) uint8 RGB, or (H, W) uint8.

        Returns:
            (ids, pixels): indices into :attr:`corners` (N,), and where those are
            in the picture, (N, 2) float64 (u, v); None where the board is not seen.
        """
        gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY) if color.ndim == 3 else color
        gray = np.ascontiguousarray(gray)
        return self._charuco(gray) if self.kind == "charuco" else self._checkerboard(gray)

    def _checkerboard(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        pattern = (self.columns - 1, self.rows - 1)
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY
        found, corners = cv2.findChessboardCornersSB(gray, pattern, flags=flags)
        if not found:
            found, corners = cv2.findChessboardCorners(gray, pattern)
            if not found:
                return None
        pixels = corners.reshape(-1, 2).astype(np.float64)
        grid = pixels.reshape(self.rows - 1, self.columns - 1, 2)
        # The detectors do not say which end is which: the first inner corner's own square
        # (row 0, column 0) is black, and the one at the other end white.
        along, down = grid[0, 1] - grid[0, 0], grid[1, 0] - grid[0, 0]
        if along[0] * down[1] - along[1] * down[0] < 0:  # mirrored: rows were counted upwards
            grid = grid[::-1]
        first = self._level(gray, grid[0, 0], grid[0, 0] - grid[1, 1])
        last = self._level(gray, grid[-1, -1], grid[-1, -1] - grid[-2, -2])
        if abs(first - last) < _BEYOND:
            return None
        if first > last:
            grid = grid[::-1, ::-1]
        return np.arange(len(pixels)), self._refine(gray, grid.reshape(-1, 2), grid)

    @staticmethod
    def _level(gray: np.ndarray, corner: np.ndarray, diagonal: np.ndarray) -> float:
        """Grey level in the middle of the square beyond a corner."""
        u, v = np.rint(corner + 0.5 * diagonal).astype(int)
        part = gray[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2]
        return float(np.median(part)) if part.size else float("nan")

    def _charuco(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        corners, ids, _, _ = self._aruco_detector.detectBoard(gray)
        if ids is None or len(ids) < _LEAST_CORNERS:
            return None
        ids = ids.ravel()
        spots = np.stack([ids // (self.columns - 1), ids % (self.columns - 1)])
        if np.linalg.matrix_rank(spots - spots[:, :1]) < 2:
            return None  # all on one line
        return ids, self._refine(gray, corners.reshape(-1, 2).astype(np.float64), None, ids)

    def _refine(
        self,
        gray: np.ndarray,
        pixels: np.ndarray,
        grid: np.ndarray | None,
        ids: np.ndarray | None = None,
    ) -> np.ndarray:
        """Sub-pixel positions, with a window that stays inside the squares round a corner."""
        if grid is not None:
            steps = [np.diff(grid, axis=0), np.diff(grid, axis=1)]
            side = min(float(np.linalg.norm(step, axis=-1).min()) for step in steps)
        else:
            assert ids is not None
            ideal = self.corners[ids, :2] / self.square
            near = np.linalg.norm(ideal[:, None] - ideal[None], axis=-1)
            seen = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1)
            side = float(seen[np.abs(near - 1) < 1e-6].min(initial=20.0))
        # The markers of a ChArUco board begin an eighth of a square from the corner.
        free = 0.5 * (1 if self.kind == "checkerboard" else 1 - self.marker / self.square)
        half = int(np.clip(free * side, 2, 11))
        until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
        refined = cv2.cornerSubPix(
            gray,
            np.ascontiguousarray(pixels, np.float32).reshape(-1, 1, 2),
            (half, half),
            (-1, -1),
            until,
        ).reshape(-1, 2)
        # Where it ran away the detector's own position stands.
        far = np.linalg.norm(refined - pixels, axis=1) > 1.5
        return np.where(far[:, None], pixels, refined.astype(np.float64))

    @cached_property
    def _aruco_dictionary(self) -> cv2.aruco.Dictionary:
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    @cached_property
    def _aruco_board(self) -> cv2.aruco.CharucoBoard:
        return cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square, self.marker, self._aruco_dictionary
        )

    @cached_property
    def _aruco_detector(self) -> cv2.aruco.CharucoDetector:
        return cv2.aruco.CharucoDetector(self._aruco_board)
