"""Windows to values, for one primitive: what the default network learns."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfgrasp_nodes.policies.pixelq import windows
from selfgrasp_nodes.policies.pixelq.actions import STEP, Motions
from selfgrasp_nodes.policies.pixelq.state import RESOLUTION

UNIT = 0.03
"""Heights are shown in this unit [m]."""

STEPPED = 0.008
"""Height over which a cell goes from free to in the way [m]."""

Mesh = tuple[int, int, float]
"""Columns, rows and spacing [m] of a window."""


class Branch(nn.Module):
    """See the module.

    Attributes:
        used: Names of the windows that it looks at.
        reach: Farthest point of a window, in cells.
    """

    def __init__(
        self,
        meshes: dict[str, Mesh],
        start: float | None,
        axes: tuple[int, ...],
        inputs: str,
        extras: int,
        filters: int,
        hidden: int,
        dropout: float,
    ):
        super().__init__()
        names = {
            "rgbd": ("height", "unknown", "color") if start is None else ("height", "unknown"),
            "depth": ("height", "unknown"),
            "rgb": ("color",),
        }
        self.used, self.axes, self.inputs = names[inputs], axes, inputs
        self.meshes = {name: meshes[name] for name in ("height", *self.used)}
        channels = {"height": 2, "unknown": 1, "color": 2 if inputs == "rgb" else 1}
        size = 0
        farthest = 0.0
        for name, (columns, rows, spacing) in self.meshes.items():
            points = windows.grid(columns, rows, spacing, start).reshape(-1, 2)
            self.register_buffer(f"points_{name}", points, persistent=False)
            farthest = max(farthest, float(points.norm(dim=1).max()))
            if name in self.used:
                size += channels[name] * columns * rows
        self._cells: dict[tuple[str, int, int], Tensor] = {}
        self.reach = int(np.ceil(farthest / RESOLUTION)) + 1
        parts, bound = 2 ** len(axes), 1 / np.sqrt(size)
        self.weights = nn.ParameterDict()
        for name in self.used:
            columns, rows, _ = self.meshes[name]
            shape = (columns // 2 if -2 in axes else columns, rows // 2)
            weight = torch.empty(parts, filters, channels[name], *shape)
            self.weights[name] = nn.Parameter(nn.init.uniform_(weight, -bound, bound))
        self.bias = nn.Parameter(torch.zeros(filters))
        self.filters = filters
        self.first = nn.Linear(parts * filters, hidden)
        self.side = nn.Linear(extras, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden // 2)
        self.drop = nn.Dropout(dropout)
        self.last = nn.Linear(hidden // 2, 1)

    def points(self, name: str) -> Tensor:
        """(K, 2) of a window [m]."""
        return getattr(self, f"points_{name}")

    def cells(self, name: str, rotation: int, stride: int) -> Tensor:
        """(K,) int32 steps from a cell to a window's points in a picture of ``stride`` columns."""
        key = name, rotation, stride
        if key not in self._cells:
            angle = torch.tensor([STEP * rotation])
            at = windows.offsets(self.points(name), angle)[0].round().int()
            self._cells[key] = at[:, 0] * stride + at[:, 1]
        return self._cells[key]

    def image(self, coded: np.ndarray, color: np.ndarray) -> dict[str, np.ndarray]:
        """What is kept of a tried action's surroundings, each (S, S, ...) float16.

        Smoothed once, not at every step that learns from it; halves are finer than the codes.

        Args:
            coded: (S, S) uint8 heights as ``windows.codes`` has them.
            color: (S, S, 3) uint8.
        """
        planes = dict(zip(("height", "unknown"), windows.planes(coded), strict=True))
        planes["color"] = windows.colors(color)
        return {name: planes[name].astype(np.float16) for name in self.used}

    def whole_weights(self) -> Tensor:
        """(parts x filters, points of all windows): each weight, repeated where it is mirrored."""
        weights: list[Tensor] = []
        for name in self.used:
            weight = self.weights[name]
            for channel in range(weight.shape[2]):
                weights.append(torch.cat(windows.mirrored(weight[:, :, channel], self.axes)))
        return torch.cat(weights, 1)

    def features(
        self,
        sampled: dict[str, Tensor],
        tip: Tensor,
        middle: Tensor | None,
        weights: Tensor,
    ) -> Tensor:
        """(B, hidden) before the activation.

        Args:
            sampled: Windows, each (B, K); colours (3, B, K).
            tip: (B,) height of the fingertips [m].
            middle: (B, 3) colour under the hand, 0..1.
            weights: Of :meth:`whole_weights`, which many orientations share.
        """
        inputs: list[Tensor] = []
        for name in self.used:
            inputs += self._channels(name, sampled[name], tip, middle)
        answer = F.linear(torch.cat(inputs, 1), weights)
        even, odd = answer[:, : self.filters] + self.bias, answer[:, self.filters :]
        return self.first(torch.cat([F.relu(even), odd.abs()], 1))

    def _channels(
        self, name: str, values: Tensor, tip: Tensor, middle: Tensor | None
    ) -> list[Tensor]:
        """What a window is turned into before it is weighed, each (B, K)."""
        if name == "height":
            over = values - tip[:, None]
            return [(over / UNIT).clamp(-0.5, 3), (over / STEPPED).clamp(0, 1)]
        if name == "unknown":
            return [values]
        assert middle is not None
        # Plane by plane: reductions over three neighbours in memory are slow.
        steps = [(plane - middle[:, i, None]).abs() for i, plane in enumerate(values)]
        differs = (torch.maximum(torch.maximum(steps[0], steps[1]), steps[2]) * 5).clamp(0, 1)
        return [differs, values.amax(0)] if self.inputs == "rgb" else [differs]

    def value(self, features: Tensor, extras: Tensor) -> Tensor:
        """(...,) raw outputs of features (..., hidden) with further numbers (..., E)."""
        x = F.relu(features + self.side(extras))
        return self.last(self.drop(F.relu(self.second(x))))[..., 0]

    def swept(self, motions: Motions, length: float) -> Tensor:
        """(K,) bool: points of the height window that closed fingers pass in a stroke [m]."""
        points = self.points("height")
        gripper = motions.fingers.gripper
        half = gripper.finger_thickness + 0.004
        ahead = (points[:, 0] > 0) & (points[:, 0] < length)
        return ahead & (points[:, 1].abs() < half)
