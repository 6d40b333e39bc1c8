"""What every patch network is, and their registry.

A network is shown pictures and, for each, a *frame*: the affine map from the
patch's own coordinates (-1..1 from edge to edge, x along columns, y along rows)
to the picture's. It samples the picture at the points that it wants, so that
turning, shifting, mirroring and resizing are one interpolation, whether the
picture is a stored crop or exactly the patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.policies.patch.encoding import ANGLES, HEIGHT_STEP, HEIGHT_ZERO

HEIGHT_SCALE = 0.03
"""Heights are shown in this unit [m]."""

CHANNELS = {"rgbd": 6, "depth": 3, "rgb": 3}
"""Sets of input channels -> their number."""


class PatchNetwork(nn.Module):
    """Base of the networks: pictures and frames in, 18 log-odds of success out.

    Attributes:
        points: (H, W, 2) where the patch is sampled, in its own coordinates.
        aligned: Whether every bin is judged alike (angle equivariance), so that
            a try can be shown turned into the very middle of a bin.
        channels: Key of :data:`CHANNELS`.
    """

    points: Tensor
    aligned = False

    def __init__(self, points: Tensor, channels: str):
        """Keep where to sample and what."""
        super().__init__()
        if channels not in CHANNELS:
            raise UnknownName("set of input channels", channels, CHANNELS)
        self.channels = channels
        self.register_buffer("points", points.float(), persistent=False)

    def forward(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """Judge.

        Args:
            images: (B, S, S, 4) uint8, see :mod:`encoding`.
            frames: (B, 2, 3) float, patch to picture coordinates.
            tips: (B,) fingertips' height above the patch's plane [m], mostly below 0.

        Returns:
            (B, 18) log-odds that a grasp at each bin succeeds.
        """
        raise NotImplementedError

    def tried(self, images: Tensor, frames: Tensor, tips: Tensor, bins: Tensor) -> Tensor:
        """(B,) log-odds of one bin each; arguments as for :meth:`forward`."""
        return self(images, frames, tips).gather(1, bins[:, None])[:, 0]

    def inputs(self, images: Tensor, frames: Tensor, tips: Tensor, points: Tensor) -> Tensor:
        """(B, C, H, W) channels at ``points`` (H, W, 2), or (B, H, W, 2) for each."""
        return select(sample(images, frames, points), tips, self.channels)


def sample(images: Tensor, frames: Tensor, points: Tensor) -> Tensor:
    """Bilinear red, green, blue (0..1), height [m] and known share (0..1) at points.

    Args:
        images: (B, S, S, 4) uint8.
        frames: (B, 2, 3).
        points: (H, W, 2) in the patch's coordinates.

    Returns:
        (B, 5, H, W); height is 0 where less than half is known.
    """
    raw = images.permute(0, 3, 1, 2).float()
    known = (raw[:, 3:] > 0).float()
    planes = torch.cat([raw[:, :3], (raw[:, 3:] - HEIGHT_ZERO) * known, known], 1)
    grid = torch.einsum("bij,hwj->bhwi", frames[:, :, :2], points) + frames[:, None, None, :, 2]
    found = F.grid_sample(planes, grid, mode="bilinear", align_corners=False)
    # Scaled here, where there are fewer numbers than in the pictures.
    share = found[:, 4:]
    height = found[:, 3:4] * (HEIGHT_STEP / share.clamp(min=0.5)) * (share > 0.5)
    return torch.cat([found[:, :3] * (1 / 255), height, share], 1)


def select(sampled: Tensor, tips: Tensor, channels: str) -> Tensor:
    """Input channels out of what :func:`sample` gives.

    Height counts twice: above the surface under the grasp, and above the
    fingertips, cut off there, since what lies lower is not met.
    """
    color, height, known = sampled[:, :3] - 0.5, sampled[:, 3:4], sampled[:, 4:]
    if channels == "rgb":
        return color
    over = (height - tips[:, None, None, None]).clamp(-0.01, 0.08) * (known > 0.5)
    depth = [height / HEIGHT_SCALE, over / HEIGHT_SCALE, known]
    return torch.cat(depth if channels == "depth" else [*depth, color], 1)


def whole(images: Tensor) -> Tensor:
    """(B, 2, 3) frames for pictures that are exactly the patch."""
    return torch.eye(2, 3).expand(len(images), 2, 3)


def square(pixels: int) -> Tensor:
    """(P, P, 2) middles of the pixels of the whole patch."""
    axis = (torch.arange(pixels) + 0.5) / pixels * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], -1)


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers)


class PlainNetwork(PatchNetwork):
    """A small ordinary convolutional network with 18 outputs: no symmetry built in."""

    def __init__(self, channels: str = "rgbd", pixels: int = 64, width: int = 24):
        """Build it for patches of ``pixels`` and ``width`` channels in the first layer."""
        super().__init__(square(pixels), channels)
        w = width
        self.trunk = nn.Sequential(
            convolution(CHANNELS[channels], w, 5, 2, 2),
            convolution(w, 2 * w, 3, 2, 1),
            convolution(2 * w, 3 * w, 3, 2, 1),
            convolution(3 * w, 4 * w, 3, 2, 1),
            nn.Flatten(),
            nn.Linear(4 * w * (pixels // 16) ** 2, 128),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(128, ANGLES),
        )

    def forward(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """See :class:`PatchNetwork`."""
        return self.trunk(self.inputs(images, frames, tips, self.points))


def fused(module: nn.Module) -> nn.Module:
    """The module in evaluation mode with batch norms folded into their convolutions."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    module.eval()
    for parent in module.modules():
        names = list(parent._modules)
        for first, second in pairwise(names):
            conv, norm = parent._modules[first], parent._modules[second]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent._modules[first] = fuse_conv_bn_eval(conv, norm)
                parent._modules[second] = nn.Identity()
    return module


