"""Parameters of the label rules; the values of ``config/labeling.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from selfgrasp_nodes.robots import Spec
from selfgrasp_nodes.robots.sections import load_sections

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Version = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*/[0-9]+$")]


class GraspOptions(Spec):
    """When a grasp counts as held.

    Attributes:
        version: Goes into every label; raise the number with every change of a value.
        hold_window: Length of the window at the end of the lift [s].
        steady_window: Readings are averaged over up to this long before the end
            of the lift, as far back as they agree with the last ones [s].
        close_window: Length of the window after the end of closing [s].
        silence: A gripper whose last reading is older than this at the end of the
            lift is silent [s].
        silence_periods: And one whose last reading is older than so many times what
            it takes from one to the next, but never within ``hold_window``.
        width_margin: Openings larger than the closed one by this are held open
            by something [m].
        width_sigmas: The margin is at least this many standard deviations of
            the window's mean.
        force_floor: Least force with which something pushes back [N].
        force_sigmas: The threshold lies at least this many standard deviations
            above the mean reading of pure noise.
        closing_speed: Fingers that still close faster than this at the end
            have lost what they held [m/s].
        stop_force: What the gripper reports when it is closed on nothing [N];
            infinite where it then presses with its full force, so that at the
            smallest opening only a weight can tell.
        payload_min: Least weight that counts where width and force cannot tell [N].
        payload_sigmas: And at least this many standard deviations of it.
        block_force: Change of the wrist's force on the way down that means the
            hand struck something [N].
    """

    version: Version = "grasp/4"
    hold_window: Positive = 0.06
    steady_window: Positive = 0.8
    close_window: Positive = 0.03
    silence: Positive = 0.25
    silence_periods: Positive = 3.0
    width_margin: Positive = 0.0003
    width_sigmas: NonNegative = 3.0
    force_floor: Positive = 0.5
    force_sigmas: NonNegative = 3.0
    closing_speed: Positive = 0.06
    stop_force: NonNegative = 0.0
    payload_min: Positive = 0.3
    payload_sigmas: NonNegative = 4.0
    block_force: Positive = 35.0


class PushOptions(Spec):
    """When a push counts as having changed the table; see ``perception.change.ChangeRule``.

    Attributes:
        version: Goes into every label.
        min_step: Smallest difference of height that counts [m].
        max_step: Largest one [m].
        min_area: More than this must have changed [m^2].
        opening: Edge of the square that a changed patch must hold [cells].
    """

    version: Version = "push/1"
    min_step: Positive = 0.01
    max_step: Positive = 0.3
    min_area: NonNegative = 300 * 0.002**2
    opening: Annotated[int, Field(ge=0)] = 3


class LabelOptions(Spec):
    """Both rules' parameters."""

    grasp: GraspOptions = GraspOptions()
    push: PushOptions = PushOptions()


def load_options(file: str | Path | None = None, **changes: dict[str, Any]) -> LabelOptions:
    """Read the parameters of the label rules.

    Args:
        file: YAML; the shipped ``config/labeling.yaml`` where None.
        **changes: Sections whose entries win over the file's.

    Raises:
        InvalidConfig: With the file and the entry that is wrong.
    """
    return load_sections(LabelOptions, "labeling.yaml", file, changes)
