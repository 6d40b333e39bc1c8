from __future__ import annotations

import array
import sys

import numpy as np
import pytest

from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.perception import images

RNG = np.random.default_rng(0)
EVERY = sorted(images.ENCODINGS)


def sample(encoding, height=5, width=7):
    kind, channels = images.ENCODINGS[encoding]
    shape = (height, width) if channels == 1 else (height, width, channels)
    if kind == "f4":
        return RNG.normal(1, 0.3, shape).astype(np.float32)
    return RNG.integers(0, np.iinfo(kind).max + 1, shape).astype(kind)


@pytest.mark.parametrize("encoding", EVERY)
@pytest.mark.parametrize("wrap", [bytes, bytearray, lambda b: array.array("B", b), memoryview])
def test_round_trip(encoding, wrap):
    image = sample(encoding)
    data, step, big = images.encode(image, encoding)
    assert big == (sys.byteorder == "big")
    back = images.decode(wrap(data), 5, 7, encoding, step, big)
    assert back.dtype == image.dtype and back.dtype.isnative
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("encoding", EVERY)
@pytest.mark.parametrize("padding", [1, 2, 3, 8])
def test_padded_rows(encoding, padding):
    image = sample(encoding)
    data, step, big = images.encode(image, encoding)
    rows = [data[i * step : (i + 1) * step] + b"\xee" * padding for i in range(5)]
    back = images.decode(b"".join(rows), 5, 7, encoding, step + padding, big)
    np.testing.assert_array_equal(back, image)
    assert back.flags.c_contiguous


@pytest.mark.parametrize("encoding", EVERY)
@pytest.mark.parametrize("big", [True, False])
def test_both_byte_orders(encoding, big):
    image = sample(encoding)
    other = image.astype(image.dtype.newbyteorder(">" if big else "<"))
    step = other.nbytes // 5
    back = images.decode(other.tobytes(), 5, 7, encoding, step, big)
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, image)


def test_known_bytes():
    """Golden values: two 16UC1 pixels, 1000 mm and 1 mm, in both byte orders."""
    np.testing.assert_array_equal(
        images.decode(b"\xe8\x03\x01\x00", 1, 2, "16UC1", 4, False), [[1000, 1]]
    )
    np.testing.assert_array_equal(
        images.decode(b"\x03\xe8\x00\x01", 1, 2, "16UC1", 4, True), [[1000, 1]]
    )
    np.testing.assert_array_equal(images.decode(b"\x00\x00\x80?", 1, 1, "32FC1", 4), [[1.0]])
    bgr = images.decode(bytes([1, 2, 3]), 1, 1, "bgr8", 3)
    np.testing.assert_array_equal(bgr, [[[1, 2, 3]]])
    np.testing.assert_array_equal(images.to_rgb(bgr, "bgr8"), [[[3, 2, 1]]])


def test_no_copy_where_nothing_changes():
    data = bytearray(5 * 21)
    image = images.decode(data, 5, 7, "rgb8", 21)
    data[0] = 9
    assert image[0, 0, 0] == 9
    assert images.to_rgb(image, "rgb8") is image


def test_a_buffer_that_starts_at_an_odd_address():
    data = b"x" + np.arange(6, dtype="<f4").tobytes()
    back = images.decode(memoryview(data)[1:], 2, 3, "32FC1", 12)
    np.testing.assert_array_equal(back, np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize(
    "encoding, pixel, expected",
    [
        ("rgb8", [1, 2, 3], [1, 2, 3]),
        ("bgr8", [1, 2, 3], [3, 2, 1]),
        ("rgba8", [1, 2, 3, 9], [1, 2, 3]),
        ("bgra8", [1, 2, 3, 9], [3, 2, 1]),
        ("mono8", 5, [5, 5, 5]),
    ],
)
def test_to_rgb(encoding, pixel, expected):
    image = np.array([[pixel]], np.uint8)
    np.testing.assert_array_equal(images.to_rgb(image, encoding), [[expected]])


def test_depth_in_metres():
    mm = np.array([[0, 1, 1500, 65535]], np.uint16)
    metres = images.to_metres(mm, "16UC1")
    assert metres.dtype == np.float32
    np.testing.assert_allclose(metres, [[0, 0.001, 1.5, 65.535]], rtol=1e-6)
    m = np.array([[0, np.nan, np.inf, -np.inf, -1, 0.75]], np.float32)
    np.testing.assert_array_equal(images.to_metres(m, "32FC1"), [[0, 0, 0, 0, 0, 0.75]])
    np.testing.assert_array_equal(
        images.from_metres(np.array([[np.nan, 0.5004, 70.0, -1]]), "16UC1"), [[0, 500, 0, 0]]
    )
    np.testing.assert_array_equal(
        images.from_metres(np.array([[np.inf, 0.5]]), "32FC1"), [[0, np.float32(0.5)]]
    )


def test_unknown_encoding_lists_the_known():
    with pytest.raises(InvalidImage, match=r"'yuv422'.*16UC1.*32FC1.*bgr8.*mono8.*rgb8"):
        images.decode(b"", 1, 1, "yuv422", 2)
    with pytest.raises(InvalidImage, match="rgb8"):
        images.encode(np.zeros((1, 1), np.uint8), "jpeg")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: images.decode(bytes(20), 5, 7, "mono8", 7), "cut short"),
        (lambda: images.decode(bytes(35), 5, 7, "mono8", 6), "needs 7"),
        (lambda: images.decode(b"", 0, 7, "mono8", 7), "no content"),
        (lambda: images.encode(np.zeros((2, 2)), "mono8"), "is not mono8"),
        (lambda: images.encode(np.zeros((2, 2), np.uint8), "rgb8"), "is not rgb8"),
        (lambda: images.to_rgb(np.zeros((1, 1), np.uint16), "16UC1"), "does not hold colour"),
        (lambda: images.to_metres(np.zeros((1, 1, 3), np.uint8), "rgb8"), "does not hold depth"),
        (lambda: images.from_metres(np.zeros((1, 1)), "rgb8"), "does not hold depth"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InvalidImage, match=message):
        call()
