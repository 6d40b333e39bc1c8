"""The network of the paper (Zeng and others 2018, section IV), as its code has it.

Four trunks of DenseNet-121: colour and height for pushes, colour and height for
grasps. The map is zoomed to 448 and padded to 640, turned into each orientation;
the features of both trunks are joined and two 1x1 convolutions give one value for
each 32nd pixel, which is turned back, enlarged 16 times and cut to 224 x 224.
Two of its habits are a choice here: normalisation (see :mod:`densenet`), and the
symmetry of grasps, which it learns by showing a label at both orientations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.policies.pixelq import windows
from selfgrasp_nodes.policies.pixelq.actions import (
    ROTATIONS,
    STEP,
    Motions,
    angle_rotation,
)
from selfgrasp_nodes.policies.pixelq.densenet import NORMS, OUTPUTS, densenet121, load_imagenet
from selfgrasp_nodes.policies.pixelq.networks import Example, PixelNetwork, Scored
from selfgrasp_nodes.policies.pixelq.rotation import to_canvas, turned
from selfgrasp_nodes.policies.pixelq.state import CELLS, State
from selfgrasp_nodes.types import Primitive, Workspace

COLOR_MEAN, COLOR_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HEIGHT_MEAN, HEIGHT_DEVIATION = 0.01, 0.03
"""Of heights [m]."""

ENLARGE = 16
BEST = 4000
"""Actions of an orientation that are handed on: the rest could never be chosen."""


class ReferenceNetwork(PixelNetwork):
    """See the module."""

    name = "densenet"

    def __init__(
        self,
        motions: Motions,
        workspace: Workspace,
        widths: Sequence[float],
        inputs: str = "rgbd",
        norm: str = "instance",
        imagenet: str = "",
    ):
        """Build it.

        Args:
            motions: See :class:`PixelNetwork`.
            workspace: Likewise.
            widths: Likewise; the paper's opens fully, so there is one.
            inputs: Likewise.
            norm: Key of ``densenet.NORMS``.
            imagenet: File with torchvision's weights; random ones where empty.

        Raises:
            InvalidConfig: If it is to tell openings apart.
            UnknownName: If there is no such normalisation.
            StorageError: If the file of weights is of another format.
        """
        super().__init__(motions, workspace, widths, inputs)
        if len(self.widths) != 1:
            raise InvalidConfig("network 'densenet' has one opening; give one width")
        if norm not in NORMS:
            raise UnknownName("normalisation", norm, NORMS)
        self.trunks = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        self.sights = {"rgbd": ("color", "height"), "depth": ("height",), "rgb": ("color",)}[
            inputs
        ]
        for primitive in Primitive:
            action = primitive.name.lower()
            for sight in self.sights:
                self.trunks[f"{action}_{sight}"] = densenet121(NORMS[norm])
            channels = OUTPUTS * len(self.sights)
            self.heads[action] = nn.Sequential(
                NORMS[norm](channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, 64, 1, bias=False),
                NORMS[norm](64),
                nn.ReLU(inplace=True),
                nn.Conv2d(64, 1, 1, bias=False),
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        if imagenet:
            load_imagenet(list(self.trunks.values()), Path(imagenet))  # type: ignore[arg-type]

    def maps(self, state: Sequence[State], primitive: Primitive, rotations: Tensor) -> Tensor:
        """(B, 224, 224) raw outputs, one orientation of each state.

        Args:
            state: B of them.
            primitive: Of all.
            rotations: (B,) int.
        """
        action = primitive.name.lower()
        angles = rotations.float() * STEP
        seen = {
            "color": torch.stack([_color(s) for s in state]),
            "height": torch.stack([_height(s) for s in state]),
        }
        features = [
            self.trunks[f"{action}_{sight}"](turned(seen[sight], angles)) for sight in self.sights
        ]
        small = self.heads[action](torch.cat(features, 1))
        back = turned(small, angles, back=True)
        large = F.interpolate(back, scale_factor=ENLARGE, mode="bilinear", align_corners=False)
        edge = (large.shape[-1] - CELLS) // 2
        return large[:, 0, edge : edge + CELLS, edge : edge + CELLS]

    def evaluate(
        self,
        state: State,
        primitives: Sequence[Primitive],
        within: np.ndarray | None = None,
    ) -> Scored:
        """See :meth:`PixelNetwork.evaluate`; every pixel counts, the best are returned."""
        found = []
        with torch.inference_mode():
            for primitive in primitives:
                for rotation in range(ROTATIONS):
                    values = self.maps([state], primitive, torch.tensor([rotation]))[0].numpy()
                    if within is not None:
                        values = np.where(within, values, -np.inf)
                    flat = values.ravel()
                    best = np.argpartition(flat, len(flat) - BEST)[-BEST:]
                    best = best[np.isfinite(flat[best])]
                    rows, cols = np.divmod(best, CELLS)
                    ones = np.ones(len(best), int)
                    scored = Scored(
                        ones * primitive, ones * rotation, rows, cols, 0 * ones, flat[best]
                    )
                    found.append(scored)
        return Scored.join(found) if found else Scored.none()

    def example(
        self, state: State, primitive: Primitive, angle: float, row: int, col: int, opening: int
    ) -> Example:
        """See :meth:`PixelNetwork.example`: the whole state."""
        image = {"height": windows.codes(state), "color": state.color}
        return Example(primitive, angle, opening, image, {"row": float(row), "col": float(col)})

    def values(self, examples: Sequence[Example], vary: bool = False) -> Tensor:
        """See :meth:`PixelNetwork.values`: (B, 2).

        A grasp has two orientations that are the same to the hand; each is to have the
        try's value, as in section III-C, since the better of them is acted on. A push's is
        there twice.
        """
        found = []
        for e in examples:
            coded = e.image["height"]
            known = coded != windows.UNKNOWN
            height = np.where(known, coded, 0).astype(np.float32) * windows.CODE_STEP
            state = State(height, known, e.image["color"])
            rotation = angle_rotation(e.primitive, e.angle)
            both = [rotation]
            if e.primitive is Primitive.GRASP:
                both.append((rotation + ROTATIONS // 2) % ROTATIONS)
            maps = torch.cat([self.maps([state], e.primitive, torch.tensor([r])) for r in both])
            found.append(maps[:, int(e.numbers["row"]), int(e.numbers["col"])].expand(2))
        return torch.stack(found) if found else torch.zeros(0, 2)


def _color(state: State) -> Tensor:
    """(3, 640, 640); the border is black before it is normalised, as in the reference."""
    mean = torch.tensor(COLOR_MEAN)[:, None, None]
    deviation = torch.tensor(COLOR_DEVIATION)[:, None, None]
    planes = torch.from_numpy(state.color.copy()).permute(2, 0, 1).float() / 255
    return (to_canvas(planes[None])[0] - mean) / deviation


def _height(state: State) -> Tensor:
    """(3, 640, 640): one height in three planes."""
    plane = to_canvas(torch.from_numpy(state.height.copy())[None, None])[0]
    return ((plane - HEIGHT_MEAN) / HEIGHT_DEVIATION).expand(3, -1, -1)
