from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from policy_tables import box, observe

from selfgrasp_nodes.errors import InvalidImage
from selfgrasp_nodes.policies.pixelq.state import make_state
from selfgrasp_nodes.types import Heightmap, Workspace


@pytest.fixture(scope="module")
def heightmap(robot) -> Heightmap:
    return observe(robot, [box(0, 0, (0.05, 0.05, 0.05), 0.4)]).heightmap


def test_objects_are_found_and_small_holes_closed(heightmap) -> None:
    state = make_state(heightmap)
    rows, cols = np.nonzero(state.occupied)
    assert len(rows) == pytest.approx(25**2, rel=0.25)
    assert abs(rows.mean() - 111.5) < 3 and abs(cols.mean() - 111.5) < 3
    valid = heightmap.valid.copy()
    valid[112, 112] = False
    height = np.where(valid, heightmap.height, 0).astype(np.float32)
    holed = make_state(replace(heightmap, valid=valid, height=height))
    assert holed.known[112, 112] and holed.height[112, 112] == pytest.approx(0.05, abs=0.005)
    # The highest point under the closed fingers, which stand 1 cm to each side.
    assert state.base[112, 112 + 18] == 0 or state.base[112, 112 + 13] > 0.04


def test_a_long_thin_line_is_an_object_and_noise_is_none(heightmap) -> None:
    def occupied(*cells: tuple[int, int]) -> np.ndarray:
        height = np.zeros_like(heightmap.height)
        for row, col in cells:
            height[row, col] = 0.03
        known = np.ones_like(heightmap.valid)
        return make_state(replace(heightmap, height=height, valid=known)).occupied

    ridge = [(100 + i // 2, 60 + i % 2 + i // 4) for i in range(34)]  # two cells wide
    assert occupied(*ridge)[108, 64]
    assert not occupied(*ridge[:8], (20, 20), (21, 21), (150, 40)).any()
    # A line of noise along an object's edge does not make the object larger.
    block = [(r, c) for r in range(50, 70) for c in range(50, 70)]
    line = [(r, c) for r in (49, 50) for c in range(70, 85)]
    found = occupied(*block, *line)
    assert found[60, 60] and not found[:, 72:].any()


@pytest.mark.parametrize(
    ("workspace", "shape"),
    [
        (Workspace((-0.5, 0.0), resolution=0.004), (112, 112)),
        (Workspace((-0.5, 0.0), size=(0.6, 0.448)), (224, 300)),
        (Workspace((-0.5, 0.0), size=(0.224, 0.224), resolution=0.001), (224, 224)),
    ],
)
def test_another_size_or_resolution_is_refused(workspace, shape) -> None:
    given = Heightmap(
        workspace,
        np.zeros((*shape, 3), np.uint8),
        np.zeros(shape, np.float32),
        np.ones(shape, bool),
    )
    with pytest.raises(InvalidImage, match=r"224 x 224 cells of 2 mm.*workspace.resolution"):
        make_state(given)


def test_planes_that_differ_and_nan_are_refused(heightmap) -> None:
    with pytest.raises(InvalidImage, match="planes differ"):
        make_state(replace(heightmap, color=heightmap.color[:-1]))
    height = heightmap.height.copy()
    height[3, 4] = np.nan
    with pytest.raises(InvalidImage, match="NaN"):
        make_state(replace(heightmap, height=height))


def test_an_empty_table_has_nothing(robot) -> None:
    assert make_state(observe(robot, []).heightmap).empty
