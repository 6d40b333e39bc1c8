"""A network that looks through the hand: one window a bin, turned into the grasp's frame.

The window's columns run along the closing direction, so that every bin is judged
by the same small network. Exact and easy to learn, but 18 passes a patch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfgrasp_nodes.policies.patch.encoding import ANGLES, bin_angle
from selfgrasp_nodes.policies.patch.networks import CHANNELS, PatchNetwork, convolution


class WindowNetwork(PatchNetwork):
    """See the module."""

    aligned = True

    def __init__(
        self,
        channels: str = "rgbd",
        columns: int = 56,
        rows: int = 32,
        reach: tuple[float, float] = (0.85, 0.5),
        width: int = 16,
        hidden: int = 96,
        dropout: float = 0.2,
    ):
        """Build it.

        Args:
            channels: Key of ``networks.CHANNELS``.
            columns: Samples along the closing direction.
            rows: Samples across it.
            reach: Half extents of the window, in halves of the patch's side.
            width: Channels of the first layer.
            hidden: Of the layer before the output.
            dropout: Before the output.
        """
        along = ((torch.arange(columns) + 0.5) / columns * 2 - 1) * reach[0]
        across = ((torch.arange(rows) + 0.5) / rows * 2 - 1) * reach[1]
        y, x = torch.meshgrid(across, along, indexing="ij")
        super().__init__(torch.stack([x, y], -1), channels)
        w = width
        self.trunk = nn.Sequential(
            convolution(CHANNELS[channels], w, 3, 2, 1),
            convolution(w, 2 * w, 3, 2, 1),
            convolution(2 * w, 4 * w, 3, 2, 1),
            nn.Flatten(),
        )
        self.join = nn.Sequential(
            nn.Linear(4 * w * (-(-rows // 8)) * (-(-columns // 8)) + 1, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """See :class:`PatchNetwork`."""
        bins = torch.arange(ANGLES)
        columns = [
            self.tried(images, frames, tips, bins[k].expand(len(images))) for k in range(ANGLES)
        ]
        return torch.stack(columns, 1)

    def tried(self, images: Tensor, frames: Tensor, tips: Tensor, bins: Tensor) -> Tensor:
        """See :class:`PatchNetwork`."""
        angle = torch.as_tensor(bin_angle(bins.numpy()), dtype=torch.float32)
        c, s = angle.cos(), angle.sin()
        turn = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
        turned = torch.cat([frames[:, :, :2] @ turn, frames[:, :, 2:]], -1)
        x = self.trunk(self.inputs(images, turned, tips, self.points))
        return self.join(torch.cat([x, (tips / 0.03)[:, None]], 1))[:, 0]
