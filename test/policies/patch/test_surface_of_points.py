"""What many points see at once agrees with what each sees alone."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.policies.patch.points import seen_surface
from selfgrasp_nodes.policies.random_roi import _seen
from selfgrasp_nodes.types import View


def _view(rng: np.random.Generator) -> View:
    depth = rng.uniform(0.15, 0.35, (60, 80)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = 0
    depth[10:20, 10:20] = np.nan
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = (0.5, 0.1, 0.3)
    k = np.array([[80.0, 0, 39.5], [0, 80.0, 29.5], [0, 0, 1]])
    return View("hand", np.zeros((60, 80, 3), np.uint8), depth, k, pose)


def test_many_points_see_what_each_sees() -> None:
    rng = np.random.default_rng(3)
    view = _view(rng)
    points = np.column_stack(
        [rng.uniform(0.25, 0.75, 400), rng.uniform(-0.1, 0.3, 400), rng.uniform(0, 0.06, 400)]
    )
    points[0, 2] = 0.5  # behind the camera
    expected = [_seen(view, point)[1] for point in points]
    found = seen_surface(view, points)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (np.abs(found - points[:, 2]) > 1e-3).sum() > 100
