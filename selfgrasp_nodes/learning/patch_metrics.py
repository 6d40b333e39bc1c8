"""How good a classifier of tries is: balanced accuracy, calibration, intervals.

Pinto and Gupta (2016) test on a class-balanced set; balanced accuracy, the mean of
the shares of successes and of failures that are told, is what that estimates,
without throwing failures away. Intervals are bootstraps over episodes, since tries
on one clutter are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, logit

from selfgrasp_nodes.learning.metrics import Estimate, wilson

NEAR_BEST = 0.005
"""Thresholds this close to the best balanced accuracy are averaged."""

FOLDS = 5
"""Of held-out episodes: each is judged with what was fitted on the others."""


@dataclass(frozen=True)
class Calibration:
    """From log-odds to probability (Platt's), and the threshold of a yes.

    Attributes:
        scale: Factor on the network's log-odds.
        offset: Added to them.
        threshold: Probability from which on a grasp is predicted to succeed, at
            which balanced accuracy was best on held-out random tries.
    """

    scale: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5

    def probability(self, odds: np.ndarray) -> np.ndarray:
        """Probabilities of log-odds."""
        return expit(self.scale * odds + self.offset)

    def as_dict(self) -> dict[str, float]:
        """For the card."""
        return asdict(self)


def balanced_accuracy(success: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the two classes' accuracies; NaN where a class is missing."""
    if success.all() or not success.any():
        return float("nan")
    return float((predicted[success].mean() + (~predicted[~success]).mean()) / 2)


def ranking(success: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve (chance that a success is scored above a failure)."""
    from scipy.stats import rankdata

    positives = int(success.sum())
    negatives = len(success) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[success].sum() - positives * (positives + 1) / 2) / positives / negatives)


def calibrate(
    odds: np.ndarray, success: np.ndarray, random: np.ndarray | None = None
) -> Calibration:
    """Fit Platt's two numbers by maximum likelihood, then the threshold.

    Args:
        odds: (N,) log-odds on held-out tries.
        success: (N,) bool.
        random: (N,) bool of those to choose the threshold on (random tries, as
            the test set's); all where None or where they hold one outcome only.
    """
    odds, success = np.asarray(odds, float), np.asarray(success, bool)

    def loss(parameters: np.ndarray) -> float:
        z = np.exp(parameters[0]) * odds + parameters[1]
        likelihood = np.logaddexp(0, z) - success * z
        # A weak prior holds the scale where the two outcomes can be told without error.
        return float(likelihood.sum() + 0.5 * parameters[0] ** 2)

    start = np.array([0.0, 0.0])
    scale, offset = optimize.minimize(loss, start, method="Nelder-Mead").x
    fitted = Calibration(float(np.exp(scale)), float(offset))
    chosen = np.ones(len(odds), bool) if random is None else random
    if not chosen.any() or success[chosen].all() or not success[chosen].any():
        chosen = np.ones(len(odds), bool)
    threshold = best_threshold(fitted.probability(odds[chosen]), success[chosen])
    return Calibration(fitted.scale, fitted.offset, threshold)


def cross_fitted(
    odds: np.ndarray,
    success: np.ndarray,
    episodes: np.ndarray,
    random: np.ndarray | None = None,
    folds: int = FOLDS,
) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`calibrate` gives on tries that it was not fitted on.

    The held-out episodes are dealt into folds; each fold's calibration and threshold
    are fitted on the others, so that no try is judged by a number that it helped to choose.

    Args:
        odds: (N,) log-odds on held-out tries.
        success: (N,) bool.
        episodes: (N,) to which each try belongs; an episode stays in one fold.
        random: See :func:`calibrate`.
        folds: How many; no more than there are episodes.

    Returns:
        Probabilities (N,) and predictions (N,) bool.
    """
    names, inverse = np.unique(episodes, return_inverse=True)
    # Dealt in an order that the names' spelling does not decide.
    dealt = np.empty(len(names), int)
    dealt[np.random.default_rng(0).permutation(len(names))] = np.arange(len(names)) % folds
    fold = dealt[inverse]
    probability, predicted = np.zeros(len(odds)), np.zeros(len(odds), bool)
    for number in np.unique(fold):
        mine, rest = fold == number, fold != number
        if not rest.any():
            rest = mine  # a single episode: nothing else to fit on
        fitted = calibrate(odds[rest], success[rest], None if random is None else random[rest])
        probability[mine] = fitted.probability(odds[mine])
        predicted[mine] = probability[mine] >= fitted.threshold
    return probability, predicted


def best_threshold(probability: np.ndarray, success: np.ndarray) -> float:
    """Threshold of the best balanced accuracy, smoothed over those nearly as good."""
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    order = np.argsort(clipped)
    told = np.cumsum(~success[order]) / max((~success).sum(), 1)
    lost = np.cumsum(success[order]) / max(success.sum(), 1)
    accuracy = (told + 1 - lost) / 2
    near = np.flatnonzero(accuracy >= accuracy.max() - NEAR_BEST)
    values = logit(clipped[order])
    following = values[np.minimum(near + 1, len(values) - 1)]
    return float(expit(np.mean((values[near] + following) / 2)))


def calibration_error(success: np.ndarray, probability: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over bins of equal count."""
    order = np.argsort(probability)
    error = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            gap = abs(float(success[part].mean()) - float(probability[part].mean()))
            error += gap * len(part) / len(order)
    return error


def by_episode(
    statistic: Callable[[np.ndarray], float],
    episodes: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """A statistic of tries with its 95 % interval, resampling whole episodes.

    Where every resample gives the same value, as for a classifier without an error, resampling
    shows no spread: Wilson's interval over as many cases as there are episodes is taken then.

    Args:
        statistic: Of an array of indices of tries.
        episodes: (N,) to which each try belongs.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    names, inverse = np.unique(episodes, return_inverse=True)
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        picked = rng.integers(0, len(names), len(names))
        draws.append(statistic(np.concatenate([members[i] for i in picked])))
    value = statistic(np.arange(len(episodes)))
    finite = np.asarray(draws)[np.isfinite(draws)]
    if len(finite) and (finite == value).all() and 0 <= value <= 1:
        return wilson(value, len(names))
    low, high = np.percentile(finite, [2.5, 97.5]) if len(finite) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))


def report(
    success: np.ndarray, probability: np.ndarray, predicted: np.ndarray, episodes: np.ndarray
) -> dict[str, object]:
    """The measures of one classifier on one set of tries, for JSON.

    Args:
        success: (N,) bool.
        probability: (N,) of success.
        predicted: (N,) bool.
        episodes: (N,) to which each try belongs.
    """

    def accuracy(index: np.ndarray) -> float:
        return balanced_accuracy(success[index], predicted[index])

    return {
        "tries": len(success),
        "positives": int(success.sum()),
        "balanced_accuracy": by_episode(accuracy, episodes).as_dict(),
        "roc_area": ranking(success, probability),
        "calibration_error": calibration_error(success, probability),
    }
