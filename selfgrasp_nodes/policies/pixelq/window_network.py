"""The default network: a small one that looks at windows, only where something stands.

Grasps are judged on a lattice over the objects: 4 mm, or where much stands there a
coarser one, and then 4 mm about the best of it. Pushes are judged on one of 1 cm around
them; the other pixels are table, and no action there is worth a thought. One window
of heights above the fingertips, of what is hidden, and of how much the colour differs
from that under the hand, is weighed with weights that repeat themselves, or change
sign, where the window is mirrored. Absolute values of such sums make the value exactly
invariant to what changes nothing for the hand (for a grasp half a turn and both
mirrorings, for a push the mirroring across its stroke), up to the rounding of its
points to cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from selfgrasp_nodes.policies.pixelq import push_room, windows
from selfgrasp_nodes.policies.pixelq.actions import HALF, ROTATIONS, Motions
from selfgrasp_nodes.policies.pixelq.branch import STEPPED, UNIT, Branch
from selfgrasp_nodes.policies.pixelq.networks import Example, PixelNetwork, Scored
from selfgrasp_nodes.policies.pixelq.picture import Picture
from selfgrasp_nodes.policies.pixelq.state import CELLS, State
from selfgrasp_nodes.policies.pixelq.underneath import EXTRAS, SEEN_EXTRAS, Underneath
from selfgrasp_nodes.types import Primitive, Workspace

MARGIN = 4
"""Cells around a crop that a varied window may reach."""

STRIDES = (2, 4, 6, 8)
"""Of the grasps' lattice, in cells: the first that is coarse enough."""

PUSH_STRIDE = 5
"""Of the pushes' lattice, in cells."""


