"""What a collection is made of: recipe of the scenes, robot, policy, objects, seed."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.labeling.options import load_options
from selfgrasp_nodes.learning.policy_identity import policy_identity
from selfgrasp_nodes.motion.options import load_options as motion_options
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.policies.random_roi import RandomRoi
from selfgrasp_nodes.policies.random_uniform import RandomUniform
from selfgrasp_nodes.policies.registry import check_name, takes
from selfgrasp_nodes.robots import RobotSpec, Spec, config_digest, load_robot
from selfgrasp_nodes.robots.patch import PatchGeometry
from selfgrasp_nodes.robots.yaml_file import load_yaml
from selfgrasp_nodes.simulation.model import PHYSICS_VERSION
from selfgrasp_nodes.simulation.object_sets import load_object_set

PACKAGES = ("selfgrasp", "mujoco", "numpy", "scipy", "opencv-python-headless", "pin", "coacd")

RANDOM_POLICIES = (RandomUniform.name, RandomRoi.name)
"""What may collect stage 0: uniform draws, of known propensity."""


class Recipe(Spec):
    """How an episode's scene is laid out and when the episode ends.

    What a try holds at the end of its lift leaves the table, and comes back only
    with another episode; an episode begins with a clutter that was newly dropped.

    Attributes:
        objects: Least and largest number of objects dropped, each as likely.
        tries: An episode ends after so many.
        keep: It ends when so many objects are left.
        no_change: It ends after so many tries in a row that changed nothing.
    """

    objects: tuple[Annotated[int, Field(ge=1, le=40)], Annotated[int, Field(ge=1, le=40)]]
    tries: Annotated[int, Field(ge=1, le=200)] = 12
    keep: Annotated[int, Field(ge=0, le=40)] = 1
    no_change: Annotated[int, Field(ge=0, le=200)] = 10

    @model_validator(mode="after")
    def _ordered(self) -> Recipe:
        if not self.keep < self.objects[0] <= self.objects[1]:
            raise ValueError("objects must be least, largest; and keep less than the least")
        return self


class RepeatNoise(Spec):
    """What differs between repetitions of one try, and no camera sees.

    Attributes:
        position: Standard deviation of the grasp's position, along x and along y [m].
        angle: Of its angle [rad].
    """

    position: Annotated[float, Field(ge=0, le=0.02)] = 0.002
    angle: Annotated[float, Field(ge=0, le=0.5)] = 0.035


class CollectFile(Spec):
    """The content of ``config/collect.yaml``."""

    recipes: dict[str, Recipe]
    repeat: RepeatNoise = RepeatNoise()


@dataclass(frozen=True)
class CollectConfig:
    """One run of collection. Equal values, seed included, give equal episodes.

    Attributes:
        robot: Name or file of the robot.
        policy: Name of the policy.
        objects: Name of the object set (see ``simulation.object_sets``).
        seed: Of everything.
        stage: 0 for random tries, k for stage k.
        run: Id of the run; made of the others where empty.
        parameters: Of the policy.
        recipes: File with the recipes; ``config/collect.yaml`` where None.
        sets: File with the object sets; ``config/objects/toys.yaml`` where None.
    """

    robot: str = "baxter"
    policy: str = "random-roi"
    objects: str = "train_base"
    seed: int = 1
    stage: int = 0
    run: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    recipes: Path | None = None
    sets: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            InvalidConfig: With the range.
            UnknownName: If there is no such policy.
        """
        for name, low, high in (("seed", 0, 2**31), ("stage", 0, 1000)):
            if not low <= getattr(self, name) <= high:
                raise InvalidConfig(f"{name} must lie in {low}..{high}, not {getattr(self, name)}")
        check_name(self.policy)
        if not self.run:
            robot = Path(self.robot).stem
            name = f"{robot}-{self.policy}-{self.objects}-stage{self.stage}-seed{self.seed}"
            object.__setattr__(self, "run", name)

    def file(self) -> CollectFile:
        """The recipes' file.

        Raises:
            InvalidConfig: If it is missing or wrong.
        """
        return load_recipes(self.recipes)

    def recipe(self, robot: RobotSpec) -> Recipe:
        """The recipe of a robot.

        Raises:
            InvalidConfig: If the file has none for it.
        """
        recipes = self.file().recipes
        if robot.name not in recipes:
            raise InvalidConfig(
                f"no scene recipe for robot {robot.name!r} in {self.recipes or recipes_file()}; "
                f"there are: {', '.join(sorted(recipes))}"
            )
        return recipes[robot.name]


