"""A run's frames as an animated GIF, in bounded memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image, ImageDraw

from selfgrasp_nodes.errors import EmptyObservation, InvalidConfig, InvalidImage


class GifWriter:
    """Collects frames and writes them as one looping GIF.

    Frames are shrunk and reduced to 256 colours as they come. When ``most`` of
    them are held every second one is dropped, and from then on every second
    one is taken: a run of any length ends in one GIF of the same length in
    seconds a frame, the whole run in it.

        with GifWriter("run.gif") as gif:
            gif.add(view.color, "try 1: grasp")
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int = 480,
        frame_ms: int = 100,
        hold_ms: int = 1500,
        most: int = 300,
    ):
        """Prepare; nothing is written before :meth:`close`.

        Args:
            path: The GIF's file; its folder is made where missing.
            width: Of the frames [px]; wider pictures are shrunk.
            frame_ms: How long each frame is shown.
            hold_ms: How long the last one is.
            most: Frames in the file at most; at least 2.

        Raises:
            InvalidConfig: If a number is out of range.
        """
        if width < 16 or frame_ms < 20 or hold_ms < 20 or most < 2:
            raise InvalidConfig(
                "a GIF needs width >= 16, frame_ms and hold_ms >= 20 and most >= 2, got "
                f"{width}, {frame_ms}, {hold_ms}, {most}"
            )
        self.path = Path(path)
        self._width, self._frame_ms, self._hold_ms, self._most = width, frame_ms, hold_ms, most
        self._frames: list[Image.Image] = []
        self._last: Image.Image | None = None
        self._stride, self._count = 1, 0
        self._size: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Frames held."""
        return len(self._frames)

    def __enter__(self) -> GifWriter:
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what was collected, also when the run failed: it shows why."""
        if self._count:
            self.close()

    def add(self, color: np.ndarray, caption: str = "") -> None:
        """Append a frame.

        Args:
            color: (H, W, 3) uint8 RGB; the first frame sets the size.
            caption: Written along the bottom.

        Raises:
            InvalidImage: If it is not RGB.
        """
        if color.ndim != 3 or color.shape[2] != 3 or color.dtype != np.uint8:
            raise InvalidImage(f"a frame is (H, W, 3) uint8, got {color.shape} {color.dtype}")
        wanted = self._count % self._stride == 0
        self._count += 1
        frame = self._reduce(color, caption)
        self._last = frame  # the end of the run is always in the file
        if not wanted:
            return
        self._frames.append(frame)
        if len(self._frames) >= self._most:
            self._frames = self._frames[::2]
            self._stride *= 2

    def close(self) -> Path:
        """Write the file in one piece and forget the frames.

        Raises:
            EmptyObservation: If no frame was added.
        """
        if self._last is None:
            raise EmptyObservation("no frame was added, so there is no GIF to write")
        frames = list(self._frames)
        if frames[-1] is not self._last:
            frames.append(self._last)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        frames[0].save(
            part,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[self._frame_ms] * (len(frames) - 1) + [self._hold_ms],
            loop=0,
        )
        os.replace(part, self.path)
        self._frames, self._last, self._count, self._stride = [], None, 0, 1
        return self.path

    def _reduce(self, color: np.ndarray, caption: str) -> Image.Image:
        image = Image.fromarray(np.ascontiguousarray(color))
        if self._size is None:
            scale = min(1.0, self._width / image.width)
            self._size = (round(image.width * scale), round(image.height * scale))
        if image.size != self._size:
            image = image.resize(self._size, Image.Resampling.BILINEAR)
        if caption:
            pen = ImageDraw.Draw(image)
            _, top, _, bottom = pen.textbbox((6, 0), caption)
            base = image.height - (bottom - top) - 8
            pen.rectangle((0, base - 3, image.width, image.height), fill=(0, 0, 0))
            pen.text((6, base), caption, fill=(255, 255, 255))
        return image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
