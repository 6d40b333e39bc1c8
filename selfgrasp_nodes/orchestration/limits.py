"""When a run of trials stops, and what it has counted by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from selfgrasp_nodes.types import Candidate, Outcome, Primitive


class StopReason(str, Enum):
    """Why a run ended."""

    EMPTY = "nothing left to act on"
    CLEARED = "the wanted number of objects was cleared"
    MAX_ACTIONS = "the largest number of actions was reached"
    NO_CHANGE = "too many actions in a row without a change"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Limits:
    """When a run stops.

    Attributes:
        max_actions: Largest number of tries; 0 for no limit.
        max_no_change: Stop after this many tries in a row without a change of
            the table (VPG's rule; Zeng 2018, section V-B); 0 for no limit.
        max_cleared: Stop after this many successful grasps; 0 for no limit.
        plan_attempts: Candidates that are tried when planning fails.
    """

    max_actions: int = 0
    max_no_change: int = 10
    max_cleared: int = 0
    plan_attempts: int = 5

    def reached(self, progress: Progress) -> StopReason | None:
        """The first limit that is met, or None."""
        if self.max_cleared and progress.cleared >= self.max_cleared:
            return StopReason.CLEARED
        if self.max_actions and progress.actions >= self.max_actions:
            return StopReason.MAX_ACTIONS
        if self.max_no_change and progress.no_change >= self.max_no_change:
            return StopReason.NO_CHANGE
        return None


@dataclass
class Progress:
    """Running totals, for stop rules and feedback."""

    actions: int = 0
    cleared: int = 0
    no_change: int = 0
    no_success: int = 0
    longest_no_success: int = 0
    avoid: list[Candidate] = field(default_factory=list)

    def count(
        self,
        candidate: Candidate,
        outcome: Outcome,
        changed: bool,
        touched: Callable[[Candidate], bool] = lambda _: True,
    ) -> None:
        """Take one finished try into account.

        Args:
            candidate: That was tried.
            outcome: Its label.
            changed: Whether the table changed.
            touched: Whether it changed about a try: what failed elsewhere would fail again.
        """
        self.actions += 1
        grasped = candidate.primitive == Primitive.GRASP and outcome.success
        self.cleared += grasped
        if changed or grasped:
            self.no_change = 0
            self.avoid = [failed for failed in self.avoid if not touched(failed)]
        else:
            self.no_change += 1
        if not outcome.success and not (changed and touched(candidate)):
            self.avoid.append(candidate)
        self.no_success = 0 if grasped else self.no_success + 1
        self.longest_no_success = max(self.longest_no_success, self.no_success)
