"""What is under the fingers of a grasp as they come down, opening by opening."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from selfgrasp_nodes.policies.pixelq.actions import Motions
from selfgrasp_nodes.policies.pixelq.branch import STEPPED, UNIT, Branch

EXTRAS = 2
"""Numbers that every opening gets beside which one it is: two heights."""

SEEN_EXTRAS = 6
"""Further ones where heights are seen."""

HALO = 0.003
"""What stands so near to a finger counts as under it [m]."""


class Underneath(nn.Module):
    """Numbers beside the window; nothing in it is learnt."""

    def __init__(self, motions: Motions, branch: Branch, widths: Sequence[float]):
        """Lay the fingers' footprints over the windows.

        Args:
            motions: Heights of grasps.
            branch: Whose windows are looked at.
            widths: Openings [m].
        """
        super().__init__()
        self.motions, self.widths = motions, tuple(widths)
        self.sees_height = "height" in branch.used
        for window in ("height", "unknown"):
            places = _footprints(motions, branch, window, self.widths)
            self.register_buffer(f"under_{window}", places, persistent=False)

    under_height: Tensor
    under_unknown: Tensor

    def reference(self, surface: Tensor) -> Tensor:
        """Height of the fingertips when they touch the object, about [m]."""
        s, gripper = self.motions.strokes, self.motions.fingers.gripper
        return (surface - s.depth - gripper.pad_length / 2).clamp(min=s.table_clearance)

    def forward(self, sampled: dict[str, Tensor], surface: Tensor) -> Tensor:
        """(B, W, E) what is said of each opening.

        What stands highest under either finger as it comes down, the share of it that is in
        the way, and the share that is hidden: the larger first, so that no side is preferred.

        Args:
            sampled: Windows, each (B, K).
            surface: (B,) height under the pixel [m].
        """
        count = len(self.widths)
        which = torch.eye(count).expand(len(surface), count, count)
        plain = torch.stack([surface, self.reference(surface)], 1)[:, None] / UNIT
        plain = plain.expand(-1, count, EXTRAS)
        if not self.sees_height:
            return torch.cat([which, torch.zeros_like(plain)], 2)
        under = []
        for index, width in enumerate(self.widths):
            _, tip = self.motions.grasp_z(surface.numpy(), width)
            lowest = torch.from_numpy(np.asarray(tip)).float()[:, None]
            highest, blocked, hidden = [], [], []
            for side in range(2):
                there = self.under_height[2 * index + side].nonzero()[:, 0]
                over = sampled["height"].index_select(1, there) - lowest
                highest.append((over.amax(1) / 0.01).clamp(-1, 1))
                blocked.append((over / STEPPED).clamp(0, 1).mean(1))
                there = self.under_unknown[2 * index + side].nonzero()[:, 0]
                hidden.append(sampled["unknown"].index_select(1, there).mean(1))
            parts = (*_ordered(highest), *_ordered(blocked), *_ordered(hidden))
            under.append(torch.stack(parts, 1))
        return torch.cat([which, plain, torch.stack(under, 1)], 2)


def _footprints(motions: Motions, branch: Branch, window: str, widths: Sequence[float]) -> Tensor:
    """(2 W, K) bool: points of a window under each finger at each opening."""
    if window not in branch.used:
        return torch.zeros(2 * len(widths), 0, dtype=torch.bool)
    gripper = motions.fingers.gripper
    points = branch.points(window)
    u, v = points[:, 0], points[:, 1]
    halo = HALO + 1e-6  # a hair wider, so that rounding treats both sides alike
    across = v.abs() <= gripper.finger_width / 2 + halo
    found = []
    for width in widths:
        inner, outer = width / 2 - halo, width / 2 + gripper.finger_thickness + halo
        found += [across & (u > inner) & (u < outer), across & (-u > inner) & (-u < outer)]
    return torch.stack(found)


def _ordered(pair: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The larger of two first."""
    return torch.maximum(*pair), torch.minimum(*pair)
