"""Targets, replay and the learner, on states that are made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pixelq_tries import CONFIG, a_state, a_try, robot  # noqa: E402, F401

from selfgrasp_nodes.errors import InvalidConfig, SelfGraspError, StorageError  # noqa: E402
from selfgrasp_nodes.learning.pixelq_config import (  # noqa: E402
    PixelqTraining,
    Replay,
    TargetOptions,
    load_pixelq_training,
)
from selfgrasp_nodes.learning.pixelq_learner import Learner  # noqa: E402
from selfgrasp_nodes.learning.pixelq_state import load_learner, save_learner  # noqa: E402
from selfgrasp_nodes.learning.pixelq_store import (  # noqa: E402
    PixelStore,
    decode_state,
    encode_state,
)
from selfgrasp_nodes.paths import share_dir  # noqa: E402
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


def test_a_state_survives_being_stored() -> None:
    state = a_state(3)
    back = decode_state(encode_state(state))
    np.testing.assert_allclose(back.height, state.height, atol=1.3e-4)
    np.testing.assert_array_equal(back.known, state.known)
    step = np.abs(back.color.astype(int) - state.color)
    assert step.mean() < 2 and np.median(step) <= 2


def test_a_loss_that_is_no_number_is_said(robot) -> None:  # noqa: F811
    learner = Learner(CONFIG, robot)
    for i in range(4):
        learner.add(a_try(i))
    with torch.no_grad():
        next(iter(learner.online.network.parameters())).fill_(np.nan)
    with pytest.raises(SelfGraspError, match="lower rate"):
        learner.step()


def test_replay_draws_what_it_says(robot) -> None:  # noqa: F811
    options = Replay(batch=6, surprising=1.0, opposite=True, newest=True)
    learner = Learner(CONFIG.model_copy(update={"replay": options}), robot)
    for i in range(40):
        learner.add(a_try(i, primitive=GRASP if i % 3 else PUSH, success=i % 4 == 0))
    for i, memory in enumerate(learner.memories):
        memory.surprise = float(i)
    last = learner.memories[-1].tried
    drawn = [m for _ in range(30) for m in learner.choose()[1:]]
    # Only tries of the last one's primitive with the other outcome, each itself and no
    # neighbour of it, and those that surprised more often.
    assert {m.tried.primitive for m in drawn} == {last.primitive}
    assert {m.tried.success for m in drawn} == {not last.success}
    assert all(m in learner.memories[:-1] for m in drawn)
    places = np.array([m.tried.index for m in drawn])
    wanted = (last.primitive, not last.success)
    pool = [
        m.tried.index
        for m in learner.memories[:-1]
        if (m.tried.primitive, m.tried.success) == wanted
    ]
    assert set(places) <= set(pool) and places.mean() > np.mean(pool) + 3
    assert all(learner.choose()[0] is learner.memories[-1] for _ in range(3))


def test_labels_are_judged_anew_when_the_judge_is(robot) -> None:  # noqa: F811
    options = TargetOptions(bootstrap="push", push_reward=0.0, every=3, refresh=1000)
    learner = Learner(CONFIG.model_copy(update={"target": options}), robot)
    tried = a_try(0, primitive=PUSH, success=True, changed=True)
    for i in range(8):
        learner.add(a_try(i))  # what teaches the judge
    learner.add(tried)
    for _ in range(3):
        learner.step()
    old = {m.future for m in learner.memories if m.judged == 0}
    assert len(old) == 1 and 0 < old.pop() < 1
    assert learner.copies == 1
    first = learner.memories[-1]  # the newest try is in every batch
    before = first.future
    learner.step()
    assert first.judged == 1 and first.future != before


def test_a_push_learns_from_the_grasp_that_follows_it(robot) -> None:  # noqa: F811
    options = TargetOptions(bootstrap="push", push_reward=0.0, hindsight=True)
    learner = Learner(CONFIG.model_copy(update={"target": options}), robot)
    for number in (0, 2, 4):
        learner.add(a_try(number, primitive=PUSH, success=True, changed=True))
        learner.add(a_try(number + 1, success=number == 0))
    pushes = learner.memories[::2]
    assert [m.seen for m in pushes] == [1.0, 0.0, 0.0]
    for memory in pushes:
        memory.future = 0.6
    assert [m.target(0.5) for m in pushes] == pytest.approx([0.4, 0.15, 0.15])
    # Not a grasp elsewhere, nor one after another try.
    learner.add(a_try(6, primitive=PUSH, success=True, changed=True))
    learner.add(replace(a_try(7), row=10, col=10))
    learner.add(a_try(8, primitive=PUSH, success=True, changed=True))
    learner.add(a_try(10))
    assert [m.seen for m in learner.memories[6::2]] == [None, None]


def test_it_learns_what_can_be_grasped(robot) -> None:  # noqa: F811
    """Blocks that lie along the fingers' way are held, those across it are not."""
    learner = Learner(CONFIG.model_copy(update={"rate": 0.005}), robot)
    rng = np.random.default_rng(0)
    for i in range(80):
        learner.add(a_try(i, turned=bool(rng.integers(2))))
    for _ in range(120):
        learner.step()
    held = a_try(100, turned=False)
    missed = a_try(101, turned=True)
    network = learner.acting.network
    examples = [
        network.example(decode_state(t.before), GRASP, t.angle, t.row, t.col, 0)
        for t in (held, missed)
    ]
    with torch.inference_mode():
        good, bad = torch.sigmoid(network.values(examples)).tolist()
    assert held.success and not missed.success
    assert good > 0.8 and bad < 0.2


