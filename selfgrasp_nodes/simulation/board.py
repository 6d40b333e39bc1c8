"""A calibration board in the simulated cell: a printed sheet on a link, or on the table."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_poses import held_by_edge, lying
from selfgrasp_nodes.robots import RobotSpec

_THICKNESS = 0.003
_PIXELS = 64  # of the texture, a square


@dataclass(frozen=True)
class BoardFixture:
    """A board fixed to something.

    It is drawn and weighs nothing, and nothing touches it: a fixture that a hand
    holds without slipping.

    Attributes:
        board: What is printed.
        link: Link of the URDF that carries it; the world where empty.
        link_T_board: Pose of the board's frame, 4 x 4.
    """

    board: Board
    link: str
    link_T_board: np.ndarray


def board_fixture(robot: RobotSpec, text: str) -> BoardFixture:
    """A board in an arm's fingers or on the table, not quite as straight as one would wish.

    Args:
        robot: The cell.
        text: ``BOARD@ARM`` or ``BOARD@table``; see :meth:`Board.parse`.

    Raises:
        InvalidConfig: If the text has another form.
        UnknownName: If there is no such arm.
    """
    what, _, where = text.partition("@")
    if not where:
        raise InvalidConfig(
            f"board {text!r}: expected BOARD@ARM or BOARD@table, e.g. charuco:7x5:0.024@"
            f"{robot.arms[0].name}"
        )
    board = Board.parse(what)
    crooked = geometry.transform((0.004, -0.003, 0.001), (0.03, -0.02, 0.05))
    if where == "table":
        middle = robot.workspace.center
        return BoardFixture(board, "", lying(middle, 0.006) @ crooked)
    arm = robot.arm(where)
    return BoardFixture(board, arm.tip_link, held_by_edge(board, arm.gripper.tcp_closed) @ crooked)


def add_board(spec: mujoco.MjSpec, fixture: BoardFixture, name: str = "board") -> None:
    """Add a board to a model under construction."""
    width, height = fixture.board.sheet
    x, y, z = width / 2, height / 2, _THICKNESS
    # The print is the face at z = 0, seen from -z; the four others close the sheet behind it.
    front = [[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]]
    back = [[px, py, z] for px, py, _ in front]
    picture = [[0, 0], [1, 0], [1, 1], [0, 1]]
    white = [[0.001, 0.001]] * 8
    vertices = np.array([*front, *front, *back], float)
    faces = [[0, 2, 1], [0, 3, 2], [8, 9, 10], [8, 10, 11]]
    for i in range(4):
        j = (i + 1) % 4
        faces += [[4 + i, 4 + j, 8 + j], [4 + i, 8 + j, 8 + i]]
    image = fixture.board.image(_PIXELS)
    texture = spec.add_texture(
        name=f"{name}_print",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=image.shape[1],
        height=image.shape[0],
        nchannel=3,
    )
    texture.data = np.repeat(image[..., None], 3, axis=-1).tobytes()
    material = spec.add_material(name=f"{name}_paper", specular=0.0, shininess=0.0)
    textures = material.textures
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{name}_print"
    material.textures = textures
    spec.add_mesh(
        name=name,
        uservert=vertices.ravel(),
        userface=np.array(faces, int).ravel(),
        usertexcoord=np.array([*picture, *white], float).ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    body = spec.body(fixture.link) if fixture.link else spec.worldbody
    pose = fixture.link_T_board
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=f"{name}_paper",
        pos=pose[:3, 3].copy(),
        quat=geometry.quaternion(pose),
        contype=0,
        conaffinity=0,
        mass=0.0,
    )