def recipes_file() -> Path:
    """The file that ships."""
    return share_dir() / "config" / "collect.yaml"


def load_recipes(file: Path | None = None) -> CollectFile:
    """Read the recipes.

    Raises:
        InvalidConfig: If the file is missing, no YAML, or holds a wrong value.
    """
    path = file or recipes_file()
    try:
        return CollectFile.model_validate(load_yaml(path))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise InvalidConfig(f"{path} holds no valid recipes:\n" + "\n".join(lines)) from error


def patch_geometry(robot: RobotSpec) -> PatchGeometry:
    """The geometry of a robot's patches, the same for all its arms.

    Raises:
        InvalidConfig: If its grippers differ in size.
    """
    found = {PatchGeometry.of(arm.gripper) for arm in robot.arms}
    if len(found) > 1:
        raise InvalidConfig(
            f"the grippers of {robot.name} differ in size, and so would their patches; collect "
            "with one arm at a time, each into a store of its own"
        )
    return found.pop()


def run_meta(config: CollectConfig) -> dict[str, Any]:
    """What a run's tries depend on, for the store; all but the number of workers.

    The policy is built once, so that what it would refuse is refused here.

    Raises:
        InvalidConfig: If a file that the run needs is wrong, a parameter of the
            policy, or a checkpoint that is for another gripper.
        UnknownName: If robot or object set do not exist.
        StorageError: If a checkpoint is named that is not there.
        NotReady: If the policy needs a checkpoint and there is none.
        MissingDependency: If the policy needs a library that is not installed.
    """
    robot = load_robot(config.robot)
    recipe = config.recipe(robot)
    objects = load_object_set(config.objects, config.sets)
    return {
        "robot": robot.name,
        "robot_digest": config_digest(robot, motion_options(None, robot.name)),
        "gripper": robot.arms[0].gripper.name,
        "policy": config.policy,
        "parameters": _identified(config, robot),
        "stage": config.stage,
        "seed": config.seed,
        "objects": objects.name,
        "objects_digest": objects.digest,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": digest(recipe),
        "label_rule": load_options().grasp.version,
        "physics": PHYSICS_VERSION,
        "versions": {"python": platform.python_version(), **_versions(PACKAGES)},
    }


def noted_meta(config: CollectConfig, begun: Mapping[str, Any] | None) -> dict[str, Any]:
    """:func:`run_meta` with what stores note since later versions of this program.

    That is the digest of the label's options and, for a policy with a checkpoint,
    the version of torch. A run that was begun without them goes on without them.

    Args:
        config: What is collected.
        begun: What the run was begun with; None for a new one.

    Raises:
        SelfGraspError: As :func:`run_meta`.
    """
    meta = run_meta(config)
    if begun is None or "label_digest" in begun:
        meta["label_digest"] = config_digest(load_options())
    known = None if begun is None else begun.get("versions", {})
    if takes(config.policy, "checkpoint") and (known is None or "torch" in known):
        meta["versions"] |= _versions(("torch",))
    return meta


def _identified(config: CollectConfig, robot: RobotSpec) -> dict[str, Any]:
    """A policy's parameters, its checkpoint by its weights: they count, and not where they lie."""
    found = dict(config.parameters)
    found.pop("checkpoint", None)
    if weights := policy_identity(config.policy, robot, config.parameters).get("digest", ""):
        found["digest"] = weights
    return found


def digest(spec: Spec) -> str:
    """Short SHA-256 of a description's values."""
    return hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:16]


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found
