"""Collision checks of the whole cell with coal, through Pinocchio.

Obstacles: the table (the half-space below the world's z = 0, as a box), the
bin's floor and walls, what the heightmap shows (a height field), and, while
something is carried, a cube below the fingers that stands for it.
"""

from __future__ import annotations

from enum import Enum

import coal
import numpy as np
import pinocchio

from selfgrasp_nodes.motion.model import RobotModel
from selfgrasp_nodes.motion.obstacles import height_field, pooled
from selfgrasp_nodes.robots import ArmSpec, BinSpec
from selfgrasp_nodes.robots.gripper import tcp_distance
from selfgrasp_nodes.types import Heightmap

TABLE = "table"
OBJECTS = "objects on the table"
PAYLOAD = "carried object"
_WALL = 0.008  # thickness of the bin's walls and floor [m]
_TABLE_THICKNESS = 0.5
_TABLE_EXTENT = 4.0
_SKIN = 0.001  # the table's box begins this much below its top [m]


class Contact(Enum):
    """What the hand may touch.

    FREE: nothing. TOUCH: the objects on the table (to grasp or push them).
    CARRY: nothing, with an object below the fingers. ESCAPE: the objects, with
    the whole arm; only for ways out of them, see :meth:`CollisionChecker.among`.
    """

    FREE = "free"
    TOUCH = "touch"
    CARRY = "carry"
    ESCAPE = "escape"


