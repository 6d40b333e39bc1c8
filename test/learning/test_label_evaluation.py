from __future__ import annotations

import json

import pytest

from selfgrasp_nodes.learning import label_evaluation as le
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.scenes import check_scene


def test_confusion_counts_both_ways():
    pairs = [(True, "SUCCESS")] * 8 + [(True, "SLIPPED")] * 2
    pairs += [(False, "MISSED")] * 18 + [(False, "SUCCESS")] * 1 + [(False, "BLOCKED")] * 1
    table = le.confusion(pairs)
    assert table["counts"]["held"] == {"SUCCESS": 8, "SLIPPED": 2}
    assert table["held"]["recall"]["value"] == pytest.approx(0.8)
    assert table["held"]["precision"]["value"] == pytest.approx(8 / 9)
    assert table["not_held"]["recall"]["value"] == pytest.approx(19 / 20)
    assert table["not_held"]["precision"]["value"] == pytest.approx(19 / 21)
    assert table["held"]["recall"]["low"] < 0.8 < table["held"]["recall"]["high"]
    assert le.confusion([])["held"]["recall"]["value"] is None


@pytest.mark.parametrize("seed", range(3))
def test_thin_scenes_are_possible(seed):
    robot = load_robot("ur5_rg2")
    scene = le.thin_scene(robot, 8, seed)
    check_scene(scene)
    assert all(0.005 <= obj.spec.size[0] <= 0.012 for obj in scene.objects)
    for obj in scene.objects:
        assert robot.workspace.workspace.contains(
            obj.position[0] + robot.workspace.center[0], obj.position[1]
        )
    assert le.thin_scene(robot, 8, seed).digest == scene.digest
    assert le.thin_scene(robot, 8, seed + 1).digest != scene.digest


def test_labels_agree_with_truth_on_a_few_scenes():
    """A small run of what ``selfgrasp label --confusion`` does at length."""
    config = le.LabelConfig(held=8, not_held=8, workers=1, tries=5, objects=5, seed=40)
    seen = []
    summary = le.evaluate_labels(config, lambda held, other: seen.append((held, other)))
    table = summary["with_force"]["all"]
    assert table["held"]["count"] >= 8
    assert table["not_held"]["count"] >= 8
    assert seen[-1] == (table["held"]["count"], table["not_held"]["count"])
    wrong = len(summary["errors"])
    assert wrong <= 1, summary["errors"]
    kinds = {t["kind"] for t in summary["tries"]}
    assert kinds == set(le.KINDS)
    json.dumps(summary)
