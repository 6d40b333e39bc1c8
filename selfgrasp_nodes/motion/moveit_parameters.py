"""The parameters that MoveIt runs with: from a robot's description and ``config/moveit``.

One dictionary serves both ways to MoveIt: :func:`moveit_parameters` for ``moveit_py``,
and with ``move_group=True`` for a ``move_group`` node, which wants ``planning_pipelines``
in another form. What MoveIt would ignore or replace in silence is refused here:

* a planner that a group does not list becomes the group's default without an error
  (``PlanningContextManager::getPlanningContext`` only warns), see :func:`planner_id`;
* topics under ``planning_scene_monitor_options`` are constants (``moveit_cpp.hpp``) and
  are taken by remapping alone;
* a whole number where a double is read, an empty list, or a null, is dropped.

Checked against moveit2 at 8fcb5d2 (2.15.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.motion.sampling import planner_names
from selfgrasp_nodes.paths import share_dir
from selfgrasp_nodes.robots import ArmSpec, RobotSpec
from selfgrasp_nodes.robots.urdf import expand_urdf

OMPL = "ompl"
PILZ = "pilz_industrial_motion_planner"
LINE = "LIN"
"""Pilz's planner for straight lines of the tool."""

_RENAMED = {"KPIECE1": "KPIECE", "BKPIECE1": "BKPIECE", "LBKPIECE1": "LBKPIECE"}
_SCENE_KEYS = {"name", "robot_description", "wait_for_initial_state_timeout"}
_REQUEST_KEYS = {
    "planning_pipeline": str,
    "planner_id": str,
    "planning_attempts": int,
    "planning_time": float,
    "max_velocity_scaling_factor": float,
    "max_acceleration_scaling_factor": float,
}


def ompl_types() -> dict[str, str]:
    """MoveIt's type of each planner that motion can be configured with."""
    return {name: f"geometric::{_RENAMED.get(name, name)}" for name in planner_names()}


def gripper_group(arm: ArmSpec) -> str:
    """Name of the planning group of an arm's fingers; the arm's own group has its name."""
    return f"{arm.name}_gripper"


def moveit_folder(robot: RobotSpec, file: Path | None = None) -> Path:
    """Where a robot's MoveIt configuration lies.

    Args:
        robot: The cell.
        file: Its YAML; ``moveit/<robot>`` beside it wins over what ships.

    Raises:
        InvalidConfig: If it has none; with the command that makes it.
    """
    own = [file.parent / "moveit"] if file is not None else []
    for parent in [*own, share_dir() / "config" / "moveit"]:
        if (parent / robot.name).is_dir():
            return parent / robot.name
    raise InvalidConfig(
        f"robot {robot.name!r} has no MoveIt configuration; make it with "
        f"`python tools/moveit_config.py {file or robot.name}`"
    )


def controllers(robot: RobotSpec) -> dict[str, Any]:
    """Controllers as MoveIt's simple manager addresses them: name + action_ns = action.

    A gripper whose driver takes the opening in metres is left out: MoveIt would send it the
    joint's value.
    """
    manager: dict[str, Any] = {"controller_names": []}
    kinds = {
        "gripper_command": "GripperCommand",
        "parallel_gripper_command": "ParallelGripperCommand",
    }
    for arm in robot.arms:
        actions: list[tuple[str, str, tuple[str, ...]]] = [
            (arm.trajectory_action, "FollowJointTrajectory", arm.joints)
        ]
        if arm.gripper.command in kinds and arm.gripper.driver_unit == "joint":
            kind = kinds[arm.gripper.command]
            actions.append((arm.gripper.command_topic, kind, (arm.gripper.joint,)))
        for action, kind, joints in actions:
            name, _, namespace = action.rpartition("/")
            manager["controller_names"].append(name)
            manager[name] = {
                "type": kind,
                "action_ns": namespace,
                "default": True,
                "joints": list(joints),
            }
            if kind != "FollowJointTrajectory":
                manager[name]["max_effort"] = arm.gripper.force_max
    return {
        "moveit_manage_controllers": False,
        "moveit_controller_manager": (
            "moveit_simple_controller_manager/MoveItSimpleControllerManager"
        ),
        "moveit_simple_controller_manager": manager,
    }


