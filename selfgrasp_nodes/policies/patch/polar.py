"""The default network: a patch in polar coordinates, where turning is shifting.

The patch is sampled on rings around the grasp point. Turned by 10 degrees it is
the same picture shifted by two columns, so one convolutional network with
circular padding judges all 18 angles alike and at once, and every try teaches
all of them. A grasp at angle t closes along the rays t and t + pi; which of the
two fingers is which makes no difference, so the rays' features enter as their
sum and their absolute difference, together with those of the rays at right
angles, along which the object's weight is spread.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfgrasp_nodes.policies.patch.encoding import ANGLES
from selfgrasp_nodes.policies.patch.networks import CHANNELS, PatchNetwork

RAYS = 4 * ANGLES
"""Columns of the polar picture: two a bin, over the whole turn."""


class PolarNetwork(PatchNetwork):
    """Circular convolutions over the polar picture; see the module."""

    aligned = True

    def __init__(
        self,
        channels: str = "rgbd",
        rings: int = 24,
        widths: tuple[int, ...] = (16, 32, 48, 64),
        hidden: int = 64,
        dropout: float = 0.2,
    ):
        """Build it.

        Args:
            channels: Key of ``networks.CHANNELS``.
            rings: Of the polar picture; a multiple of 8.
            widths: Channels of the four layers.
            hidden: Of the layer that joins the rays.
            dropout: Before the output.
        """
        super().__init__(_rings(rings), channels)
        a, b, c, d = widths
        # Columns j = 0.. lie at 2.5, 7.5, ... degrees; the first layer's stride joins two
        # of them to a bin's middle.
        self.layers = nn.ModuleList(
            [
                _Circular(CHANNELS[channels], a, (3, 4), (2, 2), rings // 2),
                _Circular(a, b, (3, 3), (2, 1), rings // 4),
                _Circular(b, c, (3, 3), (2, 1), rings // 8),
                _Circular(c, d, (rings // 8, 5), (1, 1), 1, pad_rings=0),
            ]
        )
        self.join = nn.Linear(3 * d + 1, hidden)
        self.drop = nn.Dropout(dropout)
        self.last = nn.Linear(hidden, 1)

    def forward(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """See :class:`PatchNetwork`."""
        return self.head(self.rays(images, frames, tips), tips)

    def rays(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """(B, D, 36) features of the rays at every 10 degrees."""
        x = self.inputs(images, frames, tips, self.points)
        for layer in self.layers:
            x = layer(x)
        return x[:, :, 0]

    def head(self, rays: Tensor, tips: Tensor) -> Tensor:
        """(B, 18) log-odds from the rays' features."""
        one, other = rays[..., :ANGLES], rays[..., ANGLES:]
        both, apart = one + other, (one - other).abs()
        across = both.roll(ANGLES // 2, -1)
        low = (tips / 0.03)[:, None, None].expand(-1, 1, ANGLES)
        x = torch.cat([both, apart, across, low], 1).transpose(1, 2)
        return self.last(self.drop(F.relu(self.join(x))))[..., 0]


class _Circular(nn.Module):
    """Convolution, batch norm, a bias a ring, ReLU; circular along the rays."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        rings: int,
        pad_rings: int = 1,
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (pad_rings, 0), bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.bias = nn.Parameter(torch.zeros(1, outputs, rings, 1))
        around = kernel[1] - stride[1]
        self.pad = (around // 2, around - around // 2, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(F.pad(x, self.pad, mode="circular")))
        return F.relu(x + self.bias)


def _rings(rings: int) -> Tensor:
    """(rings, 72, 2) points: rows from the middle outwards, columns around."""
    radius = (torch.arange(rings) + 0.5) / rings
    angle = (torch.arange(RAYS) + 0.5) * (2 * math.pi / RAYS)
    return torch.stack(
        [radius[:, None] * angle.cos()[None], radius[:, None] * angle.sin()[None]], -1
    )
