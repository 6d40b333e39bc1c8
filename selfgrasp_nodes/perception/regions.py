"""Regions of interest: what stands out from the learnt empty table.

The step is that of Supersizing Self-supervision (Pinto and Gupta 2016, section
III): a Mixture of Gaussians models every pixel of the empty table, foreground
pixels are grouped into regions, and frames with the arm in them are left out.
The mixture is OpenCV's MOG2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes.errors import EmptyObservation, InvalidConfig, InvalidImage
from selfgrasp_nodes.types import Region, Regions


@dataclass(frozen=True)
class RegionOptions:
    """Settings of :class:`BackgroundModel`; sizes in pixels of a 640x480 image.

    Attributes:
        history: Frames that the mixture looks back on.
        threshold: Squared Mahalanobis distance from which a pixel is foreground.
        shadows: Whether darker table counts as shadow, not as foreground. It
            also hides objects that look like darker table.
        opening: Diameter of the opening that removes specks; 0 for none.
        closing: Diameter of the closing that fills cracks; 0 for none.
        min_area: Regions smaller than this are noise.
        adapt_rate: Share of a new frame in the background, in :meth:`adapt`.
        depth_step: With depth: nearer than the empty table by this [m] is
            foreground too.
        arm_area: Foreground that reaches from the workspace out over more than
            this is the arm.
    """

    history: int = 100
    threshold: float = 16.0
    shadows: bool = False
    opening: int = 3
    closing: int = 3
    min_area: float = 60.0
    adapt_rate: float = 0.01
    depth_step: float = 0.008
    arm_area: float = 1500.0

    def __post_init__(self) -> None:
        """Refuse what OpenCV would take silently."""
        for name in ("history", "threshold", "min_area", "depth_step", "arm_area"):
            if not getattr(self, name) > 0:
                raise InvalidConfig(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.adapt_rate <= 1:
            raise InvalidConfig(f"adapt_rate must lie in 0..1, got {self.adapt_rate}")
        if self.opening < 0 or self.closing < 0:
            raise InvalidConfig("opening and closing must not be negative")


class BackgroundModel:
    """The empty table as one camera sees it, and what differs from it.

    Colour alone is the paper's way. Where depth is given as well, both when
    the table is learnt and later, what stands above it is found even if it has
    the table's colour.
    """

    def __init__(self, options: RegionOptions | None = None):
        self.options = options or RegionOptions()
        self._mixture: cv2.BackgroundSubtractorMOG2 | None = None
        self._shape: tuple[int, int] = (0, 0)
        self._depth: np.ndarray | None = None

    @property
    def ready(self) -> bool:
        """Whether the empty table has been learnt."""
        return self._mixture is not None

    @property
    def background(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: the table as it is remembered.

        Raises:
            EmptyObservation: If it has not been learnt yet.
        """
        return self._require().getBackgroundImage()

    def learn_empty(self, frames: Sequence[np.ndarray], depths: Sequence[np.ndarray] = ()) -> None:
        """Forget what was known and learn the empty table.

        Args:
            frames: (H, W, 3) uint8 RGB pictures of it, the arm out of view. Ten
                or more let the camera's noise be measured.
            depths: None, or (H, W) float32 [m] with each frame.

        Raises:
            EmptyObservation: If there is no frame.
            InvalidImage: If frames are not RGB or differ in size.
        """
        if not len(frames):
            raise EmptyObservation("no frame of the empty table; capture at least one")
        shape = frames[0].shape[:2]
        for frame in frames:
            _check(frame, shape)
        mixture = cv2.createBackgroundSubtractorMOG2(
            self.options.history, self.options.threshold, self.options.shadows
        )
        for count, frame in enumerate(frames, start=1):
            mixture.apply(frame, None, 1.0 / count)  # together: the plain mean
        self._mixture, self._shape = mixture, (shape[0], shape[1])
        self._depth = _median_depth(depths, shape) if len(depths) else None

    def foreground(self, color: np.ndarray, depth: np.ndarray | None = None) -> np.ndarray:
        """What differs from the empty table: (H, W) bool.

        Raises:
            EmptyObservation: If the table has not been learnt yet.
            InvalidImage: If the picture is not RGB or of another size.
        """
        mixture = self._require()
        _check(color, self._shape)
        mask = (mixture.apply(color, None, 0.0) == 255).astype(np.uint8)
        mask = _open(mask, self.options.opening)
        if depth is not None and self._depth is not None:
            if depth.shape != self._shape:
                raise InvalidImage(
                    f"depth is {depth.shape[1]}x{depth.shape[0]} pixels, the learnt table "
                    f"{self._shape[1]}x{self._shape[0]}; align depth to colour"
                )
            nearer = (depth > 0) & (self._depth - depth > self.options.depth_step)
            mask |= _open(nearer.astype(np.uint8), self.options.opening)
        if self.options.closing > 1:
            mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(self.options.closing))
        return mask.astype(bool)

    def regions(
        self,
        color: np.ndarray,
        camera: str,
        *,
        depth: np.ndarray | None = None,
        within: np.ndarray | None = None,
        arm_in_view: bool | None = None,
    ) -> Regions:
        """The regions of interest of one picture.

        Args:
            color: (H, W, 3) uint8 RGB.
            camera: Name of the camera.
            depth: (H, W) float32 [m], or None to go by colour alone.
            within: (H, W) bool of pixels that may be in a region, see
                :func:`selfgrasp_nodes.perception.pixels.workspace_mask`; None
                for all.
            arm_in_view: What the robot's own state says; None asks the picture
                (:meth:`arm_visible`, which needs ``within``).

        Returns:
            Regions by area, largest first; none when the table has not been
            learnt or the arm is in view.
        """
        nothing = np.zeros(color.shape[:2], bool)
        if not self.ready:
            return Regions(camera, (), nothing, background_ready=False)
        if arm_in_view:
            return Regions(camera, (), nothing, arm_in_view=True)
        mask = self.foreground(color, depth)
        if within is not None:
            if arm_in_view is None and self.arm_visible(mask, within):
                return Regions(camera, (), nothing, arm_in_view=True)
            mask &= within
        found, mask = _components(mask, self.options.min_area)
        return Regions(camera, found, mask)

    def arm_visible(self, mask: np.ndarray, within: np.ndarray) -> bool:
        """Whether foreground reaches from the workspace far out of it.

        Objects end near the workspace's border; an arm goes on to its base or
        to the edge of the picture. A change of light looks like an arm too:
        the frame is rightly left out.

        Args:
            mask: (H, W) bool foreground of the whole picture.
            within: (H, W) bool of the workspace; give it the height of the
                objects, so that a tall one at the far side lies inside.
        """
        count, labels = cv2.connectedComponents(mask.astype(np.uint8))
        inside = np.bincount(labels[within], minlength=count)
        outside = np.bincount(labels[~within], minlength=count)
        crossing = (inside >= self.options.min_area) & (outside > self.options.arm_area)
        return bool(crossing[1:].any())

    def adapt(
        self, color: np.ndarray, *, depth: np.ndarray | None = None, arm_in_view: bool = False
    ) -> None:
        """Follow slow changes of light: blend in what is background in this frame.

        Objects are not learnt, however long they lie: foreground and its
        surroundings are left as they were. Does nothing before the table was
        learnt or with the arm in view.
        """
        if arm_in_view or self._mixture is None:
            return
        mask = self.foreground(color, depth).astype(np.uint8)
        keep = cv2.dilate(mask, _disc(9)).astype(bool)
        blended = np.where(keep[..., None], self.background, color)
        self._mixture.apply(blended, None, self.options.adapt_rate)

    def _require(self) -> cv2.BackgroundSubtractorMOG2:
        if self._mixture is None:
            raise EmptyObservation(
                "the empty table has not been learnt; clear it and call learn_empty"
            )
        return self._mixture


