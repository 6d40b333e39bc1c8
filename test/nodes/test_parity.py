"""The fast loop and the ROS graph agree on what becomes of a candidate."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from selfgrasp_nodes.learning import parity
from selfgrasp_nodes.nodes.parity_graph import GraphSide
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import Outcome, OutcomeCode


def test_good_and_bad_candidates_end_alike(graph) -> None:
    """Two good grasps, two random ones; ``bench/parity.py`` does it with 200."""
    fast = parity.FastSide(load_robot("ur5_rg2"))
    wanted = ("antipodal/0", "antipodal/1", "random-roi/0", "random/0")
    chosen = [case for case in fast.cases(10, 30001, 5) if case.id.endswith(wanted)]
    assert len(chosen) == 4
    with GraphSide() as side:
        done = list(parity.compare(chosen, fast.run, side.run))
    found = parity.summary(done)
    # One of four may differ: sensors are noisy, and a random grasp may be a close call.
    assert sum(c.same_truth for c in done) >= 3, found
    assert sum(c.same_label for c in done) >= 3, found
    assert {c.fast.held for c in done} == {True, False}, found


def test_disagreements_are_counted_and_told() -> None:
    case = parity.FastSide(load_robot("ur5_rg2")).cases(1, 30001, 1).__next__()
    held = parity.Tried(Outcome(OutcomeCode.SUCCESS, reason="held with 40 N"), True, 0.1)
    lost = parity.Tried(Outcome(OutcomeCode.SLIPPED, reason="lost it"), False, 0.1)
    found = parity.summary(
        [parity.Comparison(case, held, held), parity.Comparison(case, held, lost)]
    )
    assert found["agreement by label"] == found["agreement by truth"] == 0.5
    (told,) = found["disagreements"]
    assert told["graph"] == "SLIPPED: lost it" and told["truly held"] == [True, False]
