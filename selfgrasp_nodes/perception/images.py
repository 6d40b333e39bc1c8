"""Image messages' bytes to arrays and back, without ROS.

Equal in behaviour to cv_bridge's ``imgmsg_to_cv2`` (passthrough) and
``cv2_to_imgmsg`` for the encodings below: padded rows, both byte orders, (H, W)
for one channel and (H, W, C) for more. Depth follows REP-118: 16UC1 in
millimetres, 32FC1 in metres; 0, NaN and Inf are invalid.
"""

from __future__ import annotations

import sys

import numpy as np

from selfgrasp_nodes.errors import InvalidImage

#: Encoding (sensor_msgs/image_encodings) -> (type of one value, channels).
ENCODINGS: dict[str, tuple[str, int]] = {
    "rgb8": ("u1", 3),
    "bgr8": ("u1", 3),
    "rgba8": ("u1", 4),
    "bgra8": ("u1", 4),
    "mono8": ("u1", 1),
    "8UC1": ("u1", 1),
    "8UC3": ("u1", 3),
    "8UC4": ("u1", 4),
    "mono16": ("u2", 1),
    "16UC1": ("u2", 1),
    "32FC1": ("f4", 1),
}

#: Encodings that hold colour or brightness, and those that hold depth.
COLOR_ENCODINGS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")

_RGB_ORDER = {"rgb8": (0, 1, 2), "rgba8": (0, 1, 2), "bgr8": (2, 1, 0), "bgra8": (2, 1, 0)}


def decode(
    data: object,
    height: int,
    width: int,
    encoding: str,
    step: int,
    is_bigendian: bool | int = False,
) -> np.ndarray:
    """The array in an image message's fields.

    Args:
        data: ``bytes``, ``array.array('B')``, uint8 array or any other buffer.
        height: Rows.
        width: Columns.
        encoding: One of :data:`ENCODINGS`.
        step: Bytes of a whole row, padding included.
        is_bigendian: Byte order of values wider than a byte.

    Returns:
        (H, W) or (H, W, C) in the machine's byte order, rows contiguous. It
        shares memory with ``data`` where nothing had to be changed, and is
        then read-only if ``data`` is.

    Raises:
        InvalidImage: If the encoding is unknown or the sizes do not agree.
    """
    kind, channels = _layout(encoding)
    item = np.dtype(kind).itemsize
    row = width * channels * item
    if height <= 0 or width <= 0:
        raise InvalidImage(f"an image of {width}x{height} pixels has no content")
    if step < row:
        raise InvalidImage(
            f"step is {step} bytes but a row of {width} {encoding} pixels needs {row}; "
            "the publisher filled in a wrong width, step or encoding"
        )
    raw = np.frombuffer(memoryview(data).cast("B"), np.uint8)  # type: ignore[arg-type]
    if raw.size < step * height:
        raise InvalidImage(
            f"the image holds {raw.size} bytes but {height} rows of {step} bytes need "
            f"{step * height}; the message was cut short or its height is wrong"
        )
    rows = raw[: step * height].reshape(height, step)
    pixels = np.ascontiguousarray(rows[:, :row])  # drops padding; no copy without it
    if pixels.ctypes.data % item:
        pixels = pixels.copy()  # a buffer may start at an odd address
    values = pixels.view(np.dtype((">" if is_bigendian else "<") + kind))
    native = values.astype(np.dtype(kind), copy=False)
    return native.reshape((height, width) if channels == 1 else (height, width, channels))


def encode(image: np.ndarray, encoding: str) -> tuple[bytes, int, bool]:
    """Message fields of an array: (data, step, is_bigendian); inverse of :func:`decode`.

    Raises:
        InvalidImage: If the encoding is unknown or does not fit the array.
    """
    kind, channels = _layout(encoding)
    shape = image.shape if image.ndim == 3 else (*image.shape, 1)
    if image.ndim not in (2, 3) or shape[2] != channels or image.dtype != np.dtype(kind):
        raise InvalidImage(
            f"an array {image.shape} {image.dtype} is not {encoding}, which is "
            f"(H, W{', ' + str(channels) if channels > 1 else ''}) {np.dtype(kind)}"
        )
    step = shape[1] * channels * image.dtype.itemsize
    return np.ascontiguousarray(image).tobytes(), step, sys.byteorder == "big"


def to_rgb(image: np.ndarray, encoding: str) -> np.ndarray:
    """A decoded colour or grey image as (H, W, 3) uint8 RGB.

    Raises:
        InvalidImage: If the encoding does not hold colour.
    """
    if encoding == "mono8":
        return np.repeat(image[..., None], 3, axis=2)
    if encoding not in _RGB_ORDER:
        raise InvalidImage(
            f"encoding {encoding!r} does not hold colour; valid: {', '.join(COLOR_ENCODINGS)}"
        )
    if encoding == "rgb8":
        return image
    return np.ascontiguousarray(image[..., _RGB_ORDER[encoding]])


def to_metres(image: np.ndarray, encoding: str) -> np.ndarray:
    """A decoded depth image as (H, W) float32 metres; what is invalid becomes 0.

    Raises:
        InvalidImage: If the encoding does not hold depth.
    """
    if encoding in ("16UC1", "mono16"):
        return image * np.float32(0.001)
    if encoding == "32FC1":
        valid = np.isfinite(image) & (image > 0)
        return np.where(valid, image, np.float32(0)).astype(np.float32, copy=False)
    raise InvalidImage(
        f"encoding {encoding!r} does not hold depth; valid: {', '.join(DEPTH_ENCODINGS)}"
    )


def from_metres(depth: np.ndarray, encoding: str) -> np.ndarray:
    """Depth [m] as the values of ``16UC1`` (rounded to mm) or ``32FC1``.

    Invalid and, in 16UC1, out of range (beyond 65.535 m) becomes 0.

    Raises:
        InvalidImage: If the encoding does not hold depth.
    """
    valid = np.isfinite(depth) & (depth > 0)
    metres = np.where(valid, depth, 0.0)
    if encoding == "32FC1":
        return metres.astype(np.float32)
    if encoding in ("16UC1", "mono16"):
        millimetres = np.rint(metres * 1000.0)
        return np.where(millimetres <= 65535, millimetres, 0).astype(np.uint16)
    raise InvalidImage(
        f"encoding {encoding!r} does not hold depth; valid: {', '.join(DEPTH_ENCODINGS)}"
    )


def _layout(encoding: str) -> tuple[str, int]:
    try:
        return ENCODINGS[encoding]
    except KeyError:
        raise InvalidImage(
            f"unknown image encoding {encoding!r}; valid: {', '.join(sorted(ENCODINGS))}"
        ) from None
