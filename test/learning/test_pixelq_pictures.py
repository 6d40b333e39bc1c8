"""Decisions as pictures: the action that was made stands out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pixelq_tries import CONFIG, a_state, robot  # noqa: E402, F401

from selfgrasp_nodes.learning.pixelq_learner import make_values  # noqa: E402
from selfgrasp_nodes.learning.pixelq_pictures import Step, draw_steps  # noqa: E402
from selfgrasp_nodes.policies.pixelq.actions import Pixel  # noqa: E402
from selfgrasp_nodes.types import Primitive  # noqa: E402


def red(file: Path) -> tuple[int, int]:
    """Purely red pixels in the left quarter of the upper row, and of the lower one."""
    image = cv2.imread(str(file))
    pure = (image[..., 2] > 240) & (image[..., 1] < 20) & (image[..., 0] < 20)
    half, quarter = image.shape[0] // 2, image.shape[1] // 4
    return int(pure[:half, :quarter].sum()), int(pure[half:, :quarter].sum())


def test_what_was_made_is_marked_in_its_row(robot, tmp_path) -> None:  # noqa: F811
    values = make_values(CONFIG, robot)
    state = a_state(3)
    scored = values.evaluate(state, tuple(Primitive))
    workspace = robot.workspace.workspace
    rows, cols = np.nonzero(state.occupied)
    pixel = Pixel(Primitive.PUSH, 2, int(rows.min()) - 20, int(cols.mean()))
    made = values.network.motions.candidate(workspace, state, pixel, 0.11, 0.5)
    steps = [Step("push", state, scored, made), Step("nothing", state, scored)]
    draw_steps(steps, tmp_path / "first.png", "two rows")
    draw_steps(steps[::-1], tmp_path / "second.png", "two rows")
    upper, lower = red(tmp_path / "first.png")
    assert upper > 20 and lower == 0
    upper, lower = red(tmp_path / "second.png")
    assert upper == 0 and lower > 20


def test_a_table_without_anything_is_drawn_too(robot, tmp_path) -> None:  # noqa: F811
    values = make_values(CONFIG, robot)
    state = a_state(3)
    empty = replace(state, height=np.zeros_like(state.height))
    scored = values.evaluate(empty, tuple(Primitive))
    assert not len(scored)
    draw_steps([Step("", empty, scored)], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 5000
