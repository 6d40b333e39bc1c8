from __future__ import annotations

import numpy as np
import pytest
from patch_synthesis import PAIR, bars

torch = pytest.importorskip("torch")

from selfgrasp_nodes.errors import StorageError  # noqa: E402
from selfgrasp_nodes.learning.patch_config import PatchTraining, Phase  # noqa: E402
from selfgrasp_nodes.learning.patch_data import NothingToLearn, held_out  # noqa: E402
from selfgrasp_nodes.learning.patch_metrics import balanced_accuracy  # noqa: E402
from selfgrasp_nodes.learning.patch_train import judge_tries, train  # noqa: E402

SMALL = {"name": "polar", "widths": (8, 8, 16, 16), "rings": 16}


def _config(**changes: object) -> PatchTraining:
    values: dict[str, object] = {
        "network": SMALL,
        "base": Phase(epochs=4, rate=0.01),
        "batch": 32,
        "average": 0.9,
        "validation": 0.25,
        **changes,
    }
    return PatchTraining(**values)  # type: ignore[arg-type]


def test_it_learns_what_fits_between_the_fingers(tmp_path) -> None:
    trained = train(bars(900), PAIR, _config(base=Phase(epochs=10, rate=0.01)), tmp_path)
    novel = bars(400, seed=99)
    odds = judge_tries(trained.members, novel, PAIR)
    predicted = trained.calibration.probability(odds) >= trained.calibration.threshold
    assert balanced_accuracy(novel.success, predicted) > 0.85
    assert trained.metrics["held_out"]["calibration_error"] < 0.15
    # At another angle the same patches are judged otherwise.
    turned = novel.take(np.arange(400))
    turned.angle[:] = np.mod(novel.angle + np.pi / 2, np.pi)
    wrong = trained.calibration.probability(judge_tries(trained.members, turned, PAIR))
    assert wrong[novel.success].mean() < 0.5 * predicted[novel.success].mean()


class _Stop(Exception):
    pass


def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path) -> None:
    tries, config = bars(200), _config()
    whole = train(tries, PAIR, config, tmp_path / "whole")

    def interrupt(step) -> None:
        if step.epoch == 2 and step.done > 0:
            raise _Stop

    with pytest.raises(_Stop):
        train(tries, PAIR, config, tmp_path / "cut", on_step=interrupt)
    epochs = []
    resumed = train(
        tries,
        PAIR,
        config,
        tmp_path / "cut",
        on_step=lambda step: epochs.append(step.epoch) if step.numbers else None,
    )
    assert epochs == [3, 4]
    for name, tensor in whole.members[0].state_dict().items():
        assert torch.equal(tensor, resumed.members[0].state_dict()[name]), name


def test_held_out_tries_of_one_outcome_do_no_harm_where_others_are_judged(tmp_path) -> None:
    tries, config = bars(200), _config(base=Phase(epochs=1, rate=0.01))
    tries.success[held_out(tries.episode, config.validation)] = True
    with pytest.raises(NothingToLearn, match="held-out"):
        train(tries, PAIR, config, tmp_path / "own")
    others = bars(120, seed=5)
    trained = train(tries, PAIR, config, tmp_path / "others", judged_on=others)
    assert trained.metrics["held_out"]["tries"] == 120
    # The network has seen none of them: on other ones it is another training, and said so.
    with pytest.raises(StorageError, match="judged on"):
        train(tries, PAIR, config, tmp_path / "others", judged_on=bars(120, seed=6))


def test_another_training_is_not_gone_on_with(tmp_path) -> None:
    tries = bars(200)
    train(tries, PAIR, _config(base=Phase(epochs=1, rate=0.01)), tmp_path)
    with pytest.raises(StorageError, match="configuration"):
        train(tries, PAIR, _config(base=Phase(epochs=1, rate=0.02)), tmp_path)
    (tmp_path / "member0.state.safetensors").write_bytes(b"cut short")
    with pytest.raises(StorageError, match="damaged"):
        train(tries, PAIR, _config(base=Phase(epochs=1, rate=0.01)), tmp_path)


def test_a_full_disk_is_said_and_the_state_before_stays(tmp_path, monkeypatch) -> None:
    tries, config = bars(100), _config(base=Phase(epochs=2, rate=0.01))
    file = tmp_path / "member0.state.safetensors"
    before: list[bytes] = []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def fill(step) -> None:
        if step.numbers:
            before.append(file.read_bytes())
            monkeypatch.setattr("os.fsync", full)

    with pytest.raises(StorageError, match=r"state.*No space left.*free the disk"):
        train(tries, PAIR, config, tmp_path, on_step=fill)
    assert [file.read_bytes()] == before and list(tmp_path.iterdir()) == [file]


def test_zero_positives_are_refused(tmp_path) -> None:
    tries = bars(100)
    tries.success[:] = False
    with pytest.raises(NothingToLearn, match="0 of"):
        train(tries, PAIR, _config(), tmp_path)


def test_an_episode_stays_on_its_side_when_the_data_grows() -> None:
    names = np.array([f"r/{i}" for i in range(1000)])
    small, large = held_out(names[:300], 0.2), held_out(names, 0.2)
    assert (large[:300] == small).all()
    assert 0.15 < large.mean() < 0.25


def test_the_papers_network_trains_on_a_small_run(tmp_path) -> None:
    tries = bars(48)
    config = _config(
        network={"name": "alexnet"},
        base=Phase(epochs=1, rate=0.001),
        optimizer="sgd",
        schedule="constant",
        average=0.0,
        batch=16,
        threads=2,
    )
    trained = train(tries, PAIR, config, tmp_path)
    assert np.isfinite(trained.history[0][0]["loss"])
    odds = judge_tries(trained.members, tries, PAIR)
    assert np.isfinite(odds).all() and odds.std() > 0
