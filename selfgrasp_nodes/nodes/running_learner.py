"""What became of a policy's tries, told to the policy that learns while it runs."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.msg import Trial as TrialMsg

from selfgrasp_nodes.nodes import conversions, qos, trial_messages
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.types import Observation, Trial

KEPT = 20
"""Observations, and tries that wait for theirs, that are kept."""


class RunningLearner:
    """Hears tries and observations, and brings together what belongs together.

    They come by different topics, and so in any order: a try waits for its observations.

    Attributes:
        lock: Held while a try is learnt from: no decision should see half a step.
        tries: Passed on, whatever was learnt from them.
    """

    def __init__(self, node: BaseNode, learn: Callable[[Trial], None]):
        """Listen.

        Args:
            node: Whose topics.
            learn: Called with each try, with its observations in place, in a thread of the node.
        """
        self._node, self._learn = node, learn
        self._observations: OrderedDict[str, Observation] = OrderedDict()
        self._waiting: OrderedDict[str, Trial] = OrderedDict()
        self._ready: deque[Trial] = deque()
        self._guard = threading.Lock()
        self.lock, self.tries = threading.Lock(), 0
        group = node.group
        node.create_subscription(
            ObservationMsg, "observation", self._observed, qos.EVENT, callback_group=group
        )
        node.create_subscription(TrialMsg, "trial", self._tried, qos.EVENT, callback_group=group)

    def _observed(self, message: ObservationMsg) -> None:
        with self._guard:
            self._observations[message.observation_id] = conversions.observation(message)
            _limit(self._observations)
        self._pass_on()

    def _tried(self, message: TrialMsg) -> None:
        with self._guard:
            self._waiting[message.trial_id] = trial_messages.trial(message)
            _limit(self._waiting)
        self._pass_on()

    def _pass_on(self) -> None:
        with self._guard:
            known = self._observations
            ready = [
                trial
                for trial in self._waiting.values()
                if trial.observation_before in known
                and (not trial.observation_after or trial.observation_after in known)
            ]
            for trial in ready:
                del self._waiting[trial.trial_id]
                before = known[trial.observation_before]
                after = known.get(trial.observation_after)
                self._ready.append(replace(trial, before=before, after=after))
                self._node.offload(self._step)

    def _step(self) -> None:
        with self.lock:
            # In the order in which they came: which thread is first is not said.
            self._learn(self._ready.popleft())
            self.tries += 1


def _limit(kept: OrderedDict) -> None:
    while len(kept) > KEPT:
        kept.popitem(last=False)
