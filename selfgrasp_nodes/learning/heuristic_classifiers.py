"""The heuristic baselines of Pinto and Gupta (2016), section IV-C, as classifiers of tries.

The object under the grasp is segmented in the patch, and its second moments taken.
The heuristic would close along the smallest eigenvector; a try at an angle within a
threshold of that is predicted to succeed. With the eigenvalue limit, a try is
predicted to fail where the object is too thin for a gripper that does not close
completely. The *optimistic* version chooses both parameters on the test set itself: no
rule of this kind can be better there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from selfgrasp_nodes.learning.patch_data import PatchTries
from selfgrasp_nodes.learning.patch_metrics import balanced_accuracy
from selfgrasp_nodes.policies.patch.encoding import HEIGHT_STEP, HEIGHT_ZERO
from selfgrasp_nodes.robots.patch import PatchGeometry

BELOW = 0.012
"""What lies at most this far below the grasp's surface is taken for the same object [m]."""

THRESHOLDS = np.deg2rad(np.arange(5, 91, 5))
LIMITS = np.concatenate([[0.0], np.arange(0.004, 0.081, 0.004)])
"""Parameters that are tried: error thresholds [rad], limits on an extent [m]."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Shape of what lies under each of N grasps.

    Attributes:
        off: (N,) angle between the try and the smallest eigenvector [rad], in 0..pi/2.
        small: (N,) smaller side of the rectangle with these moments [m].
        large: (N,) larger side [m].
        found: (N,) bool, whether anything was segmented.
    """

    off: np.ndarray
    small: np.ndarray
    large: np.ndarray
    found: np.ndarray


def describe() -> dict[str, object]:
    """What the heuristics choose from, for the results."""
    return {"below": BELOW, "thresholds": THRESHOLDS.tolist(), "limits": LIMITS.tolist()}


def moments(tries: PatchTries, sizes: PatchGeometry) -> Moments:
    """Segment each patch by height and take the moments of what lies at its centre."""
    crops = np.asarray(tries.crops)
    pixels = crops.shape[1]
    inner = round(pixels * sizes.patch_side / sizes.crop_side)
    first = (pixels - inner) // 2
    metres = sizes.crop_side / pixels
    count = len(tries)
    off, small, large = np.full(count, np.pi / 2), np.zeros(count), np.zeros(count)
    found = np.zeros(count, bool)
    for index, crop in enumerate(crops):
        code = crop[first : first + inner, first : first + inner, 3]
        height = (code.astype(np.float32) - HEIGHT_ZERO) * HEIGHT_STEP
        mask = ((code > 0) & (height > -BELOW)).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        _, labels, _, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        middle = labels[inner // 2, inner // 2]
        rows, cols = np.nonzero(labels == middle) if middle else ((), ())
        if len(rows) < 6:
            continue
        values, vectors = np.linalg.eigh(np.cov(np.stack([cols, rows]) * metres))
        # Row = y and column = x: the vector is a direction in the world.
        axis = np.arctan2(vectors[1, 0], vectors[0, 0])
        away = np.mod(tries.angle[index] - axis + np.pi / 2, np.pi) - np.pi / 2
        off[index], found[index] = abs(away), True
        small[index], large[index] = np.sqrt(12 * np.maximum(values, 0))
    return Moments(off, small, large, found)


def predict(shape: Moments, threshold: float, limit: float = 0.0) -> np.ndarray:
    """(N,) bool: which tries the rule expects to succeed.

    Args:
        shape: Under each grasp.
        threshold: Largest angle to the smallest eigenvector [rad].
        limit: Smallest extent along the larger eigenvector [m], the paper's third rule.
    """
    aligned = shape.found & (shape.off <= threshold)
    return aligned & (shape.large >= limit)


def tune(shape: Moments, success: np.ndarray) -> tuple[float, float, float]:
    """Threshold and limit of the best balanced accuracy, and that accuracy.

    On validation episodes an ordinary choice; on the test set the optimistic one.
    """
    best = (float(THRESHOLDS[0]), 0.0, 0.0)
    for threshold in THRESHOLDS:
        for limit in LIMITS:
            accuracy = balanced_accuracy(success, predict(shape, float(threshold), float(limit)))
            if accuracy > best[2]:
                best = (float(threshold), float(limit), accuracy)
    return best


def tune_threshold(shape: Moments, success: np.ndarray, limit: float = 0.0) -> float:
    """Error threshold of the best balanced accuracy at a given limit [rad]."""
    accuracies = [balanced_accuracy(success, predict(shape, float(t), limit)) for t in THRESHOLDS]
    return float(THRESHOLDS[int(np.nanargmax(accuracies))])
