"""A robot cell's world for Gazebo, as SDF: table, bins, the fixed cameras, objects.

Made from the same description and scenes as the embedded world, so that nothing about
the cell is written twice. For Gazebo Harmonic and newer (system names ``gz::sim::...``).
"""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from selfgrasp_nodes import geometry
from selfgrasp_nodes.errors import InvalidScene
from selfgrasp_nodes.robots import BinSpec, CameraSpec, RobotSpec
from selfgrasp_nodes.simulation.scene import TABLE_FRICTION, Scene, SceneObject

Element = ElementTree.Element

WORLD = "selfgrasp"
"""Name of the world."""

SHAPES = ("cube", "brick", "tile", "plank", "cylinder")
"""Kinds of block that Gazebo gets: those that are one of its own solids."""

CAMERA_RATE = 5.0
"""Pictures a second of each camera: software rendering slows the simulation beyond."""

# Naming one plugin in a world replaces the whole default set: all are listed.
_SYSTEMS = {
    "gz-sim-physics-system": "gz::sim::systems::Physics",
    "gz-sim-user-commands-system": "gz::sim::systems::UserCommands",
    "gz-sim-scene-broadcaster-system": "gz::sim::systems::SceneBroadcaster",
    "gz-sim-sensors-system": "gz::sim::systems::Sensors",
    "gz-sim-forcetorque-system": "gz::sim::systems::ForceTorque",
}
# A camera of Gazebo looks along +x with z up, an optical frame along +z with y down.
_OPTICAL_T_SENSOR = np.eye(4)
_OPTICAL_T_SENSOR[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
_WALL = 0.005  # thickness of a bin's walls [m]


def add(parent: Element, path: str, text: object = None, **attributes: str) -> Element:
    """Add nested elements, ``a/b/c``; the last one gets text and attributes."""
    for tag in path.split("/"):
        parent = ElementTree.SubElement(parent, tag)
    parent.attrib.update(attributes)
    if text is not None:
        parent.text = _text(text)
    return parent


def pose_text(matrix: np.ndarray) -> str:
    """A 4 x 4 pose as SDF writes it: x y z roll pitch yaw [m, rad]."""
    r = matrix[:3, :3]
    pitch = np.arctan2(-r[2, 0], np.hypot(r[0, 0], r[1, 0]))
    if np.hypot(r[0, 0], r[1, 0]) < 1e-9:  # straight up or down: roll does what yaw would
        roll, yaw = np.arctan2(-r[1, 2], r[1, 1]), 0.0
    else:
        roll, yaw = np.arctan2(r[2, 1], r[2, 2]), np.arctan2(r[1, 0], r[0, 0])
    return _text([*matrix[:3, 3], roll, pitch, yaw])


def world_sdf(robot: RobotSpec, scene: Scene | None = None, step: float = 0.001) -> str:
    """The world without the robot.

    Args:
        robot: The cell.
        scene: Objects on the table from the start; none where None.
        step: Of the physics [s].

    Raises:
        InvalidScene: If an object is of a kind that Gazebo does not get.
    """
    sdf = Element("sdf", version="1.9")
    world = add(sdf, "world", name=WORLD)
    physics = add(world, "physics", name="physics", type="dart")
    add(physics, "max_step_size", step)
    add(physics, "real_time_factor", 1.0)
    for filename, name in _SYSTEMS.items():
        plugin = add(world, "plugin", filename=filename, name=name)
        if name.endswith("::Sensors"):
            add(plugin, "render_engine", "ogre2")
    light = add(world, "light", name="sun", type="directional")
    add(light, "pose", "0 0 5 0 0 0")
    add(light, "direction", "-0.3 0.2 -1")
    add(light, "cast_shadows", "false")
    for model in _furniture(robot):
        world.append(model)
    for camera in robot.cameras:
        if camera.parent == "world":
            model = _static(camera.name)
            link = add(model, "link", name="link")
            link.append(camera_sensor(camera, np.eye(4)))
            world.append(model)
    if scene is not None:
        for name, obj in zip(scene.names(), scene.objects, strict=True):
            world.append(_object(robot, name, obj))
    return _document(sdf)


def object_sdf(robot: RobotSpec, name: str, obj: SceneObject) -> str:
    """One object as a model file, placed, for Gazebo's ``create``.

    Raises:
        InvalidScene: If it is of a kind that Gazebo does not get.
    """
    sdf = Element("sdf", version="1.9")
    sdf.append(_object(robot, name, obj))
    return _document(sdf)


def camera_sensor(camera: CameraSpec, parent_T_link: np.ndarray) -> Element:
    """An RGB-D sensor of a described camera.

    Args:
        camera: Its description; its namespace is the prefix of its topics.
        parent_T_link: Pose of the link that the sensor is written into, in the frame that
            the camera's pose is given in, 4 x 4.
    """
    sensor = Element("sensor", name=camera.name, type="rgbd_camera")
    pose = geometry.inverse(parent_T_link) @ camera.pose.matrix @ _OPTICAL_T_SENSOR
    add(sensor, "pose", pose_text(pose))
    add(sensor, "topic", camera.namespace)
    add(sensor, "update_rate", CAMERA_RATE)
    add(sensor, "always_on", "true")
    view = add(sensor, "camera")
    add(view, "horizontal_fov", 2 * np.arctan(camera.width / (2 * camera.fx)))
    image = add(view, "image")
    add(image, "width", camera.width)
    add(image, "height", camera.height)
    intrinsics = add(view, "lens/intrinsics")
    for key in ("fx", "fy", "cx", "cy"):
        add(intrinsics, key, getattr(camera, key))
    add(intrinsics, "s", 0)
    clip = add(view, "clip")
    add(clip, "near", 0.05)
    add(clip, "far", 4.0)
    add(view, "optical_frame_id", camera.frame)
    return sensor


def _furniture(robot: RobotSpec) -> list[Element]:
    table = robot.table
    top = _static("table")
    box = (*table.size, table.thickness)
    _solid(add(top, "link", name="link"), "top", box, (*table.center, -table.thickness / 2))
    return [top, *(_bin(f"bin_{i}", spec) for i, spec in enumerate(robot.bins))]


def _bin(name: str, spec: BinSpec) -> Element:
    (x, y), (sx, sy, height), z = spec.center, spec.size, spec.floor + spec.size[2] / 2
    ox, oy = (sx + _WALL) / 2, (sy + _WALL) / 2
    model = _static(name)
    link = add(model, "link", name="link")
    for side, box, centre in (
        ("xp", (_WALL, sy + 2 * _WALL, height), (x + ox, y, z)),
        ("xn", (_WALL, sy + 2 * _WALL, height), (x - ox, y, z)),
        ("yp", (sx, _WALL, height), (x, y + oy, z)),
        ("yn", (sx, _WALL, height), (x, y - oy, z)),
    ):
        _solid(link, side, box, centre)
    return model


def _object(robot: RobotSpec, name: str, obj: SceneObject) -> Element:
    spec = obj.spec
    if spec.shape not in SHAPES:
        raise InvalidScene(
            f"Gazebo gets no {spec.shape!r} from here; valid: {', '.join(sorted(SHAPES))}"
        )
    world_T_center = geometry.transform((*robot.workspace.center, 0))
    model = Element("model", name=name)
    add(model, "pose", pose_text(world_T_center @ obj.pose))
    link = add(model, "link", name="link")
    x, y, z = spec.size
    round_ = spec.shape == "cylinder"
    squares = np.array([y**2 + z**2, x**2 + z**2, x**2 + y**2]) * spec.mass / 12
    if round_:
        side = spec.mass * (3 * (x / 2) ** 2 + z**2) / 12
        squares = np.array([side, side, spec.mass * (x / 2) ** 2 / 2])
    inertial = add(link, "inertial")
    add(inertial, "mass", spec.mass)
    inertia = add(inertial, "inertia")
    for key, value in zip(("ixx", "iyy", "izz"), squares, strict=True):
        add(inertia, key, value)
    _solid(link, "body", spec.size, (0, 0, 0), spec.friction, spec.color, round_)
    return model


def _solid(
    link: Element,
    name: str,
    size: tuple[float, ...],
    centre: tuple[float, ...],
    friction: float = TABLE_FRICTION,
    color: tuple[float, ...] = (0.45, 0.45, 0.47),
    cylinder: bool = False,
) -> None:
    """A box (or upright cylinder) that collides and is seen."""
    for tag in ("collision", "visual"):
        element = add(link, tag, name=f"{name}_{tag}")
        add(element, "pose", [*centre, 0, 0, 0])
        if cylinder:
            shape = add(element, "geometry/cylinder")
            add(shape, "radius", size[0] / 2)
            add(shape, "length", size[2])
        else:
            add(element, "geometry/box/size", size)
        if tag == "visual":
            material = add(element, "material")
            for key in ("ambient", "diffuse"):
                add(material, key, [*color, 1])
        else:
            ode = add(element, "surface/friction/ode")
            add(ode, "mu", friction)
            add(ode, "mu2", friction)


def _static(name: str) -> Element:
    model = Element("model", name=name)
    add(model, "static", "true")
    return model


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return " ".join(f"{float(x):.9g}" for x in np.atleast_1d(np.asarray(value, float)))


def _document(sdf: Element) -> str:
    ElementTree.indent(sdf, "  ")
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(sdf, encoding="unicode") + "\n"
