from __future__ import annotations

import numpy as np
import pytest
from patch_synthesis import PAIR, SIZES, bars

torch = pytest.importorskip("torch")

from selfgrasp_nodes.learning.patch_batches import (  # noqa: E402
    NONE,
    epoch_order,
    frames,
    make_batch,
    outcome_weights,
)
from selfgrasp_nodes.learning.patch_config import Augment, PatchTraining  # noqa: E402
from selfgrasp_nodes.perception.patches import cut_patches  # noqa: E402
from selfgrasp_nodes.policies.patch.encoding import ANGLES, STEP, bin_angle  # noqa: E402
from selfgrasp_nodes.policies.patch.networks import sample, square  # noqa: E402


def test_frames_cut_what_cut_patches_cuts() -> None:
    tries = bars(6, seed=4)
    rng = np.random.default_rng(0)
    angle, shift = rng.uniform(0, np.pi, 6), rng.uniform(-0.004, 0.004, (6, 2))
    height = np.zeros((6, 48, 48), np.float32)
    expected, _ = cut_patches(tries.crops[..., :3], height, SIZES, 32, angle, shift)
    found = sample(
        torch.from_numpy(tries.crops),
        torch.from_numpy(frames(angle, np.zeros(6, bool), shift, PAIR[0] / PAIR[1], PAIR[1])),
        square(32),
    )
    got = found[:, :3].permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(got - expected).mean() < 1.0
    turned = np.abs(got[:, ::-1] - expected).mean()
    assert turned > 5  # another orientation would be noticed


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("aligned", [False, True])
def test_the_label_turns_with_the_patch(aligned: bool, mirror: bool) -> None:
    """A bar that lies along the tried angle is seen along the bin's angle, however turned."""
    tries = bars(40, seed=1)
    augment = Augment(turn=True, mirror=mirror, shift=0, jitter=0, brightness=0, height_noise=0)
    batch = make_batch(tries, np.arange(40), aligned, PAIR, augment, np.random.default_rng(2))
    # Sample along the closing direction of the labelled bin: the profile must be the one
    # that the crop has along the try's own world angle.
    reach = np.linspace(-0.9, 0.9, 41)
    own = frames(tries.angle, np.zeros(40, bool), np.zeros((40, 2)), PAIR[0] / PAIR[1], PAIR[1])
    line = torch.tensor(np.stack([reach, 0 * reach], -1)[None], dtype=torch.float32)
    truth = sample(batch.images, torch.from_numpy(own), line)[:, 3, 0].numpy()
    differences = []
    for i in range(40):
        a = float(bin_angle(int(batch.bins[i])))
        points = torch.tensor(
            np.stack([reach * np.cos(a), reach * np.sin(a)], -1)[None], dtype=torch.float32
        )
        seen = sample(batch.images[i : i + 1], batch.frames[i : i + 1], points)[0, 3, 0].numpy()
        best = min(np.abs(seen - truth[i]).mean(), np.abs(seen[::-1] - truth[i]).mean())
        differences.append(best)
    # Unaligned, a bin's middle is up to 5 degrees off.
    assert np.median(differences) < (0.001 if aligned else 0.003)


def test_soft_angles_share_a_try_among_neighbours() -> None:
    tries = bars(8)
    hard = make_batch(tries, np.arange(8), False, PAIR, NONE)
    assert (hard.shares.sum(1) == 1).all() and (hard.shares.max(1).values == 1).all()
    assert (hard.shares.argmax(1) == hard.bins).all()
    soft = make_batch(tries, np.arange(8), False, PAIR, NONE, soft_angle=STEP)
    assert torch.allclose(soft.shares.sum(1), torch.ones(8), atol=1e-5)
    assert (soft.shares.argmax(1) == hard.bins).all() and (soft.shares > 0.1).sum() >= 8 * 2


def test_stages_count_three_times_and_outcomes_alike() -> None:
    tries = bars(50)
    tries.stage[40:] = 1
    config = PatchTraining()
    order = epoch_order(tries, config, np.random.default_rng(0))
    assert len(order) == 40 + 3 * 10
    assert np.bincount(order, minlength=50)[40:].tolist() == [3] * 10
    failure, success = outcome_weights(tries, config)
    times = np.where(tries.stage > 0, 3, 1)
    positives = times[tries.success].sum()
    assert abs(positives * success - (times.sum() - positives) * failure) < 1e-6
    assert ANGLES == 18