class WindowNetwork(PixelNetwork):
    """See the module."""

    name = "window"

    def __init__(
        self,
        motions: Motions,
        workspace: Workspace,
        widths: Sequence[float],
        inputs: str = "rgbd",
        filters: int = 24,
        hidden: int = 64,
        dropout: float = 0.1,
        most_cells: int = 1200,
        jitter: tuple[float, float, float] = (0.0015, 0.05, 0.001),
        start: tuple[float, float] = (0.0, 0.0),
    ):
        """Build it.

        Args:
            motions: See :class:`PixelNetwork`.
            workspace: Likewise.
            widths: Likewise.
            inputs: Likewise.
            filters: Linear functions of each part of a window.
            hidden: Of the layer after them.
            dropout: Before the output.
            most_cells: The lattice of grasps is 4 mm fine, or as coarse as it must be so
                that it has no more cells than this on the objects; about its best
                cells half as many are judged on the fine one.
            jitter: While learning, standard deviations of the window's shift [m],
                turn [rad], and of a common height [m].
            start: About what an untrained network says of grasps and of pushes.
        """
        super().__init__(motions, workspace, widths, inputs)
        self.most_cells, self.jitter = most_cells, jitter
        self.grasp = Branch(
            meshes={"height": (26, 10, 0.0058), "unknown": (14, 6, 0.01), "color": (12, 6, 0.007)},
            start=None,
            axes=(-2, -1),
            inputs=inputs,
            extras=EXTRAS + len(widths) + (0 if inputs == "rgb" else SEEN_EXTRAS),
            filters=filters,
            hidden=hidden,
            dropout=dropout,
        )
        self.push = Branch(
            meshes={
                "height": (26, 12, 0.008),
                "unknown": (14, 6, 0.016),
                "color": (26, 12, 0.008),
            },
            start=-0.04,
            axes=(-1,),
            inputs=inputs,
            extras=4,
            filters=filters,
            hidden=hidden,
            dropout=dropout,
        )
        for branch, value in zip((self.grasp, self.push), start, strict=True):
            torch.nn.init.constant_(branch.last.bias, value)
        self.under = Underneath(motions, self.grasp, self.widths)

    def evaluate(
        self,
        state: State,
        primitives: Sequence[Primitive],
        within: np.ndarray | None = None,
    ) -> Scored:
        """See :meth:`PixelNetwork.evaluate`."""
        found = []
        with torch.inference_mode():
            picture = Picture(state, max(self.grasp.reach, self.push.reach) + MARGIN)
            if Primitive.GRASP in primitives:
                found.append(self._evaluate_grasps(state, picture, within))
            if Primitive.PUSH in primitives:
                found.append(self._evaluate_pushes(state, picture, within))
        return Scored.join(found) if found else Scored.none()

    def example(
        self, state: State, primitive: Primitive, angle: float, row: int, col: int, opening: int
    ) -> Example:
        """See :meth:`PixelNetwork.example`."""
        branch = self._branch(primitive)
        reach = branch.reach + MARGIN
        coded = windows.crop(windows.codes(state), row, col, reach, windows.UNKNOWN)
        image = branch.image(coded, windows.crop(state.color, row, col, reach, 0))
        surface = state.height if primitive is Primitive.GRASP else state.base
        numbers = {"surface": float(surface[row, col])}
        if primitive is Primitive.PUSH:
            room = push_room.room(
                self.motions, self.workspace, np.array([row]), np.array([col]), np.array([angle])
            )
            numbers |= {f"room{i}": float(v) for i, v in enumerate(room[0])}
        return Example(primitive, angle, opening, image, numbers)

    def values(self, examples: Sequence[Example], vary: bool = False) -> Tensor:
        """See :meth:`PixelNetwork.values`; the order is that of the examples."""
        result = torch.zeros(len(examples))
        for primitive in Primitive:
            mine = [i for i, e in enumerate(examples) if e.primitive is primitive]
            if mine:
                part = self._values(primitive, [examples[i] for i in mine], vary)
                result = result.index_copy(0, torch.tensor(mine), part)
        return result

    def _branch(self, primitive: Primitive) -> Branch:
        return self.grasp if primitive is Primitive.GRASP else self.push

    def _values(self, primitive: Primitive, examples: list[Example], vary: bool) -> Tensor:
        branch = self._branch(primitive)
        angle = torch.tensor([e.angle for e in examples], dtype=torch.float32)
        surface = torch.tensor([e.numbers["surface"] for e in examples], dtype=torch.float32)
        shift, lift = torch.zeros(len(examples), 2), torch.zeros(len(examples))
        if vary:
            by, turn, rise = self.jitter
            shift = by * torch.randn(len(examples), 2)
            angle = angle + turn * torch.randn(len(examples))
            lift = rise * torch.randn(len(examples))
        size = examples[0].image[branch.used[0]].shape[0]
        batch = torch.arange(len(examples))[:, None]
        sampled, images = {}, {}
        for name in branch.used:
            images[name] = torch.from_numpy(np.stack([e.image[name] for e in examples]))
            at = windows.offsets(branch.points(name), angle, shift).round().long() + size // 2
            at = at.clamp(0, size - 1)
            sampled[name] = images[name][batch, at[..., 0], at[..., 1]].float()
        if "height" in sampled:
            sampled["height"] = sampled["height"] + lift[:, None]
        middle = None
        if "color" in branch.used:
            sampled["color"] = sampled["color"].permute(2, 0, 1)
            middle = images["color"][:, size // 2, size // 2].float()
        if primitive is Primitive.PUSH:
            _, tip = self._push_tip(surface)
            room = torch.tensor([[e.numbers[f"room{i}"] for i in range(3)] for e in examples])
            extras = torch.cat([room.float(), self._stands_on(surface)], 1)
            features = branch.features(sampled, tip, middle, branch.whole_weights())
            return branch.value(features, extras)
        features = branch.features(
            sampled, self.under.reference(surface), middle, branch.whole_weights()
        )
        opening = torch.tensor([e.opening for e in examples])
        extras = self.under(sampled, surface, self.under.tips(surface))
        return branch.value(features, extras[torch.arange(len(examples)), opening])

    def _evaluate_grasps(
        self, state: State, picture: Picture, within: np.ndarray | None
    ) -> Scored:
        mask = state.occupied if within is None else state.occupied & within
        for stride in STRIDES:
            rows, cols = np.nonzero(_lattice(stride) & mask)
            if len(rows) <= self.most_cells:
                break
        if not len(rows):
            return Scored.none()
        coarse = self._grasps_at(state, picture, rows, cols)
        if stride == STRIDES[0]:
            return coarse
        # A grasp between neighbours is a matter of millimetres: the best places once more.
        best = np.full((CELLS, CELLS), -np.inf)
        np.maximum.at(best, (coarse.row, coarse.col), coarse.value)
        share = (self.most_cells // 2) * STRIDES[0] ** 2 / stride**2
        chosen = np.argsort(-best[rows, cols], kind="stable")[: int(share)]
        about = np.zeros((CELLS, CELLS), np.uint8)
        about[rows[chosen], cols[chosen]] = 1
        near = cv2.dilate(about, np.ones((stride, stride), np.uint8)).astype(bool)
        rows, cols = np.nonzero(_lattice(STRIDES[0]) & mask & near)
        fine = self._grasps_at(state, picture, rows, cols)
        return Scored.join([replace(coarse, lattice=np.ones(len(coarse), int)), fine])

    def _grasps_at(
        self, state: State, picture: Picture, rows: np.ndarray, cols: np.ndarray
    ) -> Scored:
        """At every orientation and opening."""
        branch = self.grasp
        surface = torch.from_numpy(state.height[rows, cols])
        reference = self.under.reference(surface)
        flat = picture.flat(rows, cols)
        middle, tips = picture.color[flat.long()], self.under.tips(surface)
        weights, values = branch.whole_weights(), []
        for rotation in range(HALF):
            sampled = picture.sample(branch, flat, rotation)
            features = branch.features(sampled, reference, middle, weights)
            extras = self.under(sampled, surface, tips)
            values.append(branch.value(features[:, None], extras))
        value = torch.stack(values).numpy()
        kind, count, openings = HALF, len(rows), len(self.widths)
        index = np.indices((kind, count, openings)).reshape(3, -1)
        zeros = np.full(index.shape[1], Primitive.GRASP, int)
        return Scored(zeros, index[0], rows[index[1]], cols[index[1]], index[2], value.reshape(-1))

    def _evaluate_pushes(
        self, state: State, picture: Picture, within: np.ndarray | None
    ) -> Scored:
        branch = self.push
        near = cv2.dilate(
            state.occupied.astype(np.uint8),
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (61, 61)),
        ).astype(bool)
        if within is not None:
            near &= within
        rows, cols = np.nonzero(_lattice(PUSH_STRIDE) & near)
        if not len(rows):
            return Scored.none()
        surface = torch.from_numpy(state.base[rows, cols])
        _, tip = self._push_tip(surface)
        flat = picture.flat(rows, cols)
        strokes, weights = self.motions.strokes, branch.whole_weights()
        # All that stands ahead of the fingers, and of it what a full stroke passes.
        ahead_of = branch.swept(self.motions, length=1.0).nonzero()[:, 0]
        path = branch.points("height")[ahead_of]
        passed = (path[:, 0] < strokes.push_length).nonzero()[:, 0]
        lattice, found = (rows // PUSH_STRIDE, cols // PUSH_STRIDE), []
        for rotation in range(ROTATIONS):
            length = self._rooms.length[rotation, lattice[0], lattice[1]]
            possible = np.flatnonzero(length >= strokes.push_min_length - 1e-6)
            # What the fingers pass comes first: most of the table has nothing there.
            high = picture.at(branch, ahead_of, flat[possible], rotation)
            ahead = high > tip[possible, None] + STEPPED
            good = ahead.index_select(1, passed).any(1).numpy()
            if strokes.push_room >= 0:
                some = np.flatnonzero(good)
                at = possible[some]
                where = rotation, lattice[0][at], lattice[1][at]
                good[some] = self._rooms.fits(ahead[some], path, where)
            if not good.any():
                continue
            good = possible[good]
            room = self._rooms.room[rotation, lattice[0][good], lattice[1][good]]
            keep = torch.from_numpy(good)
            chosen = picture.sample(branch, flat[keep], rotation)
            extras = [torch.from_numpy(room).float(), self._stands_on(surface[keep])]
            middle = picture.color[flat[keep].long()]
            value = branch.value(
                branch.features(chosen, tip[keep], middle, weights), torch.cat(extras, 1)
            ).numpy()
            ones = np.ones(len(keep), int)
            found.append(
                Scored(
                    ones * Primitive.PUSH, ones * rotation, rows[good], cols[good], ones * 0, value
                )
            )
        return Scored.join(found) if found else Scored.none()

    @cached_property
    def _rooms(self) -> push_room.LatticeRoom:
        """Of all starts of pushes: the same for each state, with the motions of the first one."""
        lines = np.arange(PUSH_STRIDE // 2, CELLS, PUSH_STRIDE)
        return push_room.LatticeRoom(self.motions, self.workspace, lines, lines)

    def _push_tip(self, base: Tensor) -> tuple[Tensor, Tensor]:
        z, tip = self.motions.push_z(base.numpy())
        return torch.from_numpy(z).float(), torch.from_numpy(tip).float()

    def _stands_on(self, base: Tensor) -> Tensor:
        """(B, 1) what a push's fingers are above; nothing where heights are not to be seen."""
        return base[:, None] / UNIT * (self.inputs != "rgb")


def _lattice(stride: int) -> np.ndarray:
    """(224, 224) bool, every so many cells along both axes."""
    mask = np.zeros((CELLS, CELLS), bool)
    mask[stride // 2 :: stride, stride // 2 :: stride] = True
    return mask
