from __future__ import annotations

from dataclasses import replace

import pytest
from traces import RG2, grasp, observation

from selfgrasp_nodes.errors import EmptyObservation, UnknownName
from selfgrasp_nodes.labeling.labels import Labels
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.types import OutcomeCode, Primitive


def test_the_candidate_says_which_rule_and_which_gripper():
    labels = Labels(load_robot("ur5_rg2"))
    held = grasp(RG2, 0.03)
    assert labels.label(held).code == OutcomeCode.SUCCESS
    push = replace(held, candidate=replace(held.candidate, primitive=Primitive.PUSH))
    before, after = observation(0.05), observation(0.0)
    assert labels.label(push, before, after).code == OutcomeCode.CHANGED
    assert labels.label(push, before, before).code == OutcomeCode.NO_CHANGE
    assert labels.changed(before, after)[0]
    with pytest.raises(EmptyObservation, match="before and after"):
        labels.label(push, before)
    failed = replace(push, code=OutcomeCode.CANCELLED, error="cancelled")
    assert labels.label(failed).code == OutcomeCode.CANCELLED
    with pytest.raises(UnknownName, match="no_such_arm"):
        labels.label(replace(held, candidate=replace(held.candidate, arm="no_such_arm")))
