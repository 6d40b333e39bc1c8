"""A state as planes that windows are sampled from at many places at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.policies.pixelq import windows
from selfgrasp_nodes.policies.pixelq.branch import Branch
from selfgrasp_nodes.policies.pixelq.state import CELLS, State


class Picture:
    """A state's planes with a border, ready to be sampled at many cells."""

    def __init__(self, state: State, border: int):
        self.border, self.stride = border, CELLS + 2 * border
        coded = np.pad(windows.codes(state), border, constant_values=windows.UNKNOWN)
        height, unknown = map(torch.from_numpy, windows.planes(coded))
        color = np.pad(state.color, ((border, border), (border, border), (0, 0)))
        self.color = torch.from_numpy(windows.colors(color)).reshape(-1, 3)
        self.planes = {
            "height": height.reshape(-1),
            "unknown": unknown.reshape(-1),
        }
        self._colors = [plane.contiguous() for plane in self.color.unbind(1)]

    def flat(self, rows: np.ndarray, cols: np.ndarray) -> Tensor:
        """(N,) int32 index of cells."""
        found = (rows + self.border) * self.stride + cols + self.border
        return torch.from_numpy(found.astype(np.int32))

    def at(self, branch: Branch, points: Tensor, flat: Tensor, rotation: int) -> Tensor:
        """(N, K) heights [m] at some points (K,) of the window of heights, seen from cells."""
        shift = branch.cells("height", rotation, self.stride)[points]
        index = (flat[:, None] + shift[None]).reshape(-1)
        found = torch.index_select(self.planes["height"], 0, index)
        return found.reshape(len(flat), len(shift))

    def sample(self, branch: Branch, flat: Tensor, rotation: int) -> dict[str, Tensor]:
        """Windows at cells: (N, K), colours (3, N, K)."""
        sampled = {}
        for name in branch.meshes:
            shift = branch.cells(name, rotation, self.stride)
            index = (flat[:, None] + shift[None]).reshape(-1)
            shape = (len(flat), len(shift))
            if name == "color":
                found = [torch.index_select(p, 0, index).reshape(shape) for p in self._colors]
                sampled[name] = torch.stack(found)
            else:
                sampled[name] = torch.index_select(self.planes[name], 0, index).reshape(shape)
        return sampled
