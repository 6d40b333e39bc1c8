"""What every network of pixel values is, and their registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.policies.pixelq.actions import HALF, ROTATIONS, Motions
from selfgrasp_nodes.policies.pixelq.state import CELLS, State
from selfgrasp_nodes.types import Primitive, Workspace

INPUTS = ("rgbd", "depth", "rgb")
"""What a network may see: colour and height, height alone, colour alone."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Values of N actions of one state.

    Attributes:
        primitive: (N,) int, as ``types.Primitive``.
        rotation: (N,) int; grasps in 0..7 stand for their twins in 8..15, too.
        row: (N,) int.
        col: (N,) int.
        opening: (N,) int, index into the network's ``widths``; 0 for pushes.
        value: (N,) float.
        lattice: (N,) int; actions of one lattice lie beside each other, those of two do not.
    """

    primitive: np.ndarray
    rotation: np.ndarray
    row: np.ndarray
    col: np.ndarray
    opening: np.ndarray
    value: np.ndarray
    lattice: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def __post_init__(self) -> None:
        """All on one lattice, where nothing else is said."""
        if len(self.lattice) != len(self.value):
            object.__setattr__(self, "lattice", np.zeros(len(self.value), int))

    def __len__(self) -> int:
        return len(self.value)

    def take(self, index: np.ndarray) -> Scored:
        """Some of them."""
        return Scored(*(getattr(self, each.name)[index] for each in fields(self)))

    def best(self, primitive: Primitive) -> float:
        """Largest value of a primitive; minus infinity where it has no action."""
        values = self.value[self.primitive == primitive]
        return float(values.max()) if len(values) else -np.inf

    def maps(self) -> np.ndarray:
        """(2, 16, 224, 224) float32 values by primitive, orientation, pixel; NaN where none.

        A pixel has the value of its best opening.
        """
        maps = np.full((2, ROTATIONS, CELLS, CELLS), -np.inf, np.float32)
        where = (self.primitive, self.rotation, self.row, self.col)
        np.maximum.at(maps, where, self.value.astype(np.float32))
        grasps = maps[Primitive.GRASP]
        twins = np.maximum(grasps[:HALF], grasps[HALF:])
        maps[Primitive.GRASP] = np.concatenate([twins, twins])
        maps[np.isneginf(maps)] = np.nan
        return maps

    def smoothed(self) -> np.ndarray:
        """(N,) each value's mean with those beside it: next pixels, next orientations.

        An arm is not precise, and of many values the largest is one that is too
        large: an action is worth more where those around it are worth something,
        too. Beside an action are those of its primitive and opening on its lattice, up
        to 26; what was not judged does not count.
        """
        result = np.array(self.value, float)
        # Counted, not sorted: of some ten thousand small numbers that takes a tenth of the time.
        lattices = int(self.lattice.max(initial=0)) + 1
        kinds = (self.opening * lattices + self.lattice) * len(Primitive) + self.primitive
        for kind in np.flatnonzero(np.bincount(kinds)):
            mine = np.flatnonzero(kinds == kind)
            grasp = kind % len(Primitive) == Primitive.GRASP
            period = HALF if grasp else ROTATIONS
            result[mine] = _beside(
                self.rotation[mine] % period,
                self.row[mine],
                self.col[mine],
                result[mine],
                period,
            )
        return result

    @staticmethod
    def join(parts: Sequence[Scored]) -> Scored:
        """All of several."""
        names = [each.name for each in fields(Scored)]
        return Scored(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))

    @staticmethod
    def none() -> Scored:
        """Of nothing."""
        empty = np.zeros(0, int)
        return Scored(empty, empty, empty, empty, empty, np.zeros(0))


def _beside(
    rotation: np.ndarray, row: np.ndarray, col: np.ndarray, value: np.ndarray, period: int
) -> np.ndarray:
    """(N,) means over neighbours on the lattice that the pixels lie on."""
    steps = [np.diff(np.flatnonzero(np.bincount(cells))) for cells in (row, col)]
    stride = int(min((s.min() for s in steps if len(s)), default=1))
    place = (rotation, (row - row.min()) // stride, (col - col.min()) // stride)
    shape = (period, int(place[1].max()) + 1, int(place[2].max()) + 1)
    flat, size = np.ravel_multi_index(place, shape), int(np.prod(shape))
    total = np.bincount(flat, value, size).reshape(shape)
    count = np.bincount(flat, minlength=size).astype(float).reshape(shape)
    modes = ("wrap", "constant", "constant")
    for array in (total, count):
        uniform_filter(array, 3, output=array, mode=modes)
    return total[place] / count[place]


@dataclass(frozen=True, eq=False)
class Example:
    """One tried action as a network learns from it.

    Attributes:
        primitive: Of the action.
        angle: World angle of the action [rad].
        opening: Index of the grasp's opening.
        image: What the network asks for around the action, or of the whole state.
        numbers: Further numbers that it asks for.
    """

    primitive: Primitive
    angle: float
    opening: int
    image: dict[str, np.ndarray]
    numbers: dict[str, float] = field(default_factory=dict)


class PixelNetwork(nn.Module):
    """Base of the networks.

    Attributes:
        name: In the registry.
        widths: Openings of a grasp that it tells apart [m].
        inputs: One of :data:`INPUTS`.
        motions: Heights and strokes of the gripper.
        workspace: What the heightmap covers.
    """

    name = ""

    def __init__(
        self, motions: Motions, workspace: Workspace, widths: Sequence[float], inputs: str
    ):
        """Bind it to a gripper and a workspace.

        Raises:
            UnknownName: If ``inputs`` is none of :data:`INPUTS`.
            InvalidConfig: If an opening is beyond the gripper's stroke.
        """
        super().__init__()
        if inputs not in INPUTS:
            raise UnknownName("set of inputs", inputs, INPUTS)
        gripper = motions.fingers.gripper
        if not widths or not all(
            gripper.width_min < w <= gripper.width_max + 1e-6 for w in widths
        ):
            raise InvalidConfig(
                f"openings {list(widths)} must be one or more within the stroke of "
                f"{gripper.name}: more than {gripper.width_min} m, at most {gripper.width_max} m"
            )
        self.motions, self.workspace = motions, workspace
        self.widths, self.inputs = tuple(map(float, widths)), inputs

    def evaluate(
        self,
        state: State,
        primitives: Sequence[Primitive],
        within: np.ndarray | None = None,
    ) -> Scored:
        """Judge the actions of a state that are worth it.

        Args:
            state: What is seen.
            primitives: Which.
            within: (224, 224) bool; only pixels set in it, where given.

        Returns:
            Raw outputs as values: log-odds or values, as the loss has it.
        """
        raise NotImplementedError

    def example(
        self, state: State, primitive: Primitive, angle: float, row: int, col: int, opening: int
    ) -> Example:
        """What :meth:`values` needs of a tried action, small enough to keep thousands of."""
        raise NotImplementedError

    def values(self, examples: Sequence[Example], vary: bool = False) -> Tensor:
        """(B,) raw outputs at the tried pixels, for learning; or (B, K) that should all be right.

        Args:
            examples: Tried actions.
            vary: Whether they may be shown a little shifted, turned, and noisy.
        """
        raise NotImplementedError


def _window(*bound: Any, **parameters: Any) -> PixelNetwork:
    from selfgrasp_nodes.policies.pixelq.window_network import WindowNetwork

    return WindowNetwork(*bound, **parameters)


def _densenet(*bound: Any, **parameters: Any) -> PixelNetwork:
    from selfgrasp_nodes.policies.pixelq.reference import ReferenceNetwork

    return ReferenceNetwork(*bound, **parameters)


NETWORKS: dict[str, Callable[..., PixelNetwork]] = {"window": _window, "densenet": _densenet}


def make_network(
    motions: Motions,
    workspace: Workspace,
    name: str,
    widths: Sequence[float],
    inputs: str = "rgbd",
    **parameters: Any,
) -> PixelNetwork:
    """A network by name.

    Raises:
        UnknownName: If there is none.
        InvalidConfig: If a parameter is unknown or wrong.
    """
    if name not in NETWORKS:
        raise UnknownName("network of pixel values", name, NETWORKS)
    try:
        return NETWORKS[name](motions, workspace, widths, inputs, **parameters)
    except TypeError as error:
        raise InvalidConfig(f"parameters of network {name!r}: {error}") from error
