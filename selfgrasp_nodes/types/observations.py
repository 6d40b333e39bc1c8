"""What is seen: pictures, heightmaps, regions, and what a policy may look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workspace:
    """The rectangle of table that is seen and acted on, in the world frame.

    Attributes:
        center: (x, y) of its middle [m].
        size: (x extent, y extent) [m].
        resolution: Edge of a heightmap cell [m].
        height_max: Points higher than this above the table are dropped [m].
    """

    center: tuple[float, float]
    size: tuple[float, float] = (0.448, 0.448)
    resolution: float = 0.002
    height_max: float = 0.4

    @property
    def shape(self) -> tuple[int, int]:
        """Heightmap shape (rows along y, columns along x)."""
        return (
            round(self.size[1] / self.resolution),
            round(self.size[0] / self.resolution),
        )

    @property
    def low(self) -> np.ndarray:
        """(x, y) of the corner of pixel (row 0, column 0) [m]."""
        return np.asarray(self.center) - np.asarray(self.size) / 2

    @property
    def high(self) -> np.ndarray:
        """(x, y) of the opposite corner [m]."""
        return np.asarray(self.center) + np.asarray(self.size) / 2

    def contains(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether (x, y) [m] lies inside, at least ``margin`` [m] from the edge."""
        low, high = self.low + margin, self.high - margin
        return bool(low[0] <= x <= high[0] and low[1] <= y <= high[1])


@dataclass(frozen=True)
class View:
    """One camera's picture, depth aligned to colour.

    Attributes:
        camera: Name of the camera in the robot's description.
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres along the optical axis; 0 is invalid.
        intrinsics: 3 x 3 pinhole matrix of both images.
        world_T_camera: Pose of the optical frame at the moment of exposure.
        stamp: Time of exposure [ns].
    """

    camera: str
    color: np.ndarray
    depth: np.ndarray
    intrinsics: np.ndarray
    world_T_camera: np.ndarray
    stamp: int = 0


@dataclass(frozen=True)
class Heightmap:
    """Orthographic view of the workspace from above; row = y, column = x.

    Attributes:
        workspace: What it covers.
        color: (rows, cols, 3) uint8 RGB; black where not valid.
        height: (rows, cols) float32 metres above the table, never NaN, >= 0; 0
            where not valid.
        valid: (rows, cols) bool, whether any point was measured there.
    """

    workspace: Workspace
    color: np.ndarray
    height: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Region:
    """A region of interest in one camera's image.

    Attributes:
        id: Rank in its set, 0 is the best.
        box: (x, y, width, height) [px].
        outline: (N, 2) int32 pixel polygon.
        area: Foreground area [px].
        score: In 0..1, larger is better.
    """

    id: int
    box: tuple[int, int, int, int]
    outline: np.ndarray
    area: float
    score: float


@dataclass(frozen=True)
class Regions:
    """The regions of one image.

    Attributes:
        camera: Camera whose image they lie in.
        regions: Best first.
        mask: (H, W) bool foreground of the whole image.
        background_ready: Whether the empty table has been learnt.
        arm_in_view: Whether the frame was left out because of the arm.
    """

    camera: str
    regions: tuple[Region, ...]
    mask: np.ndarray
    background_ready: bool = True
    arm_in_view: bool = False


@dataclass(frozen=True)
class Observation:
    """What a policy may look at.

    Attributes:
        id: Unique within a run.
        stamp: Time of the newest view [ns].
        views: By camera name.
        heightmap: Where one was built.
        regions: Where background subtraction ran.
    """

    id: str
    stamp: int
    views: dict[str, View]
    heightmap: Heightmap | None = None
    regions: Regions | None = None