class CollisionChecker:
    """Is a configuration of the cell free of collisions?"""

    def __init__(self, robot: RobotModel, obstacle_cell: float = 0.01, payload: float = 0.05):
        """Add the fixed obstacles to the robot's shapes.

        Args:
            robot: The cell; its shapes are copied.
            obstacle_cell: Cell of the height field [m].
            payload: Edge of the cube that stands for a carried object [m].
        """
        self._robot = robot
        self._model = robot.model
        self._data = self._model.createData()
        self._cell = obstacle_cell
        self._shapes = robot.shapes.copy()
        for shape in self._shapes.geometryObjects:
            _make_convex(shape)
        self._links = range(len(self._shapes.geometryObjects))
        self._extents = {a.name: self._own_extents(a) for a in robot.robot.arms}
        self._hands = {a.name: robot.subtree(robot.arm_joint_ids(a)[-1]) for a in robot.robot.arms}
        self._skip = kept_apart(robot)
        self._payloads = {a.name: self._add_payload(a, payload) for a in robot.robot.arms}
        self._self_pairs()
        self._add_table()
        self._add_bins()
        self._objects = self._add_height_field()
        self._drop_resting_contacts()
        # Pairs that do not matter, by arm and by what its hand may touch.
        self._idle = {
            (arm.name, mode): self._idle_pairs(arm, mode)
            for arm in robot.robot.arms
            for mode in Contact
        }
        self._modes: dict[tuple[str, Contact], pinocchio.GeometryData] = {}

    def set_heightmap(self, heightmap: Heightmap | None) -> None:
        """Take what a heightmap shows as obstacles; None for an empty table."""
        shape = self._shapes.geometryObjects[self._objects]
        workspace = self._robot.robot.workspace.workspace
        if heightmap is None:
            shape.geometry = height_field(workspace, np.zeros((2, 2)))
        else:
            workspace = heightmap.workspace
            shape.geometry = height_field(workspace, pooled(heightmap, self._cell))
        placement = np.eye(4)
        placement[:2, 3] = workspace.center
        shape.placement = self._in_base(placement)
        self._modes.clear()  # they refer to the geometry that was replaced

    def collides(self, q: np.ndarray, arm: ArmSpec, contact: Contact = Contact.FREE) -> bool:
        """Whether a configuration of the whole cell collides.

        Args:
            q: Configuration vector of the whole model.
            arm: The arm that moves.
            contact: What its hand may touch.
        """
        data = self._data_for(arm, contact)
        return bool(
            pinocchio.computeCollisions(self._model, self._data, self._shapes, data, q, True)
        )

    def culprits(
        self, q: np.ndarray, arm: ArmSpec, contact: Contact = Contact.FREE
    ) -> list[tuple[str, str]]:
        """Names of the shapes that collide, for messages."""
        data = self._data_for(arm, contact)
        pinocchio.computeCollisions(self._model, self._data, self._shapes, data, q, False)
        shapes = self._shapes.geometryObjects
        return [
            (_plain(shapes[pair.first].name), _plain(shapes[pair.second].name))
            for index, pair in enumerate(self._shapes.collisionPairs)
            if data.activeCollisionPairs[index] and data.collisionResults[index].isCollision()
        ]

    def among(self, q: np.ndarray, arm: ArmSpec) -> frozenset[str]:
        """Names of the arm's shapes that stand among the objects on the table."""
        pairs = self.culprits(q, arm, Contact.FREE)
        return frozenset(first for first, second in pairs if second == OBJECTS)

    def boxes(self, q: np.ndarray, arm: ArmSpec) -> tuple[np.ndarray, np.ndarray]:
        """Axis-aligned boxes round the arm's links in the world frame.

        Returns:
            Lower and upper corners, (N, 3) each [m].
        """
        data = self._data_for(arm, Contact.FREE)
        pinocchio.updateGeometryPlacements(self._model, self._data, self._shapes, data, q)
        links, centre, half = self._extents[arm.name]
        placements = [data.oMg[link] for link in links]
        turns = self._robot.world_T_base[:3, :3] @ np.array([p.rotation for p in placements])
        origins = (
            np.array([p.translation for p in placements]) @ self._robot.world_T_base[:3, :3].T
        )
        middle = (turns @ centre[..., None])[..., 0] + origins + self._robot.world_T_base[:3, 3]
        reach = (np.abs(turns) @ half[..., None])[..., 0]
        return middle - reach, middle + reach

    def fixed_boxes(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Table and bins: name, extents (3,) [m] and world_T_box (4 x 4) of each box."""
        payloads = set(self._payloads.values())
        found = []
        for index, shape in enumerate(self._shapes.geometryObjects):
            if index not in self._links and index not in payloads and index != self._objects:
                place = self._robot.world_T_base @ shape.placement.homogeneous
                found.append((shape.name, 2 * shape.geometry.halfSide, place))
        return found

    def _own_extents(self, arm: ArmSpec) -> tuple[list[int], np.ndarray, np.ndarray]:
        """The arm's shapes from its second joint outwards: ids, local centres and half sizes."""
        joints = self._robot.subtree(self._robot.arm_joint_ids(arm)[1])
        shapes = self._shapes.geometryObjects
        links = [i for i in self._links if shapes[i].parentJoint in joints]
        boxes = [shapes[i].geometry.aabb_local for i in links]
        low = np.array([box.min_ for box in boxes])
        high = np.array([box.max_ for box in boxes])
        return links, (low + high) / 2, (high - low) / 2

    def _in_base(self, world_T_shape: np.ndarray) -> pinocchio.SE3:
        return pinocchio.SE3(self._robot.world_T_base).inverse() * pinocchio.SE3(world_T_shape)

    def _add(self, name: str, geometry: coal.CollisionGeometry, world_T_shape: np.ndarray) -> int:
        geometry.computeLocalAABB()
        shape = pinocchio.GeometryObject(name, 0, 0, self._in_base(world_T_shape), geometry)
        return self._shapes.addGeometryObject(shape)

    def _add_box(self, name: str, size: tuple[float, float, float], centre: np.ndarray) -> int:
        placement = np.eye(4)
        placement[:3, 3] = centre
        return self._add(name, coal.Box(*size), placement)

    def _add_payload(self, arm: ArmSpec, edge: float) -> int:
        """A cube whose top is at the fingertips of the closed hand's TCP."""
        frame = self._model.frames[self._model.getFrameId(arm.tip_link)]
        centre = np.array([0, 0, tcp_distance(arm.gripper, arm.gripper.width_min) + edge / 2])
        placement = frame.placement * pinocchio.SE3(np.eye(3), centre)
        box = coal.Box(edge, edge, max(edge, 1e-4))
        box.computeLocalAABB()
        name = f"{PAYLOAD} of {arm.name}"
        shape = pinocchio.GeometryObject(name, frame.parentJoint, 0, placement, box)
        return self._shapes.addGeometryObject(shape)

    def _self_pairs(self) -> None:
        for first in self._links:
            for second in range(first + 1, len(self._links)):
                joints = frozenset(
                    (
                        self._shapes.geometryObjects[first].parentJoint,
                        self._shapes.geometryObjects[second].parentJoint,
                    )
                )
                if len(joints) == 2 and joints not in self._skip:
                    self._shapes.addCollisionPair(pinocchio.CollisionPair(first, second))

    def _pair_with_arms(self, obstacle: int) -> None:
        """Pair an obstacle with every arm from its second joint outwards."""
        for arm in self._robot.robot.arms:
            joints = self._robot.subtree(self._robot.arm_joint_ids(arm)[1])
            for index in [*self._links, self._payloads[arm.name]]:
                if self._shapes.geometryObjects[index].parentJoint in joints:
                    self._shapes.addCollisionPair(pinocchio.CollisionPair(index, obstacle))

    def _add_table(self) -> None:
        x, y = self._robot.robot.workspace.center
        self._pair_with_arms(
            self._add_box(
                TABLE,
                (_TABLE_EXTENT, _TABLE_EXTENT, _TABLE_THICKNESS),
                np.array([x, y, -_TABLE_THICKNESS / 2 - _SKIN]),
            )
        )

    def _add_bins(self) -> None:
        for number, spec in enumerate(self._robot.robot.bins):
            self._add_bin(f"bin {number}" if number else "bin", spec)

    def _add_bin(self, label: str, spec: BinSpec) -> None:
        (x, y), (sx, sy, height), z = spec.center, spec.size, spec.floor
        ox, oy, middle = (sx + _WALL) / 2, (sy + _WALL) / 2, z + height / 2
        walls = {
            f"{label} floor": ((sx, sy, _WALL), (x, y, z - _WALL / 2)),
            f"{label} wall +x": ((_WALL, sy + 2 * _WALL, height), (x + ox, y, middle)),
            f"{label} wall -x": ((_WALL, sy + 2 * _WALL, height), (x - ox, y, middle)),
            f"{label} wall +y": ((sx, _WALL, height), (x, y + oy, middle)),
            f"{label} wall -y": ((sx, _WALL, height), (x, y - oy, middle)),
        }
        for name, (size, centre) in walls.items():
            self._pair_with_arms(self._add_box(name, size, np.array(centre)))

    def _add_height_field(self) -> int:
        workspace = self._robot.robot.workspace.workspace
        placement = np.eye(4)
        placement[:2, 3] = workspace.center
        index = self._add(OBJECTS, height_field(workspace, np.zeros((2, 2))), placement)
        self._pair_with_arms(index)
        return index

    def _drop_resting_contacts(self) -> None:
        """Leave out pairs of the robot's own shapes that touch both at home and ready."""
        home, ready = self._robot.neutral(), self._robot.neutral()
        for arm in self._robot.robot.arms:
            ready[self._robot.indices(arm.joints)] = arm.ready
        data, own = self._shapes.createData(), len(self._links)
        # Copies: the list's own elements shift when one is removed.
        pairs = [(p.first, p.second) for p in self._shapes.collisionPairs]
        touching = np.ones(len(pairs), bool)
        for q in (home, ready):
            pinocchio.computeCollisions(self._model, self._data, self._shapes, data, q, False)
            touching &= [r.isCollision() for r in data.collisionResults]
        for pair, drop in zip(pairs, touching, strict=True):
            if drop and max(pair) < own:
                self._shapes.removeCollisionPair(pinocchio.CollisionPair(*pair))

    def _data_for(self, arm: ArmSpec, contact: Contact) -> pinocchio.GeometryData:
        """Geometry data in which only the pairs that matter are active; made when needed."""
        key = (arm.name, contact)
        if key not in self._modes:
            data = self._shapes.createData()
            for index in self._idle[key]:
                data.deactivateCollisionPair(index)
            self._modes[key] = data
        return self._modes[key]

    def _idle_pairs(self, arm: ArmSpec, contact: Contact) -> list[int]:
        """Pairs that do not matter while an arm moves."""
        payloads = set(self._payloads.values())
        moving = self._robot.subtree(self._robot.arm_joint_ids(arm)[0])
        joints = [int(shape.parentJoint) for shape in self._shapes.geometryObjects]
        idle = []
        for index, pair in enumerate(self._shapes.collisionPairs):
            first, second = pair.first, pair.second
            matters = joints[first] in moving or joints[second] in moving
            if first in payloads:
                carried = first == self._payloads[arm.name] and contact is Contact.CARRY
                matters = matters and carried
            elif contact is Contact.TOUCH and second == self._objects:
                matters = matters and joints[first] not in self._hands[arm.name]
            elif contact is Contact.ESCAPE and second == self._objects:
                matters = False
            if not matters:
                idle.append(index)
        return idle


def _make_convex(shape: pinocchio.GeometryObject) -> None:
    """Replace a mesh by its convex hull, with which checks are many times quicker."""
    if isinstance(shape.geometry, coal.BVHModelBase):
        shape.geometry.buildConvexRepresentation(False)
        shape.geometry = shape.geometry.convex
    shape.geometry.computeLocalAABB()


def kept_apart(robot: RobotModel) -> set[frozenset[int]]:
    """Pairs of joints whose links touch by construction, or are kept apart by it.

    Neighbours; next neighbours where the joint between them cannot fold them
    together (it turns by less than pi either way), as simple shapes would seem to
    touch there; and all of a hand.
    """
    model, pairs = robot.model, set()
    low, high = model.lowerPositionLimit, model.upperPositionLimit
    for joint in range(1, model.njoints):
        parent = int(model.parents[joint])
        pairs.add(frozenset((joint, parent)))
        between = model.joints[parent].idx_q
        if parent > 0 and low[between] > -np.pi + 0.01 and high[between] < np.pi - 0.01:
            pairs.add(frozenset((joint, int(model.parents[parent]))))
    for arm in robot.robot.arms:
        hand = robot.subtree(robot.arm_joint_ids(arm)[-1])
        pairs |= {frozenset((a, b)) for a in hand for b in hand if a != b}
    return pairs


def _plain(name: str) -> str:
    return name.removesuffix("_0").replace("_", " ")
