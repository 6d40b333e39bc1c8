"""Actions as pixels: (primitive, rotation, row, column) <-> poses in the world.

Zeng and others (2018), section III-B: the heightmap is shown in 16 orientations,
22.5 degrees apart, and each of its pixels is an action of each primitive. A
grasp's fingers close along the orientation's angle, a push's stroke points along
it. A grasp turned by half a turn is the same grasp, so that orientations k and
k + 8 share one pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from selfgrasp_nodes.geometry import (
    grasp_angle,
    grasp_pose,
    pixel_to_point,
    point_to_pixel,
    push_angle,
    push_pose,
    wrap_grasp,
    wrap_push,
)
from selfgrasp_nodes.policies.fingers import Fingers
from selfgrasp_nodes.policies.pixelq.state import State
from selfgrasp_nodes.policies.push_heuristic import stroke_inside
from selfgrasp_nodes.types import Candidate, Primitive, Workspace

ROTATIONS = 16
STEP = 2 * np.pi / ROTATIONS
HALF = ROTATIONS // 2


class Pixel(NamedTuple):
    """An action as a pixel.

    Attributes:
        primitive: Grasp or push.
        rotation: Orientation, 0..15.
        row: Of the heightmap (along y).
        col: Of the heightmap (along x).
    """

    primitive: Primitive
    rotation: int
    row: int
    col: int


def rotation_angle(primitive: Primitive, rotation: int) -> float:
    """World angle of an orientation [rad]: [0, pi) for grasps, [0, 2 pi) for pushes."""
    angle = STEP * (rotation % ROTATIONS)
    return wrap_grasp(angle) if primitive is Primitive.GRASP else wrap_push(angle)


def angle_rotation(primitive: Primitive, angle: float) -> int:
    """The orientation nearest to a world angle: 0..7 for grasps, 0..15 for pushes."""
    period = HALF if primitive is Primitive.GRASP else ROTATIONS
    return int(np.floor(angle / STEP + 0.5)) % period


def pixel_to_pose(workspace: Workspace, pixel: Pixel, z: float) -> np.ndarray:
    """world_T_tcp of an action at a height.

    Args:
        workspace: What the heightmap covers.
        pixel: The action.
        z: World z of the TCP [m].

    Returns:
        4 x 4, at the middle of the pixel.
    """
    x, y = pixel_to_point(workspace, pixel.row, pixel.col)
    angle = rotation_angle(pixel.primitive, pixel.rotation)
    make = grasp_pose if pixel.primitive is Primitive.GRASP else push_pose
    return make(float(x), float(y), z, angle)


def pose_to_pixel(workspace: Workspace, primitive: Primitive, pose: np.ndarray) -> Pixel:
    """The action nearest to a top-down pose; inverse of :func:`pixel_to_pose`.

    Grasps come back in orientations 0..7. The pixel may lie outside the map:
    see ``Workspace.contains``.
    """
    row, col = point_to_pixel(workspace, pose[0, 3], pose[1, 3])
    angle = grasp_angle(pose) if primitive is Primitive.GRASP else push_angle(pose)
    return Pixel(primitive, angle_rotation(primitive, angle), int(row), int(col))


@dataclass(frozen=True)
class Strokes:
    """How pixels become motions; lengths in metres.

    Attributes:
        depth: TCP of a grasp below the surface point (section V: 3 cm).
        table_clearance: Least height of the fingertips over the table.
        push_above: TCP of a push above the highest point under the fingers.
        push_length: Of a stroke, less where the workspace ends (10 cm).
        push_border: A stroke ends so far inside the workspace.
        push_min_length: Shorter strokes are not considered.
        push_room: What a stroke moves ahead of the fingers must end so far inside the
            workspace; negative: not asked for.
        force: Share of the gripper's largest force, 0..1.
    """

    depth: float = 0.03
    table_clearance: float = 0.003
    push_above: float = 0.026
    push_length: float = 0.10
    push_border: float = 0.0
    push_min_length: float = 0.04
    push_room: float = -1.0
    force: float = 1.0


class Motions:
    """Heights, strokes and candidates of pixels, for one gripper.

    Attributes:
        fingers: Where its fingers are.
        strokes: The parameters.
    """

    def __init__(self, fingers: Fingers, strokes: Strokes):
        """Bind parameters to a gripper."""
        self.fingers, self.strokes = fingers, strokes

    def grasp_z(
        self, surface: np.ndarray, width: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heights of grasps.

        Args:
            surface: (N,) height under the pixel [m].
            width: Opening before the fingers close [m].

        Returns:
            (N,) world z of the TCP; (N,) world z of the fingertips [m].
        """
        s = self.strokes
        z = self.fingers.table_safe(surface - s.depth, width, s.table_clearance)
        return z, z - self.fingers.gripper.pad_length / 2

    def push_z(self, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights of pushes above what lies under the fingers (N,); as :meth:`grasp_z`."""
        s, closed = self.strokes, self.fingers.gripper.width_min
        z = self.fingers.table_safe(base + s.push_above, closed, s.table_clearance)
        return z, z - self.fingers.gripper.pad_length / 2

    def push_lengths(
        self, workspace: Workspace, x: np.ndarray, y: np.ndarray, angle: np.ndarray
    ) -> np.ndarray:
        """(N,) lengths of strokes that stay in the workspace [m]; see ``stroke_inside``."""
        s = self.strokes
        return stroke_inside(workspace, x, y, angle, s.push_length, s.push_border)

    def candidate(
        self, workspace: Workspace, state: State, pixel: Pixel, width: float, score: float
    ) -> Candidate:
        """An action as the motion primitives take it.

        Args:
            workspace: What the heightmap covers.
            state: The heightmap.
            pixel: The action.
            width: Opening of a grasp [m]; a push closes the fingers.
            score: Of the policy.
        """
        at = np.array([pixel.row]), np.array([pixel.col])
        angle = rotation_angle(pixel.primitive, pixel.rotation)
        gripper = self.fingers.gripper
        length = 0.0
        if pixel.primitive is Primitive.GRASP:
            z, _ = self.grasp_z(state.height[at], width)
        else:
            z, _ = self.push_z(state.base[at])
            x, y = pixel_to_point(workspace, *at).T
            length = float(self.push_lengths(workspace, x, y, np.array([angle]))[0])
            width = gripper.width_min
        return Candidate(
            pixel.primitive,
            pixel_to_pose(workspace, pixel, float(z[0])),
            angle,
            width=width,
            max_force=self.strokes.force * gripper.force_max,
            push_length=length,
            score=score,
            pixel=(pixel.col, pixel.row),
            rotation_index=pixel.rotation,
        )
