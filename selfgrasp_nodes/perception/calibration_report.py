"""A calibration in words, and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.perception.calibration_data import Session
from selfgrasp_nodes.perception.calibration_solve import Calibration

_SHOWN = 6  # pictures
_FRUSTUM = 0.15  # length of the drawn frustum [m]


def report(session: Session, found: Calibration, before: np.ndarray | None = None) -> str:
    """What was found, how sure it is, and what was left out.

    Args:
        session: Pictures and kinematics.
        found: The solution.
        before: parent_T_camera that was assumed, for the difference.
    """
    x, y, z = found.parent_T_camera[:3, 3]
    w, qx, qy, qz = geometry.quaternion(found.parent_T_camera)
    sigma = 1e3 * found.position_sigma
    turn = np.degrees(found.angle_sigma)
    lines = [
        f"camera {session.camera!r} of {session.robot!r} in frame {session.parent!r}:",
        f"  xyz [m]            {x:.5f} {y:.5f} {z:.5f}   (+- {_list(sigma, 2)} mm)",
        f"  quaternion (wxyz)  {w:.6f} {qx:.6f} {qy:.6f} {qz:.6f}   (+- {_list(turn, 3)} deg)",
    ]
    if np.isfinite(found.depth_scale_sigma):
        lines.append(
            f"  depth scale        {found.depth_scale:.5f} (+- {found.depth_scale_sigma:.5f}); "
            f"depth error {1e3 * found.error_depth:.2f} mm RMS"
        )
    lines += [
        f"  reprojection       {np.median(found.reprojection):.3f} px median, "
        f"{found.reprojection.max():.3f} px worst picture",
        f"  3-D error          {1e3 * np.median(found.error_3d):.2f} mm median, "
        f"{1e3 * found.error_3d.max():.2f} mm worst picture",
        f"  pictures           {len(found.used)} used of {len(session.shots)}",
    ]
    lines += [f"    left out {index}: {reason}" for index, reason in found.refused.items()]
    if before is not None:
        shift = np.linalg.norm(found.parent_T_camera[:3, 3] - before[:3, 3])
        angle = Rotation.from_matrix(found.parent_T_camera[:3, :3] @ before[:3, :3].T).magnitude()
        lines.append(
            f"  before             {1e3 * shift:.1f} mm and {np.degrees(angle):.2f} deg away"
        )
    return "\n".join(lines)


def save_picture(
    session: Session, found: Calibration, path: Path, before: np.ndarray | None = None
) -> Path:
    """Corners as detected and as reprojected in some pictures, and the geometry in 3-D."""
    figure = Figure(figsize=(16, 9), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 5)
    pick = np.linspace(0, len(found.views) - 1, min(_SHOWN, len(found.views))).round().astype(int)
    for place, number in enumerate(pick):
        _draw_view(figure.add_subplot(grid[place // 3, place % 3]), session, found, int(number))
    _draw_cell(figure.add_subplot(grid[:, 3:], projection="3d"), session, found, before)
    figure.suptitle(
        f"{session.camera}: {np.median(found.reprojection):.2f} px, "
        f"{1e3 * np.median(found.error_3d):.2f} mm (median of {len(found.used)} pictures)"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.print_figure(path)
    return path


def _draw_view(axes: Axes, session: Session, found: Calibration, number: int) -> None:
    view = found.views[number]
    pose = geometry.inverse(found.parent_T_camera) @ view.parent_T_carrier @ found.carrier_T_board
    corners = session.board.corners[view.ids]
    predicted = geometry.project(session.intrinsics, corners @ pose[:3, :3].T + pose[:3, 3])
    axes.imshow(session.shots[view.index].color)
    axes.plot(*view.pixels.T, "+", color="lime", markersize=7, label="detected")
    axes.plot(*predicted.T, "o", color="red", markersize=6, fillstyle="none", label="by the arm")
    axes.set_title(f"{view.index}: {found.reprojection[number]:.2f} px", fontsize=9)
    axes.set_axis_off()
    low, high = view.pixels.min(axis=0), view.pixels.max(axis=0)
    margin = 0.25 * (high - low).max()
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(high[1] + margin, low[1] - margin)
    if number == 0:
        axes.legend(fontsize=7, loc="lower left")


def _draw_cell(
    axes: Axes, session: Session, found: Calibration, before: np.ndarray | None
) -> None:
    """In the frame that the camera is fixed to; a wrist camera's boards move round it."""
    x, y = session.board.size[0] / 2, session.board.size[1] / 2
    outline = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0], [-x, -y, 0]])
    points = []
    for view in found.views:
        pose = view.parent_T_carrier @ found.carrier_T_board
        board = outline @ pose[:3, :3].T + pose[:3, 3]
        axes.plot(*board.T, color="tab:blue", linewidth=0.8)
        points.append(board)
    height, width = session.shots[0].color.shape[:2]
    for pose, color in ((found.parent_T_camera, "tab:red"), (before, "tab:gray")):
        if pose is None:
            continue
        pixels = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
        inverse = np.linalg.inv(session.intrinsics)
        rays = np.concatenate([pixels, np.ones((4, 1))], axis=1) @ inverse.T * _FRUSTUM
        edges = rays @ pose[:3, :3].T + pose[:3, 3]
        for edge, following in zip(edges, np.roll(edges, -1, axis=0), strict=True):
            line = np.stack([pose[:3, 3], edge, following])
            axes.plot(*line.T, color=color, linewidth=1.2)
        points.append(edges)
    cloud = np.concatenate(points)
    middle, half = (cloud.max(axis=0) + cloud.min(axis=0)) / 2, np.ptp(cloud, axis=0).max() / 2
    for name, centre in zip("xyz", middle, strict=True):
        getattr(axes, f"set_{name}lim")(centre - half, centre + half)
        getattr(axes, f"set_{name}label")(f"{name} [m]")
    axes.set_title(
        f"frame {session.parent!r}: camera red{', before grey' if before is not None else ''}, "
        "boards blue",
        fontsize=9,
    )


def _list(values: np.ndarray, digits: int) -> str:
    return " ".join(f"{v:.{digits}f}" for v in values)
