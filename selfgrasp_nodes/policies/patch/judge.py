"""A checkpoint that judges patches: networks, calibration and what they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgrasp_nodes.errors import InvalidConfig, InvalidImage, MissingDependency
from selfgrasp_nodes.policies.checkpoints import Card, Checkpoint, load_checkpoint
from selfgrasp_nodes.policies.patch.encoding import ANGLES, HEIGHT_STEP
from selfgrasp_nodes.robots import GripperSpec
from selfgrasp_nodes.robots.patch import PatchGeometry

if TYPE_CHECKING:
    from selfgrasp_nodes.policies.patch.networks import PatchNetwork

POLICY = "patch"
CHUNK = 50
"""Patches at a time: what fits the caches."""

SIDE_TOLERANCE = 0.001
"""Patches whose sides differ by less [m] are one geometry."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Networks that answer together.

    Attributes:
        card: Of their checkpoint.
        members: In evaluation mode.
        pixels: Rows and columns of a patch as they are shown it.
        scale: Factor on the mean log-odds, for a calibrated probability.
        offset: Added to them.
    """

    card: Card
    members: Sequence[PatchNetwork]
    pixels: int
    scale: float
    offset: float

    def probabilities(self, patches: np.ndarray, tips: np.ndarray) -> np.ndarray:
        """Calibrated chances of success.

        Args:
            patches: (N, P, P, 4) uint8, see ``encoding.encode``.
            tips: (N,) fingertips above the patch's plane [m].

        Returns:
            (N, 18) for grasps at the middle of each bin.

        Raises:
            InvalidConfig: If the patches have another size.
            InvalidImage: If a fingertip's height is no number.
        """
        import torch

        from selfgrasp_nodes.policies.patch.networks import whole

        if patches.shape[1:] != (self.pixels, self.pixels, 4):
            raise InvalidConfig(
                f"the checkpoint takes patches of {self.pixels} x {self.pixels} x 4, not "
                f"{patches.shape[1:]}"
            )
        if bad := np.count_nonzero(~np.isfinite(tips)):
            raise InvalidImage(
                f"{bad} of {len(tips)} patches have fingertips at a height that is no number: "
                "leave grasps out whose surface was not measured"
            )
        odds = np.zeros((len(patches), ANGLES))
        with torch.inference_mode():
            for first in range(0, len(patches), CHUNK):
                part = slice(first, first + CHUNK)
                images = torch.from_numpy(np.ascontiguousarray(patches[part]))
                low = torch.from_numpy(np.asarray(tips[part], np.float32))
                for network in self.members:
                    odds[part] += network(images, whole(images), low).numpy()
        z = self.scale * odds / len(self.members) + self.offset
        return 1.0 / (1.0 + np.exp(-z))


def input_card(sizes: PatchGeometry, pixels: int) -> dict[str, Any]:
    """The card's entry about the input."""
    return {
        "patch_side": sizes.patch_side,
        "pixels": pixels,
        "angles": ANGLES,
        "height_step": HEIGHT_STEP,
        "planes": ["red", "green", "blue", "height"],
    }


def load_judge(path: str | Path, gripper: GripperSpec | None = None, digest: str = "") -> Judge:
    """Build the networks of a checkpoint.

    Args:
        path: See ``checkpoints.load_checkpoint``.
        gripper: That it must serve, patch geometry included; any where None.
        digest: SHA-256 that the weights must have; the card's where empty.

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
            "policy 'patch' needs torch: run 'make setup-learning', or pip install -r "
            "requirements-learning.txt"
        ) from error
    checkpoint = load_checkpoint(path, digest=digest, policy=POLICY, gripper=gripper)
    card = checkpoint.card
    pixels = _check_input(card, gripper, checkpoint.path)
    calibration = card.calibration
    return Judge(
        card,
        build_members(checkpoint),
        pixels,
        float(calibration.get("scale", 1.0)),
        float(calibration.get("offset", 0.0)),
    )


def build_members(checkpoint: Checkpoint, fuse: bool = True) -> list[PatchNetwork]:
    """The networks of a checkpoint.

    Args:
        checkpoint: Card and weights; member m's are named ``m.NAME``.
        fuse: Whether batch norms are folded, which is faster; not for fine-tuning.

    Raises:
        InvalidConfig: If the weights do not fit the network that the card names.
    """
    from selfgrasp_nodes.policies.patch.networks import fused, make_network

    parameters = dict(checkpoint.card.network)
    count = int(parameters.pop("members", 1))
    members = []
    for member in range(count):
        network = make_network(**parameters)
        prefix = f"{member}."
        weights = {
            name[len(prefix) :]: tensor
            for name, tensor in checkpoint.weights.items()
            if name.startswith(prefix)
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise InvalidConfig(
                f"the weights {checkpoint.path} do not fit network {parameters} of their card: "
                f"{error}"
            ) from error
        members.append(fused(network) if fuse else network)
    return members  # type: ignore[return-value]


def _check_input(card: Card, gripper: GripperSpec | None, path: Path) -> int:
    """Patch pixels, if the card's input is one that this version can show.

    Raises:
        InvalidConfig: If it is not.
    """
    given = card.input
    try:
        side, pixels = float(given["patch_side"]), int(given["pixels"])
        angles, step = int(given["angles"]), float(given["height_step"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidConfig(
            f"the card of {path} lacks an entry of its input: {error!r}"
        ) from error
    if angles != ANGLES or abs(step - HEIGHT_STEP) > 1e-9:
        raise InvalidConfig(
            f"{path} judges {angles} angles with heights in steps of {step} m; this version "
            f"shows {ANGLES} and {HEIGHT_STEP} m"
        )
    if gripper is not None:
        mine = PatchGeometry.of(gripper).patch_side
        if abs(mine - side) > SIDE_TOLERANCE:
            raise InvalidConfig(
                f"{path} takes patches of {side} m and gripper {gripper.name!r} has patches of "
                f"{mine} m: train one for this geometry"
            )
    return pixels
