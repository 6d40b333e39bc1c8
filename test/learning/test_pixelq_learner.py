"""Replay and the learner, on states that are made up."""

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
from selfgrasp_nodes.types import Primitive  # noqa: E402

GRASP, PUSH = Primitive.GRASP, Primitive.PUSH


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


def test_the_rate_falls(robot) -> None:  # noqa: F811
    learner = Learner(CONFIG.model_copy(update={"rate": 0.01, "rate_steps": 2}), robot)
    learner.add(a_try(0))
    rates = []
    for _ in range(5):
        learner.step()
        rates.append(learner.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01 / (1 + step / 2) for step in range(5)])


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


def test_a_network_that_judges_itself_judges_old_tries_anew_and_not_the_newest(robot) -> None:  # noqa: F811
    options = TargetOptions(bootstrap="all", double=False, every=0, refresh=1)
    update = {"target": options, "loss": "value", "average": 0.0}
    learner = Learner(CONFIG.model_copy(update=update), robot)
    for i in range(6):
        learner.add(a_try(i, success=True, changed=True))
    for _ in range(12):
        learner.step()
    ages = np.array([learner.copies - 1 - m.judged for m in learner.memories])
    # One a step, in turn: none is older than there are tries, but for those not drawn.
    assert ages.max() <= 9 and len(set(ages)) == len(ages)


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


def test_what_is_lost_weighs_more(robot) -> None:  # noqa: F811
    def block(*places: tuple[int, int]) -> bytes:
        state = a_state(0)
        height = np.zeros_like(state.height)
        for row, col in places:
            height[row : row + 25, col : col + 25] = 0.05
        return encode_state(replace(state, height=height))

    push = a_try(0, primitive=PUSH, success=True, changed=True)
    gone = replace(push, row=110, col=170, before=block((100, 190), (50, 50)))
    gone = replace(gone, after=block((50, 50)))

    def surprise(weight: float) -> float:
        options = TargetOptions(
            bootstrap="push", push_reward=0.0, border=True, hindsight=True, lost_weight=weight
        )
        # Without dropout and variation, the first step's loss is the untrained network's.
        network = {**CONFIG.network, "dropout": 0.0, "jitter": (0.0, 0.0, 0.0)}
        config = CONFIG.model_copy(update={"target": options, "network": network})
        learner = Learner(config, robot)
        learner.add(gone)
        memory = learner.memories[0]
        memory.seen = 1.0  # that the next grasp held something is no excuse
        learner.step()
        assert memory.lost and memory.target(0.5) == 0.0
        return memory.surprise

    assert surprise(4.0) == pytest.approx(4 * surprise(1.0))


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
    assert len(found) >= 10 and found["pixelq_no_pushes"].actions() == (GRASP,)
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
    [
        "",
        "_no_pushes",
        "_vpg",
        "_vpg_myopic",
        "_vpg_noreward",
        "_vpg_nodepth",
        "_reactive",
        "_grasping",
    ],
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
        ("target: {bootstrap: all, border: true}", "bootstrap 'push'"),
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
