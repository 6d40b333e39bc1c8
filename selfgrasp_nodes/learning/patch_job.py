"""A store in, a checkpoint with its card out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.learning.disk import make_folder
from selfgrasp_nodes.learning.event_curves import EventCurves
from selfgrasp_nodes.learning.patch_config import PatchTraining
from selfgrasp_nodes.learning.patch_data import PatchTries, labelled, load_tries, robot_of
from selfgrasp_nodes.learning.patch_train import Step, Trained, train
from selfgrasp_nodes.policies.checkpoints import (
    Card,
    GripperCard,
    load_checkpoint,
    save_checkpoint,
    versions,
)
from selfgrasp_nodes.policies.patch.judge import POLICY, build_members, input_card
from selfgrasp_nodes.policies.patch.networks import check_network
from selfgrasp_nodes.trials.files import RunLock
from selfgrasp_nodes.trials.store import TrialStore


@dataclass(frozen=True)
class PatchJob:
    """One training.

    Attributes:
        store: File with the tries.
        out: Folder for the checkpoint, the state after each epoch, and curves.
        config: How.
        stages: Which stages' tries; all where None.
        start: Checkpoint of the stage before, to be fine-tuned; from scratch where None.
        where: Further SQL condition on the tries.
        name: Of the checkpoint's files.
        cache: Folder for decoded crops; ``out``/cache where None.
        robot: Name or file of the robot that made the tries; by the store's name where empty.
    """

    store: Path
    out: Path
    config: PatchTraining
    stages: tuple[int, ...] | None = None
    start: Path | None = None
    where: str = ""
    name: str = "patch"
    cache: Path | None = None
    robot: str = ""


def run_job(
    job: PatchJob,
    on_step: Callable[[Step], None] | None = None,
    on_decode: Callable[[int, int], None] | None = None,
) -> Card:
    """Train and save; a job that was interrupted goes on after its last whole epoch.

    Returns:
        The checkpoint's card.

    Raises:
        NothingToLearn: If the store holds no tries, or one outcome only.
        StorageError: If a file is damaged, or ``out`` holds another training.
        InvalidConfig: If the tries are of several grippers or an unknown robot, or the
            network, ``where`` or ``start`` is wrong.
    """
    make_folder(job.out)
    with RunLock(job.out, "trained in"):
        return _run(job, on_step, on_decode)


def _run(
    job: PatchJob,
    on_step: Callable[[Step], None] | None,
    on_decode: Callable[[int, int], None] | None,
) -> Card:
    check_network(job.config.network)
    tries = load_tries(
        job.store,
        job.cache or job.out / "cache",
        job.config.crop_pixels,
        stages=job.stages,
        where=job.where,
        robot=job.robot,
        on_progress=on_decode,
    )
    with TrialStore.open(job.store) as opened:
        sizes = opened.geometry
        names = ("run", "robot", "arm", "view", "gripper")
        columns = opened.columns(names, labelled(opened, job.where))
        runs = opened.runs()
    if job.where:
        runs = {run: runs[run] for run in np.unique(columns["run"]).tolist() if run in runs}
    robots = np.unique(columns["robot"])
    if len(robots) != 1:
        raise InvalidConfig(
            f"{job.store} holds tries of robots {', '.join(robots)}: a checkpoint is for one "
            "gripper; train with a store of one robot, or choose with --where"
        )
    robot = robot_of(job.store, str(robots[0]), job.robot)
    gripper = robot.arm(str(columns["arm"][0])).gripper
    start = _start(job, gripper)
    states = job.out / ("scratch" if start is None else "tuned")
    with EventCurves(job.out / "curves") as curves:

        def step(now: Step) -> None:
            named = {f"member{now.member}/{name}": v for name, v in now.numbers.items()}
            curves.add(now.epoch, named)
            if on_step is not None:
                on_step(now)

        trained = train(
            tries,
            (sizes.patch_side, sizes.crop_side),
            job.config,
            states,
            start=start,
            on_step=step,
        )
    card = Card(
        policy=POLICY,
        network={**job.config.network, "members": len(trained.members)},
        input=input_card(sizes, patch_pixels(job.config, sizes.patch_side / sizes.crop_side)),
        gripper=GripperCard.of(gripper),
        robot=robot.name,
        views=tuple(np.unique(columns["view"]).tolist()),
        training=_training_card(job, tries, runs),
        calibration=trained.calibration.as_dict(),
        metrics=trained.metrics,
        versions=versions(),
    )
    return save_checkpoint(job.out / job.name, card, _weights(trained))


def patch_pixels(config: PatchTraining, ratio: float) -> int:
    """Rows and columns of a patch at the resolution of the shrunk crops."""
    return round(config.crop_pixels * ratio)


def _start(job: PatchJob, gripper: Any) -> list[dict[str, Tensor]] | None:
    if job.start is None:
        return None
    before = load_checkpoint(job.start, policy=POLICY, gripper=gripper)
    given = {k: v for k, v in before.card.network.items() if k != "members"}
    if given != job.config.network:
        raise InvalidConfig(
            f"{job.start} is a network {given}, and {job.config.network} cannot be tuned from it"
        )
    return [network.state_dict() for network in build_members(before, fuse=False)]


def _weights(trained: Trained) -> dict[str, Tensor]:
    return {
        f"{member}.{name}": tensor
        for member, network in enumerate(trained.members)
        for name, tensor in network.state_dict().items()
    }


def _training_card(
    job: PatchJob, tries: PatchTries, runs: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    stages: Sequence[int] = np.unique(tries.stage).tolist()
    return {
        "data_sha256": tries.digest,
        "tries": len(tries),
        "positives": int(tries.success.sum()),
        "by_stage": {
            str(stage): {
                "tries": int((tries.stage == stage).sum()),
                "positives": int(tries.success[tries.stage == stage].sum()),
            }
            for stage in stages
        },
        "objects": sorted({str(run.get("objects", "")) for run in runs.values()}),
        "object_digests": sorted({str(run.get("objects_digest", "")) for run in runs.values()}),
        "recipe_digests": sorted({str(run.get("recipe_digest", "")) for run in runs.values()}),
        "start": job.start.name if job.start else "",
        "configuration": job.config.model_dump(mode="json", exclude={"threads", "imagenet"}),
        **({"where": job.where} if job.where else {}),
    }
