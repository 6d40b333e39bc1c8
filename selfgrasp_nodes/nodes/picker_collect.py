"""The picker's ``collect``: tries on one scene after the other, recorded."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from selfgrasp.action import Collect
from selfgrasp.srv import ResetScene

from selfgrasp_nodes.errors import (
    Cancelled,
    EmptyObservation,
    InvalidConfig,
    SelfGraspError,
    StorageError,
    UnknownName,
)
from selfgrasp_nodes.nodes import conversions
from selfgrasp_nodes.nodes.picker_run import Run
from selfgrasp_nodes.nodes.status import check, set_ok
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.orchestration.sequence import Limits, RunIdentity

if TYPE_CHECKING:
    from selfgrasp_nodes.nodes.picker_node import PickerNode

_BARREN = 3
_FAILURES = 3
_HOPELESS = (Cancelled, InvalidConfig, StorageError, UnknownName)  # do not mend by themselves


class Collection:
    """Works on ``collect`` goals.

    A scene on which something fails (no picture, a device that does not answer) is
    left for the next one: a night's collection does not end with a single fault.
    It ends after several scenes in a row without any try.
    """

    def __init__(self, node: PickerNode):
        self._node = node
        self._reset: Any = node.create_client(ResetScene, "sim/reset", callback_group=node.group)

    def run(self, run: Run, result: Collect.Result) -> None:
        """Work on a goal.

        Raises:
            InvalidConfig: If no tries are wanted.
            EmptyObservation: If there is nothing to act on any more.
            SelfGraspError: What failed on several scenes in a row.
        """
        request, node = run.goal.request, self._node
        if not request.tries:
            raise InvalidConfig("collect needs tries > 0")
        digest, seed = node.configuration.digest(True, request.policy), int(request.seed)
        answer = node.store.begin(node.robot.name, digest, seed, request.resume, request.store_uri)
        begun, before = time.monotonic(), answer.trials
        result.done, result.bag_uri = before, answer.uri
        node.store.record = True
        barren = failures = 0  # scenes in a row without a try
        while result.done < request.tries and not run.cancel.is_set():
            first = result.done
            identity = RunIdentity(answer.run_id, node.robot.name, digest, seed, str(first))
            try:
                self._scene(run, result, identity, barren + failures, begun, before)
            except _HOPELESS:
                raise
            except SelfGraspError as error:
                failures = 1 if result.done > first else failures + 1
                if failures >= _FAILURES:
                    raise
                node.get_logger().warning(f"scene {first} is left: {error}")
                node.bring_home()
                continue
            if run.cancel.is_set():
                break
            failures = 0
            barren = 0 if result.done > first else barren + 1
            if barren and not node.values["simulated"]:
                raise EmptyObservation("the table is empty; put objects on it and collect on")
            if barren >= _BARREN:
                raise EmptyObservation(
                    f"the policy proposed nothing on {barren} new scenes in a row; does it "
                    "suit the gripper and the objects?"
                )
        set_ok(result, f"{result.done} tries recorded in {answer.uri}")

    def _scene(
        self,
        run: Run,
        result: Collect.Result,
        identity: RunIdentity,
        again: int,
        begun: float,
        before: int,
    ) -> None:
        """Try on one scene until it is clear; ``again`` counts scenes that came to nothing."""
        request, node, first = run.goal.request, self._node, result.done
        limits = Limits(max_actions=request.tries - first, max_no_change=10)
        scene = self._lay_out(request, first, again)
        identity = replace(identity, scene_id=scene, first_index=first)
        for trial in node.sequence(run, limits, request.policy, "", (), identity).run():
            run.last = trial.outcome
            node.done += 1
            result.done, result.positives = (
                result.done + 1,
                result.positives + trial.outcome.success,
            )
            self._feedback(run, result, request.tries, result.done - before, begun)

    def _lay_out(self, request: Any, done: int, again: int) -> str:
        """Lay out a new scene in simulation; on a robot take the table as it is."""
        if not self._node.values["simulated"]:
            return ""
        reset = ResetScene.Request(
            seed=int(request.seed) + done + 100_000 * again,
            objects=request.objects or self._node.values["collect_objects"],
        )
        return str(check(call(self._reset, reset, 60.0)).scene_id)

    def _feedback(
        self, run: Run, result: Collect.Result, tries: int, fresh: int, begun: float
    ) -> None:
        spent = time.monotonic() - begun
        rate = fresh / spent if spent > 0 else 0.0
        left = (tries - result.done) / rate if rate else 0.0
        run.goal.publish_feedback(
            Collect.Feedback(
                done=result.done,
                positives=result.positives,
                rate=3600 * rate,
                eta=conversions.duration_message(left),
                last=conversions.outcome_message(run.last),
            )
        )
