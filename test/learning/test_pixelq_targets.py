"""What a try says about the value of its pixel, on states that are made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pixelq_tries import CONFIG, a_state, robot  # noqa: E402, F401

from selfgrasp_nodes.learning.pixelq_learner import Learner  # noqa: E402
from selfgrasp_nodes.policies.pixelq.networks import Scored  # noqa: E402
from selfgrasp_nodes.policies.pixelq.state import State  # noqa: E402
from selfgrasp_nodes.policies.pixelq.targets import TargetRule, has_lost, near_change  # noqa: E402
from selfgrasp_nodes.types import Primitive  # noqa: E402

GRASP, PUSH = Primitive.GRASP, Primitive.PUSH


class Known:
    """Values that are known: so much for each primitive, the same everywhere asked for."""

    def __init__(self, grasp: float, push: float):
        self.worth = {GRASP: grasp, PUSH: push}
        self.asked: list[np.ndarray | None] = []

    def evaluate(self, state, primitives, within=None) -> Scored:
        self.asked.append(within)
        kinds = np.array([int(p) for p in primitives])
        zeros = np.zeros(len(kinds), int)
        values = np.array([self.worth[p] for p in primitives])
        return Scored(kinds, zeros, zeros, zeros, zeros, values)

    def value(self, state, action) -> float:
        return self.worth[Primitive(int(action.primitive[0]))]


def test_the_papers_targets() -> None:
    rule = TargetRule(discount=0.5, push_reward=0.5, bootstrap="all")
    assert rule.reward(GRASP, True, True) == 1 and rule.reward(GRASP, False, True) == 0
    assert rule.reward(PUSH, True, True) == 0.5 and rule.reward(PUSH, False, False) == 0
    # What comes after counts unless nothing changed and nothing was grasped.
    assert rule.looks_ahead(GRASP, True, False) and rule.looks_ahead(GRASP, False, True)
    assert not rule.looks_ahead(GRASP, False, False) and not rule.looks_ahead(PUSH, False, False)
    before, after = a_state(0), a_state(1)
    assert rule.future(before, after, (GRASP, PUSH), Known(0.3, 0.8)) == 0.8
    none = replace(rule, discount=0.0)
    assert not none.looks_ahead(GRASP, True, True)


def test_a_push_is_worth_the_grasp_that_it_makes() -> None:
    rule = TargetRule(discount=0.5, push_reward=0.0, bootstrap="push")
    assert not rule.looks_ahead(GRASP, True, True) and rule.looks_ahead(PUSH, True, True)
    before = a_state(0)
    moved = before.height.copy()
    moved[20:50, 20:50] = 0.05
    after = replace(before, height=moved)
    values = Known(0.6, 9.0)
    assert rule.future(before, after, (GRASP, PUSH), values) == 0.6
    # Only grasps near what moved are asked for.
    within = values.asked[0]
    assert within[35, 35] and within[60, 35] and not within[150, 150]
    np.testing.assert_array_equal(within, near_change(before, after))
    assert rule.future(before, before, (GRASP, PUSH), values) == 0.0


def test_what_goes_over_the_border_leads_to_nothing() -> None:
    def blocks(*places: tuple[int, int]) -> State:
        height = np.zeros((224, 224), np.float32)
        for row, col in places:
            height[row : row + 25, col : col + 25] = 0.05
        return State(height, np.ones((224, 224), bool), a_state(0).color)

    before = blocks((100, 195), (100, 50))
    gone, moved, along = blocks((100, 50)), blocks((130, 195), (100, 50)), blocks((100, 195))
    assert has_lost(before, gone)
    assert not has_lost(before, moved)  # it moved at the border, and stands there still
    assert not has_lost(before, along)  # what is gone stood far from the border: it was grasped
    values = Known(grasp=0.8, push=0.3)
    rule = TargetRule(bootstrap="push", double=False, border=True)
    assert rule.future(before, gone, (GRASP, PUSH), values) == 0.0
    assert rule.future(before, moved, (GRASP, PUSH), values) == 0.8
    careless = replace(rule, border=False)
    assert careless.future(before, gone, (GRASP, PUSH), values) == 0.8


def test_double_q_judges_what_the_other_chose() -> None:
    rule = TargetRule(bootstrap="all", double=True)
    states = a_state(0), a_state(1)
    target, online = Known(grasp=0.2, push=0.9), Known(grasp=0.8, push=0.1)
    assert rule.future(*states, (GRASP, PUSH), target, online) == 0.2
    plain = replace(rule, double=False)
    assert plain.future(*states, (GRASP, PUSH), target, online) == 0.9


def test_double_q_asks_for_the_very_action(robot) -> None:  # noqa: F811
    # Two networks that look closely at different places: their lists of actions differ.
    chooser, judge = Learner(CONFIG, robot), Learner(CONFIG.model_copy(update={"seed": 9}), robot)
    state = a_state(4)
    for learner in (chooser, judge):
        learner.online.network.most_cells = 60
    lists = [x.online.evaluate(state, (GRASP,)) for x in (chooser, judge)]
    best = int(np.argmax(lists[0].value))
    where = [
        {tuple(map(int, a)) for a in zip(x.rotation, x.row, x.col, strict=True)} for x in lists
    ]
    assert where[0] != where[1]
    rule = TargetRule(bootstrap="all", double=True)
    found = rule.future(a_state(5), state, (GRASP,), judge.online, chooser.online)
    one = lists[0].take(np.array([best]))
    assert found == pytest.approx(judge.online.value(state, one), abs=1e-6)
    assert 0 < found < 1
    # And what it says of one action is what it says of it among all.
    mine = lists[1].take(np.array([int(np.argmax(lists[1].value))]))
    assert judge.online.value(state, mine) == pytest.approx(float(mine.value[0]), abs=5e-3)