def moveit_parameters(
    robot: RobotSpec,
    *,
    use_sim_time: bool,
    move_group: bool = False,
    folder: Path | None = None,
) -> dict[str, Any]:
    """All parameters of MoveIt's node.

    Args:
        robot: The cell.
        use_sim_time: MoveIt refuses joint states whose stamps are of another clock, so it
            must be told, and has no default here.
        move_group: For a ``move_group`` node instead of ``moveit_py``.
        folder: Of the configuration; the shipped one where None.

    Raises:
        InvalidConfig: If a file is missing or MoveIt would not take it as it stands.
        MissingDependency: If a mesh's package is not installed.
    """
    folder = folder or moveit_folder(robot)
    srdf = folder / f"{robot.name}.srdf"
    if not srdf.is_file():
        raise InvalidConfig(f"{srdf} does not exist; make it with tools/moveit_config.py")
    base = robot.world_T_base
    urdf = expand_urdf(
        robot,
        resolve=False,
        world="true",  # MoveIt's model frame is the URDF's root: the world
        world_xyz=" ".join(map(str, base.xyz)),
        world_rpy=" ".join(map(str, base.rpy)),
    )
    cpp = _read(folder, "moveit_cpp.yaml")
    parameters: dict[str, Any] = {
        "use_sim_time": use_sim_time,
        "robot_description": urdf,
        "robot_description_semantic": srdf.read_text(),
        "robot_description_kinematics": _read(folder, "kinematics.yaml"),
        "robot_description_planning": {
            **_read(folder, "joint_limits.yaml"),
            **_read(folder, "pilz_cartesian_limits.yaml"),
        },
        OMPL: _read(folder, "ompl_planning.yaml"),
        PILZ: _read(folder, f"{PILZ}_planning.yaml"),
        **_read(folder, "moveit_controllers.yaml"),
        **controllers(robot),  # a driver's overlay may name others than the file
        **cpp,
        # Execution is the runner's, which also guards the wrist: MoveIt only plans.
        "allow_trajectory_execution": False,
        "publish_planning_scene": True,
        "publish_geometry_updates": True,
        "publish_state_updates": True,
        "publish_transforms_updates": False,
    }
    limits = parameters["robot_description_planning"].get("joint_limits", {})
    for arm in robot.arms:  # a driver's overlay may allow less than the robot's own file
        for joint, speed, acceleration in zip(
            arm.joints, arm.velocity_limits, arm.acceleration_limits, strict=True
        ):
            if joint in limits:
                limits[joint].update(max_velocity=speed, max_acceleration=acceleration)
    pipelines = cpp["planning_pipelines"]["pipeline_names"]
    if move_group:
        parameters["planning_pipelines"] = pipelines
        parameters["default_planning_pipeline"] = OMPL
    _check(robot, parameters, folder, pipelines)
    return parameters


def planner_id(parameters: dict[str, Any], arm: str, name: str) -> str:
    """The id under which MoveIt knows a planner for an arm's group.

    Args:
        parameters: As :func:`moveit_parameters` returns them.
        arm: Name of the arm, and of its group.
        name: Of the planner, as in ``config/motion.yaml``.

    Raises:
        UnknownName: If the group does not list it: MoveIt would take another one.
    """
    group = parameters[OMPL].get(arm)
    if group is None:
        groups = [key for key, value in parameters[OMPL].items() if isinstance(value, dict)]
        raise UnknownName("planning group", arm, set(groups) - {"planner_configs"})
    if name not in group["planner_configs"]:
        raise UnknownName(f"planner of MoveIt's group {arm!r}", name, group["planner_configs"])
    return name


def parameter_file(parameters: dict[str, Any], path: Path) -> Path:
    """Write parameters as a ROS parameter file that fits whatever name and namespace.

    ``MoveItPy(config_dict=...)`` writes one for the bare node name, which no node in a
    namespace reads, and leaves it behind.
    """
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}, sort_keys=False))
    return path


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path} must hold a mapping of parameters")
    return content


def _check(
    robot: RobotSpec, parameters: dict[str, Any], folder: Path, pipelines: list[str]
) -> None:
    """Refuse what MoveIt would drop or replace without an error."""

    def refuse(file: str, why: str) -> InvalidConfig:
        return InvalidConfig(f"{folder / file}: {why}")

    ompl, missing = parameters[OMPL], [n for n in (OMPL, PILZ) if n not in pipelines]
    if missing:
        raise refuse("moveit_cpp.yaml", f"planning_pipelines lacks {', '.join(missing)}")
    ignored = set(parameters["planning_scene_monitor_options"]) - _SCENE_KEYS
    if ignored:
        raise refuse(
            "moveit_cpp.yaml",
            f"planning_scene_monitor_options: MoveIt reads no {', '.join(sorted(ignored))}; "
            f"it reads {', '.join(sorted(_SCENE_KEYS))} (remap topics instead)",
        )
    for profile in ("", "free", "line"):
        given = parameters[profile] if profile else parameters
        request = given.get("plan_request_params", {})
        for key, kind in _REQUEST_KEYS.items():
            if type(request.get(key)) is not kind:
                name = f"{profile}.{key}" if profile else key
                raise refuse(
                    "moveit_cpp.yaml",
                    f"plan_request_params of {name!r} must be a {kind.__name__}, not "
                    f"{request.get(key)!r}: MoveIt would take its own default",
                )
    for arm in robot.arms:
        group = ompl.get(arm.name)
        if not group or not group.get("planner_configs"):
            raise refuse("ompl_planning.yaml", f"group {arm.name!r} lists no planner_configs")
        for name in (group.get("default_planner_config"), *group["planner_configs"]):
            if not ompl.get("planner_configs", {}).get(name, {}).get("type"):
                raise refuse("ompl_planning.yaml", f"planner {name!r} of {arm.name!r} has no type")
            # MoveIt takes an id that contains the group's name for a full one.
            if arm.name in name:
                raise refuse("ompl_planning.yaml", f"planner {name!r} contains the group's name")
        limits = parameters["robot_description_planning"]["joint_limits"]
        for joint in arm.joints:
            if not limits.get(joint, {}).get("has_acceleration_limits"):
                raise refuse(
                    "joint_limits.yaml", f"{joint} lacks the acceleration limit that TOTG needs"
                )
        if arm.name not in parameters["robot_description_kinematics"]:
            raise refuse("kinematics.yaml", f"group {arm.name!r} has no solver")
    _check_values(parameters, folder, "")


def _check_values(value: Any, folder: Path, name: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_values(inner, folder, f"{name}.{key}" if name else str(key))
        if value:
            return
    elif isinstance(value, list):
        kinds = {type(item) for item in value}
        if len(kinds) == 1 and kinds <= {bool, int, float, str}:
            return
    elif isinstance(value, bool | int | float | str):
        return
    raise InvalidConfig(
        f"{folder}: {name} = {value!r} is no ROS parameter (empty, null or of mixed types)"
    )
