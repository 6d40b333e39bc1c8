"""What is under the fingers of a grasp as they come down, opening by opening."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig
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
        if self.sees_height:
            for window in ("height", "unknown"):
                places, shares = _footprints(motions, branch, window, self.widths)
                self.register_buffer(f"under_{window}", places, persistent=False)
                self.register_buffer(f"share_{window}", shares, persistent=False)

    under_height: Tensor
    under_unknown: Tensor
    share_height: Tensor
    share_unknown: Tensor

    def reference(self, surface: Tensor) -> Tensor:
        """Height of the fingertips when they touch the object, about [m]."""
        s, gripper = self.motions.strokes, self.motions.fingers.gripper
        return (surface - s.depth - gripper.pad_length / 2).clamp(min=s.table_clearance)

    def tips(self, surface: Tensor) -> Tensor:
        """(B, W) height of the fingertips of a grasp with each opening [m]."""
        heights = surface.numpy()
        found = [self.motions.grasp_z(heights, width)[1] for width in self.widths]
        return torch.from_numpy(np.stack(found, 1).astype(np.float32))

    def forward(self, sampled: dict[str, Tensor], surface: Tensor, tips: Tensor) -> Tensor:
        """(B, W, E) what is said of each opening.

        What stands highest under either finger as it comes down, the share of it that is in
        the way, and the share that is hidden: the larger first, so that no side is preferred.

        Args:
            sampled: Windows, each (B, K).
            surface: (B,) height under the pixel [m].
            tips: Of :meth:`tips`, which all orientations share.
        """
        rows, count = len(surface), len(self.widths)
        which = torch.eye(count).expand(rows, count, count)
        plain = torch.stack([surface, self.reference(surface)], 1)[:, None] / UNIT
        plain = plain.expand(-1, count, EXTRAS)
        if not self.sees_height:
            return torch.cat([which, torch.zeros_like(plain)], 2)
        over = sampled["height"].index_select(1, self.under_height.reshape(-1))
        over = over.reshape(rows, count, -1) - tips[..., None]  # both fingers of an opening
        over = over.reshape(rows, count, 2, -1)
        highest = (over.amax(3) / 0.01).clamp(-1, 1)
        blocked = ((over / STEPPED).clamp(0, 1) * self.share_height).sum(3)
        unknown = sampled["unknown"].index_select(1, self.under_unknown.reshape(-1))
        hidden = (unknown.reshape(rows, count, 2, -1) * self.share_unknown).sum(3)
        under = torch.stack([highest, blocked, hidden], 2)  # (B, W, 3, 2)
        ordered = torch.stack([under.amax(3), under.amin(3)], 3).flatten(2)
        return torch.cat([which, plain, ordered], 2)


def _footprints(
    motions: Motions, branch: Branch, window: str, widths: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Points of a window under each finger at each opening, and their shares of a mean.

    Returns:
        Twice (W, 2, P): indices, and one over their number. A footprint of fewer points
        repeats its first one, which has no share there.
    """
    gripper = motions.fingers.gripper
    points = branch.points(window)
    u, v = points[:, 0], points[:, 1]
    halo = HALO + 1e-6  # a hair wider, so that rounding treats both sides alike
    across = v.abs() <= gripper.finger_width / 2 + halo
    found = []
    for width in widths:
        inner, outer = width / 2 - halo, width / 2 + gripper.finger_thickness + halo
        found += [across & (side * u > inner) & (side * u < outer) for side in (1, -1)]
    indices = [there.nonzero()[:, 0] for there in found]
    if not all(map(len, indices)):
        raise InvalidConfig(
            f"a gripper that opens {max(widths) * 1e3:g} mm has its fingers beyond what the "
            "network 'window' looks at: train with smaller openings (network: widths)"
        )
    most = max(len(there) for there in indices)
    padded = [torch.cat([there, there[:1].expand(most - len(there))]) for there in indices]
    shares = [(torch.arange(most) < len(there)) / len(there) for there in indices]
    shape = (len(widths), 2, most)
    return torch.stack(padded).reshape(shape), torch.stack(shares).float().reshape(shape)