def test_a_state_that_was_saved_goes_on_exactly(robot, tmp_path) -> None:  # noqa: F811
    learner = Learner(CONFIG, robot)
    tries = [a_try(i, primitive=PUSH if i % 4 == 0 else GRASP) for i in range(24)]
    for tried in tries:
        learner.add(tried)
    for _ in range(5):
        learner.step()
    path = tmp_path / "state.safetensors"
    save_learner(learner, path, CONFIG.identity())
    losses = [learner.step() for _ in range(4)]
    other = Learner(CONFIG, robot)
    for tried in tries:
        other.add(tried)
    assert load_learner(other, path, CONFIG.identity())
    assert [other.step() for _ in range(4)] == pytest.approx(losses, abs=1e-6)
    with pytest.raises(StorageError, match="other rate"):
        load_learner(other, path, CONFIG.model_copy(update={"rate": 0.5}).identity())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StorageError, match="damaged"):
        load_learner(other, path, CONFIG.identity())
    assert not load_learner(other, tmp_path / "none", CONFIG.identity())


def test_the_store_keeps_what_it_is_given(tmp_path) -> None:
    tries = [a_try(i) for i in range(5)]
    with PixelStore(tmp_path / "t.sqlite", {"seed": 1}) as store:
        for tried in tries:
            store.add(tried)
        store.add(tries[0])  # an episode's try is stored once
        assert len(store) == 5 and store.next_episode() == 1
    with PixelStore(tmp_path / "t.sqlite", {"seed": 1}) as store:
        back = list(store.tries())
        columns = store.columns("index", "success")
    assert [vars(a) for a in back] == [vars(b) for b in tries]
    # What one try left behind is what the next one saw, and is kept once.
    assert tries[0].after == tries[1].before and back[0].after is back[1].before
    np.testing.assert_array_equal(columns["index"], range(5))
    with pytest.raises(StorageError, match="other seed"):
        PixelStore(tmp_path / "t.sqlite", {"seed": 2})
    (tmp_path / "bad.sqlite").write_bytes(b"no database at all, but long enough to be one" * 9)
    with pytest.raises(StorageError, match="cannot be opened"):
        PixelStore(tmp_path / "bad.sqlite", {})


def test_the_shipped_configurations() -> None:
    folder = share_dir() / "config" / "learning"
    files = sorted(folder.glob("pixelq*.yaml"))
    found = {f.stem: load_pixelq_training(f) for f in files}
    assert len(found) >= 9
    paper = found["pixelq_vpg"]
    assert (paper.target.discount, paper.target.push_reward) == (0.5, 0.5)
    assert (paper.explore.start, paper.explore.decay, paper.explore.end) == (0.5, 0.9998, 0.1)
    assert found["pixelq_vpg_myopic"].target.discount == 0.2
    assert found["pixelq_vpg_noreward"].target.push_reward == 0.0
    assert found["pixelq_vpg_nodepth"].network["inputs"] == "rgb"
    assert found["pixelq_grasping"].actions() == (GRASP,)
    assert found["pixelq_reactive"].push_weight == 0.5
    # The baselines differ from VPG in what they are named for, in nothing else.
    same = {"strokes", "clutter", "episodes", "tries", "steps", "optimizer", "rate", "seed"}
    for name in ("pixelq_vpg_myopic", "pixelq_vpg_noreward", "pixelq_vpg_nodepth",
                 "pixelq_grasping", "pixelq_reactive"):  # fmt: skip
        for key in same:
            assert getattr(found[name], key) == getattr(paper, key), (name, key)


@pytest.mark.parametrize(
    "name",
    ["", "_vpg", "_vpg_myopic", "_vpg_noreward", "_vpg_nodepth", "_reactive", "_grasping"],
)
def test_every_variant_learns(robot, name) -> None:  # noqa: F811
    file = share_dir() / "config" / "learning" / f"pixelq{name}.yaml"
    config = load_pixelq_training(file, replay={"batch": 8})
    learner = Learner(config, robot)
    for i in range(12):
        primitive = PUSH if i % 3 == 0 and PUSH in config.actions() else GRASP
        learner.add(a_try(i, primitive=primitive, turned=i % 2 == 0, changed=True))
    # Each step shows the tries shifted, turned, and with parts dropped: single losses say little.
    losses = [learner.step() for _ in range(80)]
    assert np.isfinite(losses).all() and np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])
    targets = {(m.tried.primitive, m.tried.success): m for m in learner.memories}
    held = targets[int(GRASP), True].target(learner.rule.discount)
    assert held > 1 if name.startswith("_vpg") else held == 1
    if PUSH in config.actions() and name.startswith("_vpg"):
        pushed = targets[int(PUSH), True]
        paid = 0.0 if name == "_vpg_noreward" else 0.5
        assert pushed.reward == paid
        assert pushed.target(learner.rule.discount) == pytest.approx(
            paid + learner.rule.discount * pushed.future
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tries: -1", "tries"),
        ("networks: {}", "valid keys"),
        ("loss: probability\ntarget: {bootstrap: all}", "needs values in 0..1"),
        ("clutter: [{since: 5}]", "since: 0"),
        ("clutter: [{objects: [9, 3]}]", "least, largest"),
        ("base: missing.yaml", "cannot be read"),
        ("base: self.yaml", "circle"),
        ("- 1", "mapping"),
    ],
)
def test_bad_configurations(tmp_path, content, message) -> None:
    path = tmp_path / "self.yaml"
    path.write_text(content)
    with pytest.raises(InvalidConfig, match=message):
        load_pixelq_training(path)


def test_identity_is_what_the_learning_depends_on() -> None:
    more = CONFIG.model_copy(update={"tries": 9, "workers": 7, "save": 3})
    assert more.identity() == CONFIG.identity()
    assert CONFIG.model_copy(update={"seed": 9}).identity() != CONFIG.identity()
    assert isinstance(CONFIG, PixelqTraining)
