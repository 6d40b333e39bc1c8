from __future__ import annotations

import pytest

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.motion.options import MotionOptions, load_options


def test_the_shipped_file_is_valid_and_its_values_are_the_defaults():
    assert load_options() == MotionOptions()


def test_changes_win_over_the_file():
    assert load_options(planner={"name": "EST"}).planner.name == "EST"
    assert load_options(grasp={"approach_height": 0.25}).grasp.lift_height == 0.20


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("grasp: {aproach_height: 0.1}", "aproach_height"),
        ("grasps: {approach_height: 0.1}", "grasps"),
        ("speed: {velocity: 1.5}", "velocity"),
        ("safety: {max_force: -3}", "max_force"),
        ("planner: {resolution: zero}", "resolution"),
        ("- a list", "sections"),
        ("grasp: {", "YAML"),
    ],
)
def test_bad_entries_are_refused_by_name(tmp_path, text, named):
    file = tmp_path / "motion.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfig, match=named):
        load_options(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidConfig, match=r"nothing\.yaml"):
        load_options(tmp_path / "nothing.yaml")


def test_a_robot_has_values_of_its_own(tmp_path):
    """Baxter approaches from 0.25 m, as in Pinto and Gupta (2016)."""
    assert load_options(robot="baxter").grasp.approach_height == 0.25
    assert load_options(robot="ur5_rg2") == load_options()
    changed = load_options(robot="baxter", grasp={"approach_height": 0.1})
    assert changed.grasp.approach_height == 0.1
    file = tmp_path / "motion.yaml"
    for text, named in (
        ("robots: {mine: {grasp: {aproach_height: 0.1}}}", "aproach_height"),
        ("robots: [mine]", "'robots' must hold"),
    ):
        file.write_text(text)
        with pytest.raises(InvalidConfig, match=named):
            load_options(file, "mine")
