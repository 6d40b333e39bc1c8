"""Writes a camera's calibration into a robot's YAML and leaves every other byte as it is."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import numpy as np
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig, StorageError
from selfgrasp_nodes.robots.camera_spec import CalibrationSpec
from selfgrasp_nodes.robots.description import RobotSpec
from selfgrasp_nodes.robots.loader import load_robot, parse_robot

_MERGE = "tag:yaml.org,2002:merge"


def write_calibration(
    file: Path, camera: str, pose: np.ndarray, calibration: CalibrationSpec
) -> Path:
    """Set a camera's pose and calibration in place; comments and layout are kept.

    Cameras that inherit from it (``<<: *name``) keep the values that they had.

    Args:
        file: The robot's YAML.
        camera: Name of one of its cameras.
        pose: parent_T_camera, 4 x 4.
        calibration: Where it comes from.

    Returns:
        The copy of the file as it was.

    Raises:
        UnknownName: If the robot has no such camera.
        InvalidConfig: If the file is not a robot, or would not be one afterwards.
        StorageError: If it cannot be written.
    """
    before = load_robot(file)
    before.camera(camera)
    text = file.read_text()
    changed = _edited(text, camera, _pose_text(pose), _calibration_text(calibration))
    _check(before, changed, camera, pose, file)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    copy = file.with_suffix(f".yaml.before-{stamp}")
    fresh = file.with_suffix(".yaml.new")
    try:
        shutil.copy2(file, copy)
        fresh.write_text(changed)
        shutil.copymode(file, fresh)
        fresh.replace(file)
    except OSError as error:
        raise StorageError(
            f"cannot write {file}: {error}; give another file with --output"
        ) from error
    return copy


def _edited(text: str, camera: str, pose: str, calibration: str) -> str:
    """The text with a camera's two entries set."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, MappingNode)  # it is a robot
    cameras = _value(root, "cameras")
    if cameras is None:  # a file over a base
        item = f"  - name: {camera}\n    pose: {pose}\n    calibration: {calibration}\n"
        return text.rstrip("\n") + "\ncameras:\n" + item
    nodes = {_name(node): node for node in cameras.value}
    if camera not in nodes:
        end = text.find("\n", _span(cameras)[1])
        end = len(text) if end < 0 else end
        indent = " " * cameras.value[0].start_mark.column
        item = f"\n{indent[2:]}- name: {camera}\n{indent}pose: {pose}"
        return text[:end] + item + f"\n{indent}calibration: {calibration}" + text[end:]
    target = nodes[camera]
    # (start, end, new text), applied from the end so that positions stay right.
    edits = [_entry(text, target, "pose", pose), _entry(text, target, "calibration", calibration)]
    for node in nodes.values():
        if node is not target and target in _merged(node):
            for key in ("pose", "calibration"):
                if _value(node, key) is None:
                    old = _value(target, key)
                    kept = text[slice(*_span(old))] if old is not None else "null"
                    edits.append(_entry(text, node, key, kept))
    for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _entry(text: str, node: MappingNode, key: str, value: str) -> tuple[int, int, str]:
    """The edit that sets one key of a mapping: replaced, or added after its last own entry."""
    present = _value(node, key)
    if present is not None:
        return (*_span(present), value)
    if node.flow_style:
        end = _span(node)[1] - 1
        return end, end, f", {key}: {value}"
    # After the line on which the last entry of its own ends, its comment included.
    last = max(_span(item)[1] for _, item in node.value if item.start_mark.index >= _start(node))
    line_end = text.find("\n", last)
    line_end = len(text) if line_end < 0 else line_end
    indent = " " * node.value[0][0].start_mark.column
    return line_end, line_end, f"\n{indent}{key}: {value}"


def _start(node: Node) -> int:
    return int(node.start_mark.index)


def _span(node: Node) -> tuple[int, int]:
    """Where a value stands in the text; a block's own end mark lies behind comments after it."""
    children: list[Node] = []
    if isinstance(node, MappingNode) and not node.flow_style:
        children = [value for _, value in node.value]
    elif isinstance(node, SequenceNode) and not node.flow_style:
        children = list(node.value)
    end = max((_span(child)[1] for child in children), default=int(node.end_mark.index))
    return _start(node), end


def _value(node: MappingNode, key: str) -> Node | None:
    for name, value in node.value:
        if isinstance(name, ScalarNode) and name.tag != _MERGE and name.value == key:
            return value
    return None


def _name(node: MappingNode) -> str:
    name = _value(node, "name")
    return str(name.value) if name is not None else ""


def _merged(node: MappingNode) -> list[Node]:
    """The mappings that one inherits from."""
    return [value for name, value in node.value if name.tag == _MERGE]


def _pose_text(pose: np.ndarray) -> str:
    xyz = ", ".join(f"{v:.6f}" for v in pose[:3, 3])
    quaternion = ", ".join(f"{v:.8f}" for v in geometry.quaternion(pose))
    return f"{{xyz: [{xyz}], quaternion: [{quaternion}]}}"


def _calibration_text(calibration: CalibrationSpec) -> str:
    values = calibration.model_dump(mode="json")
    text = yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=10_000)
    return text.strip()


def _check(before: RobotSpec, text: str, camera: str, pose: np.ndarray, file: Path) -> None:
    """Everything but that camera's two entries is as it was."""
    after = parse_robot(text, file)
    same = [c for c in before.cameras if c.name != camera]
    rest = {"cameras": ()}
    if [c for c in after.cameras if c.name != camera] != same or (
        after.model_copy(update=rest) != before.model_copy(update=rest)
    ):
        raise InvalidConfig(
            f"{file} is laid out in a way that this program cannot edit; put the printed pose "
            f"into camera {camera!r} by hand"
        )
    if not np.allclose(after.camera(camera).pose.matrix, pose, atol=1e-5):
        raise InvalidConfig(f"the pose of camera {camera!r} is not a rigid transform")
