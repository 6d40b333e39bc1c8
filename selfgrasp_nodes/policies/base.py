"""What every policy is: an observation in, ranked candidates out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from selfgrasp_nodes.errors import EmptyObservation, InvalidImage
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.robots import ArmSpec, GripperSpec, RobotSpec, Spec
from selfgrasp_nodes.types import Candidate, Heightmap, Observation, Primitive, Trial

ALL_PRIMITIVES = (Primitive.GRASP, Primitive.PUSH)

ParamsT = TypeVar("ParamsT", bound=Spec)


@runtime_checkable
class Policy(Protocol):
    """Turns an observation into ranked candidates.

    Attributes:
        name: As in the registry.
        required_views: What it needs in the observation: ``heightmap``,
            ``regions``, or names of cameras.
        primitives: What it can propose.
    """

    name: str
    required_views: tuple[str, ...]
    primitives: tuple[Primitive, ...]

    def propose(
        self,
        observation: Observation,
        rng_seed: int = 0,
        max_candidates: int = 10,
        primitives: Sequence[Primitive] = ALL_PRIMITIVES,
        avoid: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """Ranked candidates, best first; empty where there is nothing to do.

        Args:
            observation: What was seen.
            rng_seed: Makes a sampling policy repeatable.
            max_candidates: At most so many.
            primitives: Only these.
            avoid: Tries that failed since the scene last changed about them; candidates
                like them are ranked lower, the more so the more often they
                appear here. Policies keep no memory of their own.

        Raises:
            EmptyObservation: If what the policy needs is not in the observation.
            InvalidImage: If the heightmap holds numbers that are not finite.
        """
        ...

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """Arm and world_T_camera of a hand camera's view that the policy wants first.

        Called with the same seed as :meth:`propose` after it, so that both
        choose the same region. None where no further view is wanted.
        """
        ...


class PolicyBase(Generic[ParamsT]):
    """What the policies share: robot, parameters, the checks of their input.

    Attributes:
        params: An instance of the class's ``Params``.
        arm: The arm whose gripper is planned with.
        gripper: Its gripper.
        fingers: Where that gripper's fingers are.
        samples: Whether candidates are drawn from a distribution instead of ranked.
    """

    name: str = ""
    required_views: tuple[str, ...] = ("heightmap",)
    primitives: tuple[Primitive, ...] = (Primitive.GRASP,)
    samples: bool = False
    Params: ClassVar[type[Spec]] = Spec

    def __init__(self, robot: RobotSpec, params: ParamsT, arm: str = ""):
        """Bind a policy to a robot.

        Args:
            robot: The cell that it acts in.
            params: An instance of the class's ``Params``.
            arm: The arm that acts; empty leaves the choice to motion, and the
                first arm's gripper is planned with.

        Raises:
            UnknownName: If the robot has no such arm.
        """
        self.robot = robot
        self.params = params
        self.arm_name = arm
        self.arm: ArmSpec = robot.arm(arm)
        self.gripper: GripperSpec = self.arm.gripper
        self.fingers = Fingers(self.gripper)

    def look_pose(self, observation: Observation, seed: int) -> tuple[str, np.ndarray] | None:
        """No further view is wanted."""
        return None

    def begin(self) -> None:
        """A run begins; what a policy learnt while the last one ran is forgotten."""

    def learn(self, trial: Trial) -> None:
        """A try of this run has ended, labelled; most policies learn nothing from it."""

    def check(self) -> None:
        """Refuse at once what :meth:`propose` would refuse whatever it is shown; see there."""

    def heightmap(self, observation: Observation) -> Heightmap:
        """The observation's heightmap, checked.

        Raises:
            EmptyObservation: If there is none, or nothing was measured in it.
            InvalidImage: If a height is NaN or infinite.
        """
        heightmap = observation.heightmap
        if heightmap is None:
            raise EmptyObservation(
                f"policy {self.name!r} needs a heightmap and observation {observation.id!r} has "
                "none; start the heightmap node, or add an RGB-D view of the workspace"
            )
        if not np.isfinite(heightmap.height).all():
            raise InvalidImage(
                f"the heightmap of observation {observation.id!r} holds NaN or infinity; mark "
                "such cells as not valid and set their height to 0"
            )
        if not heightmap.valid.any():
            raise EmptyObservation(
                f"the heightmap of observation {observation.id!r} has no valid cell: check the "
                "camera's depth stream, its pose and the workspace"
            )
        return heightmap

    def finish(self, candidates: Sequence[Candidate], observation: Observation) -> list[Candidate]:
        """Fill in what all candidates share: policy, arm, ids."""
        return [
            replace(
                candidate,
                policy=self.name,
                arm=candidate.arm or self.arm_name,
                id=f"{observation.id}/{self.name}/{rank}",
                observation_id=observation.id,
            )
            for rank, candidate in enumerate(candidates)
        ]
