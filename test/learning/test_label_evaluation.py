from __future__ import annotations

import json

import pytest

from selfgrasp_nodes.learning import label_evaluation as le
from selfgrasp_nodes.learning.confusion import confusion
from selfgrasp_nodes.learning.label_cases import THIN, thin_scene
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import check_scene


def test_confusion_counts_both_ways():
    pairs = [(True, "SUCCESS")] * 8 + [(True, "SLIPPED")] * 2
    pairs += [(False, "MISSED")] * 18 + [(False, "SUCCESS")] * 1 + [(False, "BLOCKED")] * 1
    table = confusion(pairs)
    assert table["counts"]["held"] == {"SUCCESS": 8, "SLIPPED": 2}
    assert table["held"]["recall"]["value"] == pytest.approx(0.8)
    assert table["held"]["precision"]["value"] == pytest.approx(8 / 9)
    assert table["not_held"]["recall"]["value"] == pytest.approx(19 / 20)
    assert table["not_held"]["precision"]["value"] == pytest.approx(19 / 21)
    assert table["held"]["recall"]["low"] < 0.8 < table["held"]["recall"]["high"]
    assert confusion([])["held"]["recall"]["value"] is None


@pytest.mark.parametrize("kind", THIN)
@pytest.mark.parametrize("name", ["ur5_rg2", "baxter"])
def test_thin_scenes_are_possible(name, kind):
    robot = load_robot(name)
    closed = robot.arms[0].gripper.width_min
    low, high = THIN[kind][closed > 0.005]
    for seed in range(3):
        scene = thin_scene(robot, 8, seed, kind)
        check_scene(scene)
        for obj in scene.objects:
            assert closed + low <= obj.spec.size[0] <= closed + high
            assert robot.workspace.workspace.contains(
                obj.position[0] + robot.workspace.center[0], obj.position[1]
            )
        assert thin_scene(robot, 8, seed, kind).digest == scene.digest
        assert thin_scene(robot, 8, seed + 1, kind).digest != scene.digest


def test_labels_agree_with_truth_on_a_few_scenes():
    """A small run of what ``selfgrasp label --confusion`` does at length."""
    config = le.LabelConfig(held=10, not_held=10, workers=1, tries=3, objects=5, seed=40)
    seen = []
    summary = le.evaluate_labels(config, lambda held, other: seen.append((held, other)))
    table = summary["with_force"]["all"]
    assert table["held"]["count"] >= 10
    assert table["not_held"]["count"] >= 10
    assert seen[-1] == (table["held"]["count"], table["not_held"]["count"])
    wrong = len(summary["errors"])
    assert wrong <= 1, summary["errors"]
    kinds = {t["kind"] for t in summary["tries"]}
    assert kinds == set(le.KINDS)
    json.dumps(summary)
