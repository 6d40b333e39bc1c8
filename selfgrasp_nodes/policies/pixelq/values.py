"""A network with what its numbers mean: a checkpoint in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency
from selfgrasp_nodes.policies.checkpoints import Card, Checkpoint, load_checkpoint
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.pixelq.actions import ROTATIONS, Motions, Strokes, rotation_angle
from selfgrasp_nodes.policies.pixelq.state import CELLS, RESOLUTION, State
from selfgrasp_nodes.robots import GripperSpec
from selfgrasp_nodes.types import Primitive, Workspace

if TYPE_CHECKING:
    from selfgrasp_nodes.policies.pixelq.networks import PixelNetwork, Scored

POLICY = "pixelq"
OUTPUTS = ("probability", "value")
"""What a raw output is: log-odds of a value in 0..1, or a value as it is."""


@dataclass(frozen=True, eq=False)
class Values:
    """Values of pixels.

    Attributes:
        network: In evaluation mode where it only answers.
        output: One of :data:`OUTPUTS`.
        calibration: ``grasp_scale`` and ``grasp_offset`` on log-odds of grasps, as the
            policy ranks them, from outcomes; 1 and 0 where absent.
    """

    network: PixelNetwork
    output: str
    calibration: Mapping[str, float]

    def evaluate(
        self,
        state: State,
        primitives: Sequence[Primitive],
        within: np.ndarray | None = None,
    ) -> Scored:
        """Actions that are worth a thought, with their values; see ``PixelNetwork``."""
        raw = self.network.evaluate(state, primitives, within)
        if self.output == "value":
            return raw
        return replace(raw, value=_sigmoid(np.asarray(raw.value, float)))

    def value(self, state: State, action: Scored) -> float:
        """What one action is worth, wherever it was found."""
        import torch

        kind = Primitive(int(action.primitive[0]))
        angle = rotation_angle(kind, int(action.rotation[0]))
        where = int(action.row[0]), int(action.col[0]), int(action.opening[0])
        with torch.inference_mode():
            example = self.network.example(state, kind, angle, *where)
            raw = float(self.network.values([example]).max())
        return raw if self.output == "value" else float(_sigmoid(np.asarray(raw)))

    def calibrated(self, scored: Scored) -> Scored:
        """Chances of grasps as outcomes bear them out; the rest as it is."""
        if self.output == "value" or not self.calibration:
            return scored
        chance = np.clip(scored.value, 1e-9, 1 - 1e-9)
        odds = np.log(chance / (1 - chance))
        scale = float(self.calibration.get("grasp_scale", 1.0))
        offset = float(self.calibration.get("grasp_offset", 0.0))
        grasp = scored.primitive == Primitive.GRASP
        return replace(scored, value=np.where(grasp, _sigmoid(scale * odds + offset), chance))


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(odds, -40, 40)))


def input_card(strokes: Strokes) -> dict[str, Any]:
    """The card's entry about input and motions."""
    return {
        "cells": CELLS,
        "resolution": RESOLUTION,
        "rotations": ROTATIONS,
        "strokes": asdict(strokes),
    }


def build_network(
    parameters: Mapping[str, Any], gripper: GripperSpec, workspace: Workspace, strokes: Strokes
) -> PixelNetwork:
    """A network for a gripper and a workspace.

    Raises:
        MissingDependency: If torch is not installed.
        InvalidConfig: If the workspace has another size or resolution, or a
            parameter is wrong.
        UnknownName: If there is no such network.
    """
    try:
        from selfgrasp_nodes.policies.pixelq.networks import make_network
    except ImportError as error:
        raise MissingDependency(
            "policy 'pixelq' needs torch: run 'make setup-learning', or pip install -r "
            "requirements-learning.txt"
        ) from error
    same = abs(workspace.resolution - RESOLUTION) < 1e-6 and workspace.shape == (CELLS, CELLS)
    if not same:
        raise InvalidConfig(
            f"policy 'pixelq' acts on heightmaps of {CELLS} x {CELLS} cells of "
            f"{RESOLUTION * 1e3:g} mm; the robot's workspace has {workspace.shape[0]} x "
            f"{workspace.shape[1]} cells of {workspace.resolution * 1e3:g} mm: set its size to "
            f"{CELLS * RESOLUTION:g} m and its resolution to {RESOLUTION:g} m"
        )
    given = dict(parameters)
    name, widths = str(given.pop("name", "window")), given.pop("widths", None)
    widths = tuple(widths or (gripper.width_max,))
    return make_network(Motions(Fingers(gripper), strokes), workspace, name, widths, **given)


def load_values(
    path: str | Path, gripper: GripperSpec, workspace: Workspace, digest: str = ""
) -> tuple[Values, Card]:
    """Read a checkpoint for a gripper and a workspace.

    Raises:
        StorageError: If the files are missing, damaged, pickled or of another digest.
        InvalidConfig: If they are for another policy, gripper or geometry, or the
            weights do not fit the network.
        MissingDependency: If torch is not installed.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            "policy 'pixelq' needs torch: run 'make setup-learning', or pip install -r "
            "requirements-learning.txt"
        ) from error
    checkpoint = load_checkpoint(path, digest=digest, policy=POLICY, gripper=gripper)
    return values_of(checkpoint, gripper, workspace), checkpoint.card


def values_of(checkpoint: Checkpoint, gripper: GripperSpec, workspace: Workspace) -> Values:
    """The network of a checkpoint, with its weights; errors as :func:`load_values`."""
    card = checkpoint.card
    strokes = _check_input(card, checkpoint.path)
    output = str(card.network.get("output", "probability"))
    if output not in OUTPUTS:
        raise InvalidConfig(
            f"{checkpoint.path}: unknown output {output!r}; valid: {', '.join(OUTPUTS)}"
        )
    parameters = {k: v for k, v in card.network.items() if k not in ("output", "imagenet")}
    network = build_network(parameters, gripper, workspace, strokes)
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise InvalidConfig(
            f"the weights {checkpoint.path} do not fit network {parameters} of their card: {error}"
        ) from error
    return Values(network.eval(), output, card.calibration)


def _check_input(card: Card, path: Path) -> Strokes:
    """The strokes, if the card's input is one that this version can show.

    Raises:
        InvalidConfig: If it is not.
    """
    given = card.input
    try:
        cells, rotations = int(given["cells"]), int(given["rotations"])
        resolution = float(given["resolution"])
        strokes = Strokes(**{k: float(v) for k, v in given["strokes"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidConfig(
            f"the card of {path} lacks an entry of its input, or has a wrong one: {error!r}"
        ) from error
    if (cells, rotations) != (CELLS, ROTATIONS) or abs(resolution - RESOLUTION) > 1e-9:
        raise InvalidConfig(
            f"{path} takes heightmaps of {cells} x {cells} cells of {resolution * 1e3:g} mm at "
            f"{rotations} rotations; this version shows {CELLS} x {CELLS} cells of "
            f"{RESOLUTION * 1e3:g} mm at {ROTATIONS}"
        )
    return strokes
