"""``selfgrasp move-group``: MoveIt's move_group with a robot's configuration."""

from __future__ import annotations

import argparse

HELP = "start MoveIt's move_group with a robot's configuration (for backend:=move_group)"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "move-group",
        help=HELP,
        description="Writes the parameters from the robot's description and config/moveit into a "
        "file and runs move_group with it until Ctrl-C. See docs/moveit.md.",
    )
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument("--use-sim-time", action="store_true", help="time from /clock")
    parser.add_argument("--namespace", default="", help="in which the graph runs")
    parser.add_argument("--print", action="store_true", help="print the parameters and exit")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the parameters, run, remove them."""
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    from selfgrasp_nodes.errors import MissingDependency
    from selfgrasp_nodes.motion.moveit_parameters import (
        moveit_folder,
        moveit_parameters,
        parameter_file,
    )
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.robots.loader import robot_file

    robot = load_robot(args.robot)
    parameters = moveit_parameters(
        robot,
        use_sim_time=args.use_sim_time,
        move_group=True,
        folder=moveit_folder(robot, robot_file(args.robot)),
    )
    with tempfile.TemporaryDirectory(prefix="selfgrasp-moveit-") as folder:
        file = parameter_file(parameters, Path(folder) / "move_group.yaml")
        if args.print:
            print(file.read_text(), end="")
            return 0
        if shutil.which("ros2") is None:
            raise MissingDependency(
                "ros2 was not found: move_group comes with a ROS distribution (apt install "
                "ros-$ROS_DISTRO-moveit), whose setup file must be sourced"
            )
        command = ["ros2", "run", "moveit_ros_move_group", "move_group", "--ros-args"]
        command += ["--params-file", str(file)]
        if args.namespace:
            command += ["-r", f"__ns:=/{args.namespace.strip('/')}"]
        return subprocess.run(command, check=False).returncode