NETWORKS = {
    "alexnet": ("alexnet", "PaperNetwork"),
    "lite": ("lite", "LiteNetwork"),
    "polar": ("polar", "PolarNetwork"),
    "window": ("window", "WindowNetwork"),
    "plain": ("networks", "PlainNetwork"),
}
"""Names -> module of this package and class; imported when one is made."""


def make_network(name: str = "", **parameters: Any) -> PatchNetwork:
    """A network by name.

    Raises:
        UnknownName: If there is none.
        InvalidConfig: If it has no name, or a parameter is unknown or out of range.
    """
    if not (isinstance(name, str) and name):
        given = {**({"name": name} if name else {}), **parameters}
        raise InvalidConfig(
            f"network {given} needs a 'name'; valid: {', '.join(sorted(NETWORKS))}"
        )
    if name not in NETWORKS:
        raise UnknownName("patch network", name, NETWORKS)
    kind = _kind(name)
    unknown = sorted(set(parameters) - set(signature(kind).parameters))
    if unknown:
        raise _unfit(name, parameters, f"unknown {', '.join(unknown)}")
    try:
        return kind(**parameters)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise _unfit(name, parameters, error) from error


def check_network(network: Mapping[str, Any]) -> None:
    """Build a network for a moment, and let it judge a black patch.

    No random number is drawn of those that a training draws.

    Args:
        network: ``name`` and parameters, as in a training's file.

    Raises:
        UnknownName: If there is no such network.
        InvalidConfig: If its parameters are wrong, or do not fit each other.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        built = make_network(**network).eval()
        black = torch.zeros(1, 8, 8, 4, dtype=torch.uint8)
        try:
            built(black, whole(black), torch.zeros(1))
        except RuntimeError as error:
            given = {key: value for key, value in network.items() if key != "name"}
            raise _unfit(network["name"], given, error) from error


def _kind(name: str) -> type[PatchNetwork]:
    module, kind = NETWORKS[name]
    found: type[PatchNetwork] = getattr(import_module(f"{__package__}.{module}"), kind)
    return found


def _unfit(name: str, given: Mapping[str, Any], reason: object) -> InvalidConfig:
    defaults = [f"{p.name}={p.default!r}" for p in signature(_kind(name)).parameters.values()]
    first = (str(reason).splitlines() or [""])[0]
    return InvalidConfig(
        f"parameters {dict(given)} of network {name!r} are not valid: {first}; valid parameters, "
        f"with their defaults: {', '.join(defaults)}"
    )
