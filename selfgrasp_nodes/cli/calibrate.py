"""``selfgrasp calibrate``: where a camera is, by a board and the arm."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from selfgrasp_nodes.perception.calibration_data import Session
    from selfgrasp_nodes.perception.calibration_solve import Calibration

HELP = "find a camera's pose with a board: moves the arm, solves, writes the robot's YAML"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "calibrate",
        help=HELP,
        description="With the graph running (selfgrasp up robot, or up sim with a board), moves "
        "the arm through poses that show a board to the camera, takes pictures and joint states, "
        "solves for the camera's pose and the depth's scale, and writes both into the robot's "
        "YAML. A fixed camera looks at a board in the fingers, a wrist camera at a board on the "
        "table. The camera's pose in the YAML must be right to some 5 cm and 5 degrees.",
    )
    parser.add_argument("--robot", default="ur5_rg2", help="robot's name or YAML file")
    parser.add_argument("--camera", default="", help="camera (default: the overhead camera)")
    parser.add_argument("--arm", default="", help="arm that moves (default: the one concerned)")
    parser.add_argument(
        "--board",
        default="charuco:7x5:0.024:0.018",
        help="KIND:COLUMNSxROWS:SQUARE[:MARKER[:DICTIONARY]], squares counted, metres",
    )
    parser.add_argument(
        "--hold",
        default="",
        metavar="'X Y Z R P Y'",
        help="board's middle in the flange's frame (fixed camera) or in the world (wrist "
        "camera), roughly [m, rad]; default: by its edge in the fingers, or flat on the table",
    )
    parser.add_argument("--poses", type=int, default=20, help="how many")
    parser.add_argument("--speed", type=float, default=0.3, help="share of full speed, 0 to 1")
    parser.add_argument("--namespace", default="", help="in which the graph runs")
    parser.add_argument("--camera-namespace", default="", help="of the camera's topics")
    parser.add_argument("--from", dest="source", type=Path, help="solve stored pictures again")
    parser.add_argument("--folder", type=Path, help="for pictures and report (default: out/...)")
    parser.add_argument("--output", type=Path, help="YAML to write (default: the robot's own)")
    parser.add_argument("--dry-run", action="store_true", help="write no YAML")
    parser.add_argument("--print-board", type=Path, metavar="PNG", help="write the board, exit")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Take pictures or read them, solve, report, write."""
    from selfgrasp_nodes.errors import InvalidConfig
    from selfgrasp_nodes.perception.calibration_board import Board
    from selfgrasp_nodes.perception.calibration_data import load_session
    from selfgrasp_nodes.perception.calibration_solve import LEAST_POSES, calibrate
    from selfgrasp_nodes.robots import load_robot

    board = Board.parse(args.board)
    if args.print_board:
        return _print_board(board, args.print_board)
    if args.poses < LEAST_POSES:
        raise InvalidConfig(f"--poses must be at least {LEAST_POSES}, better 20")
    if not 0 < args.speed <= 1:
        raise InvalidConfig(f"--speed must be in (0, 1], not {args.speed}")
    robot = load_robot(args.robot)
    camera = robot.camera(args.camera)
    if args.source:
        session, folder = load_session(args.source), args.folder or args.source
        _check_camera(session, robot.name, camera.name)
        return _finish(args, session, calibrate(session), folder, camera.pose.matrix)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = args.folder or Path("out/calibration") / f"{camera.name}-{stamp}"
    return _through_graph(args, board, folder, camera.pose.matrix)


def _through_graph(args: argparse.Namespace, board: Any, folder: Path, before: np.ndarray) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from selfgrasp_nodes.errors import PlanningFailed, SelfGraspError
    from selfgrasp_nodes.nodes.calibrator import Calibrator, take_all
    from selfgrasp_nodes.perception.calibration_data import save_session
    from selfgrasp_nodes.perception.calibration_solve import calibrate

    console = Console()
    with Calibrator(
        str(args.robot), args.camera, args.arm, board, args.namespace, args.camera_namespace
    ) as calibrator:
        hold = _hold(args.hold) if args.hold else calibrator.assumed_hold()
        with console.status("looking for poses that the arm reaches ..."):
            poses = calibrator.plan(hold, args.poses)
        console.print(
            f"{len(poses)} poses of arm {calibrator.arm.name!r} before camera "
            f"{calibrator.camera.name!r}; keep clear of the arm, Ctrl-C stops it"
        )
        shots: list[Any] = []
        with Progress(console=console) as progress:
            bar = progress.add_task("pictures", total=len(poses))

            def show(done: int, what: str) -> None:
                progress.update(bar, completed=done)
                progress.console.print(what, markup=False, highlight=False)

            try:
                take_all(calibrator, poses, args.speed, shots, show)
            finally:  # what was taken before an error or Ctrl-C is kept
                if shots:
                    session = calibrator.session(shots)
                    save_session(session, folder)
                    kept = f"{len(shots)} pictures and joint states: {folder}"
                    console.print(f"{kept} (solve again with --from)")
        if not shots:
            raise PlanningFailed("the arm reached none of the poses; see the reasons above")
        try:
            calibrator.home(args.speed)
        except SelfGraspError as error:
            console.print(f"the arm did not go home: {error}", style="yellow")
        found = calibrate(session)
        calibrator.publish(found.parent_T_camera)
        return _finish(args, session, found, folder, before)


