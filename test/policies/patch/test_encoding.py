from __future__ import annotations

import numpy as np

from selfgrasp_nodes.policies.patch.encoding import (
    ANGLES,
    HEIGHT_LIMIT,
    HEIGHT_STEP,
    HEIGHT_ZERO,
    STEP,
    angle_bin,
    bin_angle,
    encode,
    shrink,
)


def test_a_bins_middle_lies_in_it() -> None:
    bins = np.arange(ANGLES)
    assert (angle_bin(bin_angle(bins)) == bins).all()
    assert angle_bin(0.0) == 0 and angle_bin(np.pi) == 0 and angle_bin(-1e-9) == ANGLES - 1
    assert angle_bin(STEP * 1.01) == 1


def test_heights_come_back_and_nan_stays_unknown() -> None:
    height = np.array([[0.0, 0.0123, -0.05], [np.nan, np.inf, 1.0]], np.float32)
    color = np.full((2, 3, 3), 7, np.uint8)
    code = encode(color, height)
    assert (code[..., :3] == 7).all()
    back = (code[..., 3].astype(float) - HEIGHT_ZERO) * HEIGHT_STEP
    np.testing.assert_allclose(back[0], height[0], atol=HEIGHT_STEP / 2 + 1e-6)
    assert code[1, 0, 3] == 0 and code[1, 1, 3] == 0
    assert abs(back[1, 2] - HEIGHT_LIMIT) < 1e-9
    assert np.isnan(height[1, 0])  # the caller's array is left as it was


def test_shrinking_averages_what_is_known() -> None:
    height = np.array([[0.010, 0.020], [np.nan, 0.030]], np.float32)
    color = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    small = shrink(encode(color, height)[None], 2)[0, 0, 0]
    assert abs((int(small[3]) - HEIGHT_ZERO) * HEIGHT_STEP - 0.02) < 1e-6
    assert small[:3].tolist() == [4, 6, 6] or small[:3].tolist() == [4, 5, 6]  # 4.5 and so on
    holes = encode(color, np.array([[0.01, np.nan], [np.nan, np.nan]], np.float32))
    assert shrink(holes[None], 2)[0, 0, 0, 3] == 0
