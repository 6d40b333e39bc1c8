"""The outcome of a try, from the robot's own sensors.

A grasp is held when, at the end of the lift, something still keeps the fingers
apart and pushes back: the idea of Pinto and Gupta (2016, "force sensor"
and "gripper width") and of Zeng and others (2018, "the gripper did not close
fully"). Neither is enough alone. A gripper may have to close on an object as
thin as its smallest opening, where width says nothing; another reports no
force; and fingers that pass a width on their way to closing hold nothing. The
rule therefore looks at width, its rate, force and, where those cannot tell, the
weight on the wrist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from selfgrasp_nodes.errors import EmptyObservation
from selfgrasp_nodes.labeling.figures import Figures, figures, struck
from selfgrasp_nodes.labeling.options import LabelOptions, load_options
from selfgrasp_nodes.labeling.readings import Noise, Window
from selfgrasp_nodes.perception.change import ChangeRule, changed_area
from selfgrasp_nodes.robots import GripperSpec
from selfgrasp_nodes.types import (
    Execution,
    Observation,
    Outcome,
    OutcomeCode,
    PhaseCode,
)


@dataclass(frozen=True)
class Verdict:
    """Whether something is between the fingers.

    Attributes:
        held: The answer; None where the sensors that speak cannot tell.
        confidence: 0.5 where the decisive figure sits on its threshold, towards
            1 away from it; less where figures contradict each other. A
            heuristic, not a calibrated probability.
        reason: Which figure decided.
    """

    held: bool | None
    confidence: float
    reason: str


class GraspRule:
    """Labels grasps from traces, and pushes from what changed.

    Attributes:
        options: Its parameters; their versions go into every label.
    """

    def __init__(self, options: LabelOptions | None = None) -> None:
        """Take the parameters, or those of ``config/labeling.yaml``."""
        self.options = options or load_options()

    @classmethod
    def from_file(cls, file: str | Path | None = None) -> GraspRule:
        """The rule with the parameters of a YAML file.

        Raises:
            InvalidConfig: If the file is not valid.
        """
        return cls(load_options(file))

    def label_grasp(self, execution: Execution, gripper: GripperSpec) -> Outcome:
        """The outcome of a grasp, whether it was lifted or ended earlier.

        Args:
            execution: With the trace from the approach to the end of the lift.
            gripper: That did it: its smallest opening and its sensors' noise.
        """
        version = self.options.grasp.version
        act, lift = execution.phase(PhaseCode.ACT), execution.phase(PhaseCode.LIFT)
        if act is None and execution.code in (OutcomeCode.UNKNOWN, OutcomeCode.EXECUTION_FAILED):
            # Recordings made before motion itself said BLOCKED call it a failure, too,
            # where a wrench limit stopped the way down: what the wrist felt tells it apart.
            force, limit = struck(execution), self.options.grasp.block_force
            if force >= limit:
                reason = f"the descent was stopped ({force:.0f} N on the way down)"
                sure = _confidence(force / limit - 1)
                reason = f"the fingers never closed: {reason}"
                return Outcome(OutcomeCode.BLOCKED, sure, reason, version)
            if execution.code == OutcomeCode.UNKNOWN:
                felt = f" ({force:.0f} N on the way down)" if math.isfinite(force) else ""
                reason = f"the fingers never closed, and the wrist does not tell why{felt}"
                return Outcome(OutcomeCode.UNKNOWN, 0.0, reason, version)
        # What went wrong in the carry does not touch what was held at the end of the lift.
        lifted = execution.phase(PhaseCode.CARRY) is not None
        if execution.code != OutcomeCode.UNKNOWN and not lifted:
            return Outcome(execution.code, 1.0, execution.error, version)
        trace = execution.trace
        if (
            trace is None
            or act is None
            or lift is None
            or not len(trace.between(act.start, lift.end).time)
        ):
            reason = "no readings of the gripper between closing and the end of the lift"
            return Outcome(OutcomeCode.UNKNOWN, 0.0, reason, version)
        noise = Noise(gripper.width_noise, gripper.force_noise)
        return self._decide(gripper, figures(execution, self.options.grasp, noise))

    def _decide(self, gripper: GripperSpec, found: Figures) -> Outcome:
        options = self.options.grasp
        at_end = self.holds(found.held, gripper, found)
        at_close = self.holds(found.closed, gripper)
        blocked = math.isfinite(found.struck) and found.struck >= options.block_force
        if at_end.held is None:
            code, reason = OutcomeCode.UNKNOWN, at_end.reason
        elif at_end.held:
            code, reason = OutcomeCode.SUCCESS, at_end.reason
        elif blocked:
            code = OutcomeCode.BLOCKED
            reason = f"the hand struck something on its way down ({found.struck:.0f} N)"
        elif at_close.held:
            code, reason = OutcomeCode.SLIPPED, f"held when closed, then {at_end.reason}"
        else:
            code, reason = OutcomeCode.MISSED, at_end.reason
        closed = found.closed.width
        return Outcome(
            code,
            at_end.confidence,
            reason,
            options.version,
            width_closed=closed,
            width_lifted=found.held.width,
            force_peak=found.force_peak,
            force_held=found.held.force,
            payload=found.payload,
            force_measured=math.isfinite(found.held.force),
            stalled=closed - gripper.width_min > self._width_margin(found.closed, gripper),
        )

    def holds(
        self,
        seen: Window,
        gripper: GripperSpec,
        found: Figures | None = None,
    ) -> Verdict:
        """Whether something is between the fingers in a window.

        Args:
            seen: The window's figures.
            gripper: Smallest opening and noise.
            found: The weight on the wrist, where it may be asked.
        """
        options = self.options.grasp
        if not seen.widths and not seen.forces:
            return self._by_weight(found, _silence(found))
        if seen.speed < -options.closing_speed:
            sure = _confidence(-seen.speed / options.closing_speed - 1)
            return Verdict(False, sure, f"the fingers still closed at {-seen.speed:.2f} m/s")
        margin = self._width_margin(seen, gripper)
        gap = seen.width - gripper.width_min
        apart = gap > margin  # not where no width is known
        threshold = self._force_threshold(seen, gripper) + (0 if apart else options.stop_force)
        if not seen.widths and seen.force < threshold:
            # A gripper that does not know its opening may report any force, too.
            return self._by_weight(found, f"no width was read, and {seen.force:.1f} N do not tell")
        if not seen.forces or math.isinf(threshold):
            return self._by_width(seen, gap, margin, gripper, found)
        sure = _confidence((seen.force - threshold) / threshold)
        text = f"{seen.force:.1f} N at {_mm(seen.width)}"
        if seen.force < threshold:
            what = "nothing pushed back" if apart else "the fingers closed"
            return Verdict(False, sure, f"{what}: {text}")
        if apart:
            return Verdict(True, sure, f"held with {text}")
        # Without a width that tells, force stands alone, unless the wrist felt a weight.
        sure = sure if self._weighs(found) else min(sure, 0.8)
        thin = ", as thin as the closed gripper" if seen.widths else ""
        return Verdict(True, sure, f"held with {text}{thin}")

    def _by_width(
        self,
        seen: Window,
        gap: float,
        margin: float,
        gripper: GripperSpec,
        found: Figures | None,
    ) -> Verdict:
        """Without a force that tells: the fingers stand apart, or the wrist feels a weight."""
        unread = gripper.measures_force and not seen.forces
        sure = _confidence((gap - margin) / margin)
        text = f"{1e3 * gap:.1f} mm above the closed width"
        if gap > margin:
            sure = min(sure, 0.8) if unread else sure
            return Verdict(True, sure, f"the fingers stalled {text}")
        if unread:
            return self._by_weight(found, f"the fingers closed, and no force was read: {text}")
        if found is not None and self._weighs(found):
            return Verdict(True, 0.7, f"{found.payload:.1f} N hang on the closed fingers")
        return Verdict(False, sure, f"the fingers closed: {text}")

    def _by_weight(self, found: Figures | None, missing: str) -> Verdict:
        """The wrist alone. That it feels nothing says nothing: objects may be light."""
        if found is not None and self._weighs(found):
            return Verdict(True, 0.7, f"{found.payload:.1f} N hang on the hand; {missing}")
        return Verdict(None, 0.0, missing)

    def _weighs(self, found: Figures | None) -> bool:
        """Whether the wrist feels a weight beyond doubt."""
        if found is None or not math.isfinite(found.payload):
            return False
        options = self.options.grasp
        return found.payload > max(
            options.payload_min, options.payload_sigmas * found.payload_sigma
        )

    def _width_margin(self, seen: Window, gripper: GripperSpec) -> float:
        options = self.options.grasp
        noise = gripper.width_noise / max(seen.widths, 1) ** 0.5
        return max(options.width_margin, options.width_sigmas * noise)

    def _force_threshold(self, seen: Window, gripper: GripperSpec) -> float:
        """Force above which something pushes back [N].

        A gripper's force has no sign, so noise alone reads as its mean absolute
        value: sqrt(2 / pi) sigma, with deviation sqrt(1 - 2 / pi) sigma.
        """
        options = self.options.grasp
        spread = math.sqrt(1 - 2 / math.pi) / max(seen.forces, 1) ** 0.5
        noise = gripper.force_noise * (math.sqrt(2 / math.pi) + options.force_sigmas * spread)
        return max(options.force_floor, noise)

    def label_push(self, before: Observation, after: Observation) -> Outcome:
        """The outcome of a push: whether the table changed between two observations.

        Raises:
            EmptyObservation: If one of them has no heightmap.
            InvalidImage: If their heightmaps cover different cells.
        """
        options = self.options.push
        changed, area = self.changed(before, after)
        code = OutcomeCode.CHANGED if changed else OutcomeCode.NO_CHANGE
        share = area / options.min_area - 1 if options.min_area else 1.0
        reason = f"{1e4 * area:.1f} cm^2 of the table changed (limit {1e4 * options.min_area:.1f})"
        return Outcome(code, _confidence(share), reason, options.version, changed_area=area)

    def changed(self, before: Observation, after: Observation) -> tuple[bool, float]:
        """Whether the table changed between two observations, and the area [m^2].

        Raises:
            EmptyObservation: If one of them has no heightmap.
            InvalidImage: If their heightmaps cover different cells.
        """
        for name, seen in (("before", before), ("after", after)):
            if seen.heightmap is None:
                raise EmptyObservation(
                    f"the observation {name} the action ({seen.id!r}) has no heightmap to "
                    "compare; observe with the overhead camera"
                )
        assert before.heightmap is not None and after.heightmap is not None
        values = self.options.push.model_dump(exclude={"version"})
        result = changed_area(before.heightmap, after.heightmap, ChangeRule(**values))
        return result.changed, result.area_m2

    def relabel(self, execution: Execution, gripper: GripperSpec, outcome: Outcome) -> Outcome:
        """The label of a recorded grasp under this rule; what else is known stays."""
        return replace(self.label_grasp(execution, gripper), changed_area=outcome.changed_area)


def _confidence(distance: float) -> float:
    """0.5 on a threshold, towards 1 away from it; ``distance`` in units of the threshold."""
    return 1.0 - 0.5 * math.exp(-3.0 * abs(distance))


def _silence(found: Figures | None) -> str:
    if found is None or math.isinf(found.age):
        return "no readings of the gripper"
    return f"the gripper fell silent {found.age:.2f} s before the end of the lift"


def _mm(width: float) -> str:
    return f"{1e3 * width:.1f} mm" if math.isfinite(width) else "an unknown width"