def _finish(
    args: argparse.Namespace,
    session: Session,
    found: Calibration,
    folder: Path,
    before: np.ndarray,
) -> int:
    """Print, draw, write."""
    import shutil

    from selfgrasp_nodes.perception.calibration_report import report, save_picture
    from selfgrasp_nodes.robots import load_robot
    from selfgrasp_nodes.robots.edit import write_calibration
    from selfgrasp_nodes.robots.loader import robot_file

    text = report(session, found, before)
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(text + "\n")
    print(f"picture: {save_picture(session, found, folder / 'calibration.png', before)}")
    camera = load_robot(args.robot).camera(session.camera)
    print(f"as a static transform:\n  {_command(session, found, camera.frame)}")
    if args.dry_run:
        return 0
    source = robot_file(args.robot)
    file = args.output or source
    if args.output and not args.output.exists():
        args.output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, args.output)
    copy = write_calibration(file, session.camera, found.parent_T_camera, _record(session, found))
    print(f"written to {file} (as it was: {copy.name}); restart the graph to use it")
    return 0


def _record(session: Session, found: Calibration) -> Any:
    """What stands beside the pose in the robot's YAML."""
    import numpy as np

    from selfgrasp_nodes.robots import CalibrationSpec

    height, width = session.shots[0].color.shape[:2]
    rounded = np.round(session.intrinsics, 3)
    return CalibrationSpec(
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        serial=session.serial,
        width=width,
        height=height,
        intrinsics=(rounded[0, 0], rounded[1, 1], rounded[0, 2], rounded[1, 2]),
        depth_scale=round(found.depth_scale, 6),
        pictures=len(found.used),
        reprojection=round(float(np.median(found.reprojection)), 4),
        error_3d=round(float(np.median(found.error_3d)), 6),
    )


def _command(session: Session, found: Calibration, frame: str) -> str:
    from selfgrasp_nodes import geometry

    x, y, z = found.parent_T_camera[:3, 3]
    w, qx, qy, qz = geometry.quaternion(found.parent_T_camera)
    return (
        f"ros2 run tf2_ros static_transform_publisher --x {x:.6f} --y {y:.6f} --z {z:.6f} "
        f"--qx {qx:.8f} --qy {qy:.8f} --qz {qz:.8f} --qw {w:.8f} "
        f"--frame-id {session.parent} --child-frame-id {frame}"
    )


def _check_camera(session: Session, robot: str, camera: str) -> None:
    """Refuse to write one camera's pose into another's place."""
    from selfgrasp_nodes.errors import WrongCamera

    if (session.robot, session.camera) != (robot, camera):
        raise WrongCamera(
            f"these pictures are of camera {session.camera!r} of robot {session.robot!r}, not of "
            f"{camera!r} of {robot!r}; give --robot and --camera to match, or another folder"
        )


def _hold(text: str) -> np.ndarray:
    from selfgrasp_nodes import geometry
    from selfgrasp_nodes.errors import InvalidConfig

    try:
        numbers = [float(v) for v in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 6:
        raise InvalidConfig(
            f"--hold needs 6 numbers: x y z [m] roll pitch yaw [rad], not {text!r}"
        )
    return geometry.transform(numbers[:3], numbers[3:])


def _print_board(board: Any, path: Path) -> int:
    """The board at 600 dots an inch."""
    from PIL import Image

    dots = round(board.square / 0.0254 * 600)
    Image.fromarray(board.image(dots)).save(path, dpi=(600, 600))
    width, height = board.sheet
    print(
        f"{path}: print at 100 % ({1e3 * width:.1f} x {1e3 * height:.1f} mm), glue it to "
        "something flat, and measure a square: give what you measure to --board"
    )
    return 0
