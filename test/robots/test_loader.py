from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.robots import load_robot, robot_names
from selfgrasp_nodes.robots.loader import robot_file


def edited(tmp_path: Path, **changes: object) -> Path:
    data = yaml.safe_load(robot_file("ur5_rg2").read_text())
    data.update(changes)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize("name", robot_names())
def test_every_shipped_robot_is_valid(name: str) -> None:
    robot = load_robot(name)
    assert robot.name == name
    assert robot.camera().name == robot.overhead_camera


def test_unknown_robot_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownName, match="ur5_rg2"):
        load_robot("ur6")


def test_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="wrkspace"):
        load_robot(edited(tmp_path, wrkspace=1))


def test_out_of_range_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"workspace\.resolution"):
        load_robot(edited(tmp_path, workspace={"center": [0, 0], "resolution": -1}))


def test_broken_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text("name: [")
    with pytest.raises(InvalidConfig, match="not valid YAML"):
        load_robot(path)


def test_unknown_arm_and_camera_list_the_valid_ones() -> None:
    robot = load_robot("ur5_rg2")
    with pytest.raises(UnknownName, match="valid: arm"):
        robot.arm("left")
    with pytest.raises(UnknownName, match="valid: overhead"):
        robot.camera("wrist")