def _components(mask: np.ndarray, min_area: float) -> tuple[tuple[Region, ...], np.ndarray]:
    """Regions of a foreground mask, largest first, and the mask without the specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    kept = [i for i in range(1, count) if area[i] >= min_area]
    kept.sort(key=lambda i: -area[i])
    regions = []
    for rank, label in enumerate(kept):
        x, y, w, h = (int(value) for value in stats[label, :4])
        part = (labels[y : y + h, x : x + w] == label).astype(np.uint8)
        # One component with eight-connectivity has one outer outline.
        outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outline = outlines[0].reshape(-1, 2).astype(np.int32) + np.array([x, y], np.int32)
        score = area[label] / area[kept[0]]
        regions.append(Region(rank, (x, y, w, h), outline, area[label], float(score)))
    return tuple(regions), np.isin(labels, kept)


def _open(mask: np.ndarray, diameter: int) -> np.ndarray:
    if diameter <= 1:
        return mask
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(diameter))


def _disc(diameter: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))


def _median_depth(depths: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Median of the valid depths of each pixel; 0 where none was valid."""
    for depth in depths:
        if depth.shape != tuple(shape):
            raise InvalidImage(
                f"a depth image is {depth.shape[1]}x{depth.shape[0]} pixels, its colour "
                f"{shape[1]}x{shape[0]}; align depth to colour"
            )
    stack = np.stack(list(depths)).astype(np.float32)
    stack[~(np.isfinite(stack) & (stack > 0))] = np.nan
    blind = np.isnan(stack).all(axis=0)
    stack[:, blind] = 0
    return np.nanmedian(stack, axis=0).astype(np.float32)


def _check(color: np.ndarray, shape: tuple[int, ...]) -> None:
    if color.ndim != 3 or color.shape[2] != 3 or color.dtype != np.uint8:
        raise InvalidImage(
            f"background subtraction needs (H, W, 3) uint8 RGB, got {color.shape} {color.dtype}"
        )
    if color.shape[:2] != tuple(shape):
        raise InvalidImage(
            f"the picture is {color.shape[1]}x{color.shape[0]} pixels, the learnt table "
            f"{shape[1]}x{shape[0]}; learn the empty table again"
        )
