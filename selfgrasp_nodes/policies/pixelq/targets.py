"""What a try says about the value of its pixel (Zeng and others 2018, sections III-C and IV).

Shared by training and by learning while running, so that both learn the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from selfgrasp_nodes.policies.pixelq.state import RESOLUTION, State
from selfgrasp_nodes.types import Primitive

if TYPE_CHECKING:
    from selfgrasp_nodes.policies.pixelq.values import Values

MIN_STEP, MAX_STEP = 0.01, 0.3
"""Heights that differ by less are noise, by more no objects [m]."""

REACH = 20
"""Cells around what changed in which a grasp is thought to profit from a push; and from the
workspace's border in which something may have gone over it."""

LOST_VOLUME = 40e-6
"""Less of this stands in the picture when something has left it [m^3]; a cube of 50 mm has 125."""


@dataclass(frozen=True)
class TargetRule:
    """How a target is made.

    Attributes:
        discount: Of what comes after.
        push_reward: For a push that changed something (the paper: 0.5).
        bootstrap: ``all``: what comes after is the best action of the state that
            follows, as in the paper, and nothing where a try changed nothing;
            ``push``: a grasp is worth its own success, a push what the best grasp
            will be worth where it moved things; ``none``: rewards alone.
        double: The online network chooses the action that the target network judges.
        border: Nothing comes after a try that moved something over the workspace's border.
    """

    discount: float = 0.5
    push_reward: float = 0.5
    bootstrap: Literal["all", "push", "none"] = "all"
    double: bool = True
    border: bool = False

    def reward(self, primitive: Primitive, success: bool, changed: bool) -> float:
        """The immediate reward of a try."""
        if primitive is Primitive.GRASP:
            return float(success)
        return self.push_reward if changed else 0.0

    def looks_ahead(self, primitive: Primitive, success: bool, changed: bool) -> bool:
        """Whether the state that follows counts."""
        if not self.discount or self.bootstrap == "none":
            return False
        if self.bootstrap == "push":
            return primitive is Primitive.PUSH and changed
        return changed or (primitive is Primitive.GRASP and success)

    def future(
        self,
        before: State,
        after: State,
        primitives: tuple[Primitive, ...],
        target: Values,
        online: Values | None = None,
    ) -> float:
        """Value of what a try led to.

        Args:
            before: What was there.
            after: What is there.
            primitives: That the policy has.
            target: Judges.
            online: Chooses, where ``double``; ``target`` chooses, too, where None.
        """
        if self.border and has_lost(before, after):
            return 0.0
        within = None
        if self.bootstrap == "push":
            within = near_change(before, after)
            primitives = (Primitive.GRASP,)
            if not within.any():
                return 0.0
        chooser = online if self.double and online is not None else target
        chosen = chooser.evaluate(after, primitives, within)
        if not len(chosen):
            return 0.0
        best = int(np.argmax(chosen.value))
        if chooser is target:
            return float(chosen.value[best])
        # Each network looks more closely where it is promising: their lists differ.
        return target.value(after, chosen.take(np.array([best])))


def near_change(before: State, after: State) -> np.ndarray:
    """(224, 224) bool: where things stand now that a try moved, and around it."""
    import cv2

    size = 2 * REACH + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(_moved(before, after), disc).astype(bool)


def has_lost(before: State, after: State) -> bool:
    """Whether something went over the border: it changed there, and less stands in the picture.

    A guess from pictures: what topples or hides behind another thing takes volume from
    them, too, and is told apart only where it is not at the border.
    """
    edge = np.ones(before.height.shape, bool)
    edge[REACH:-REACH, REACH:-REACH] = False
    if not (_moved(before, after) & edge).any():
        return False
    volumes = [np.where(state.known, state.height, 0.0).sum() for state in (before, after)]
    return float((volumes[0] - volumes[1]) * RESOLUTION**2) > LOST_VOLUME


def _moved(before: State, after: State) -> np.ndarray:
    """(224, 224) uint8: where heights changed, without single cells."""
    import cv2

    step = np.abs(after.height - before.height)
    moved = (step >= MIN_STEP) & (step <= MAX_STEP) & before.known & after.known
    return cv2.morphologyEx(moved.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
