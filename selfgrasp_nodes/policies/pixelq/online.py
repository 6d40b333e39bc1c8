"""Learning while running (Zeng and others 2018, section IV): a step after each try.

The weights change in this process alone. They are those of the checkpoint again
when a run begins, and whenever the checkpoint is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import torch
import torch.nn.functional as F

from selfgrasp_nodes.policies.checkpoints import Card
from selfgrasp_nodes.policies.pixelq.state import make_state
from selfgrasp_nodes.policies.pixelq.targets import TargetRule
from selfgrasp_nodes.policies.pixelq.values import POLICY, Values
from selfgrasp_nodes.types import OutcomeCode, Primitive, Trial

LABELLED = (
    OutcomeCode.SUCCESS,
    OutcomeCode.MISSED,
    OutcomeCode.SLIPPED,
    OutcomeCode.BLOCKED,
    OutcomeCode.CHANGED,
    OutcomeCode.NO_CHANGE,
)
"""Outcomes that say something about the action."""

CHANGED_AREA = 300 * 0.002**2
"""More than this must have changed [m^2] (the paper's reference code)."""


class OnlineLearner:
    """Steps of gradient descent on the tries of a running policy.

    Attributes:
        steps: Since the last :meth:`restore`.
    """

    def __init__(self, values: Values, card: Card, primitives: Sequence[Primitive], rate: float):
        """Keep the weights as they are now, to be restored.

        Args:
            values: In use by the policy; changed in place.
            card: Says how its targets were made.
            primitives: That the policy has.
            rate: Of learning.
        """
        self._values, self._primitives = values, tuple(primitives)
        self._rule = rule_of(card)
        self._kept = {k: v.clone() for k, v in values.network.state_dict().items()}
        self._rate, self.steps = rate, 0
        self._optimizer = self._fresh()

    def restore(self) -> None:
        """Back to the checkpoint's weights."""
        self._values.network.load_state_dict(self._kept)
        self._optimizer, self.steps = self._fresh(), 0

    def learn(self, trial: Trial) -> None:
        """One step on a try, if it is this policy's and has a label and both pictures."""
        candidate, outcome = trial.candidate, trial.outcome
        before = trial.before.heightmap if trial.before else None
        after = trial.after.heightmap if trial.after else None
        if candidate.policy != POLICY or outcome.code not in LABELLED or before is None:
            return
        if after is None and candidate.primitive is Primitive.PUSH:
            return
        values, rule = self._values, self._rule
        state = make_state(before)
        success = outcome.success
        changed = has_changed(trial)
        target = rule.reward(candidate.primitive, success, changed)
        if after is not None and rule.looks_ahead(candidate.primitive, success, changed):
            ahead = rule.future(state, make_state(after), self._primitives, values)
            target += rule.discount * ahead
        network = values.network
        opening = int(np.argmin(np.abs(np.asarray(network.widths) - candidate.width)))
        col, row = candidate.pixel
        example = network.example(state, candidate.primitive, candidate.angle, row, col, opening)
        output = network.values([example])
        goal = torch.tensor([target], dtype=torch.float32)
        self._optimizer.zero_grad()
        loss_of(output, goal, values.output).sum().backward()
        self._optimizer.step()
        self.steps += 1

    def _fresh(self) -> torch.optim.Optimizer:
        # Momentum and decay of the paper.
        parameters = self._values.network.parameters()
        return torch.optim.SGD(parameters, self._rate, momentum=0.9, weight_decay=2e-5)


def loss_of(output: torch.Tensor, target: torch.Tensor, kind: str) -> torch.Tensor:
    """(B,) loss at the tried pixels: Huber's of values (the paper), logistic of probabilities.

    Where there are (B, K) outputs, each is held against the target, and the mean of the
    losses taken.
    """
    if output.ndim == 2:
        each = loss_of(output.flatten(), target.repeat_interleave(output.shape[1]), kind)
        return each.view_as(output).mean(1)
    if kind == "probability":
        return F.binary_cross_entropy_with_logits(output, target.clamp(0, 1), reduction="none")
    return F.smooth_l1_loss(output, target, reduction="none")


def has_changed(trial: Trial) -> bool:
    """Whether a try changed the table: by its label, or by the area that differs."""
    code, area = trial.outcome.code, trial.outcome.changed_area
    if code is OutcomeCode.CHANGED or (
        code is OutcomeCode.SUCCESS and trial.candidate.primitive is Primitive.GRASP
    ):
        return True
    return bool(np.isfinite(area) and area > CHANGED_AREA)


def rule_of(card: Card) -> TargetRule:
    """How the targets of a checkpoint were made; the paper's where the card is silent."""
    given = card.training.get("configuration", {}).get("target", {})
    known = {f.name for f in fields(TargetRule)}
    return replace(TargetRule(), **{k: v for k, v in given.items() if k in known})
