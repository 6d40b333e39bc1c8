"""A picture of one decision: what was seen, and what the policy made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from selfgrasp_nodes.errors import UnknownName
from selfgrasp_nodes.perception.glyphs import BEST, OTHER, glyph, overlay
from selfgrasp_nodes.perception.pixels import world_to_pixel
from selfgrasp_nodes.types import Candidate, Heightmap, Observation, Primitive, Regions, View

_OUTLINE = [withStroke(linewidth=2.5, foreground="black")]


def decision_picture(
    observation: Observation,
    candidates: Sequence[Candidate],
    *,
    camera: str = "",
    title: str = "",
    most: int = 8,
) -> np.ndarray:
    """One panel: colour, heightmap, regions and scores, with the ranked candidates.

    Args:
        observation: What the policy looked at.
        candidates: What it proposed, best first; may be empty.
        camera: Whose picture to show; empty takes that of the regions, else
            the first.
        title: Above the panel.
        most: How many candidates to draw.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UnknownName: If there is no such camera.
    """
    view = _view(observation, camera)
    shown = list(candidates[:most])
    figure = Figure(figsize=(13, 10), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _draw_color(axes[0, 0], view, shown)
    _draw_heightmap(figure, axes[0, 1], observation.heightmap, shown)
    _draw_regions(axes[1, 0], view, observation.regions)
    _draw_scores(axes[1, 1], shown, len(candidates))
    figure.suptitle(title or f"Decision on observation {observation.id}", fontsize=14)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def save_decision(
    path: str | Path,
    observation: Observation,
    candidates: Sequence[Candidate],
    *,
    camera: str = "",
    title: str = "",
    most: int = 8,
) -> Path:
    """Write :func:`decision_picture` as a PNG; its folder is made where missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = decision_picture(observation, candidates, camera=camera, title=title, most=most)
    Image.fromarray(picture).save(path)
    return path


def _view(observation: Observation, camera: str) -> View:
    name = camera
    if not name and observation.regions is not None:
        name = (
            observation.regions.camera if observation.regions.camera in observation.views else ""
        )
    if not name:
        name = next(iter(observation.views), "")
    if name not in observation.views:
        raise UnknownName("camera", name, observation.views)
    return observation.views[name]


def _draw_color(axes: Axes, view: View, shown: Sequence[Candidate]) -> None:
    height, width = view.color.shape[:2]
    axes.imshow(overlay(view, shown, len(shown)))
    for rank, candidate in reversed(list(enumerate(shown))):
        u, v = world_to_pixel(view, candidate.pose[:3, 3])
        if 0 <= u < width and 0 <= v < height:
            _number(axes, rank, (u, v))
    axes.set(title=f"Colour, camera {view.camera}", xlabel="u [px]", ylabel="v [px]")


def _draw_heightmap(
    figure: Figure, axes: Axes, heightmap: Heightmap | None, shown: Sequence[Candidate]
) -> None:
    axes.set(title="Heightmap", xlabel="x [m]", ylabel="y [m]")
    if heightmap is None:
        _nothing(axes, "no heightmap")
        return
    low, high = heightmap.workspace.low, heightmap.workspace.high
    axes.set_facecolor("0.75")
    image = axes.imshow(
        np.ma.masked_where(~heightmap.valid, heightmap.height),
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        cmap="viridis",
        vmin=0.0,
        vmax=max(0.05, float(heightmap.height.max())),
        interpolation="nearest",
    )
    figure.colorbar(image, ax=axes, label="height above the table [m] (grey: not seen)")
    for rank, candidate in reversed(list(enumerate(shown))):
        for line in glyph(candidate):
            axes.plot(
                line[:, 0],
                line[:, 1],
                color=_rgb(rank),
                linewidth=1.2 if rank else 2.4,
                path_effects=_OUTLINE,
                zorder=10 - rank / len(shown),
            )
        _number(axes, rank, (candidate.pose[0, 3], candidate.pose[1, 3]))
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])


def _draw_regions(axes: Axes, view: View, regions: Regions | None) -> None:
    axes.set(title="Regions of interest", xlabel="u [px]", ylabel="v [px]")
    grey = np.repeat(view.color.mean(axis=2, keepdims=True), 3, axis=2)
    if regions is None or regions.camera != view.camera:
        axes.imshow(grey.astype(np.uint8))
        _nothing(axes, "no regions of this camera")
        return
    tinted = np.where(regions.mask[..., None], 0.45 * grey + [0, 110, 90], grey)
    axes.imshow(np.clip(tinted, 0, 255).astype(np.uint8))
    for region in regions.regions:
        outline = np.vstack([region.outline, region.outline[:1]])
        axes.plot(outline[:, 0], outline[:, 1], color="cyan", linewidth=1.2)
        x, y = region.outline.mean(axis=0)
        axes.text(x, y, f"{region.id}", color="cyan", path_effects=_OUTLINE, ha="center")
    state = f"{len(regions.regions)} found"
    if not regions.background_ready:
        state = "empty table not learnt"
    elif regions.arm_in_view:
        state = "arm in view"
    axes.set_title(f"Regions of interest, {state}")


def _draw_scores(axes: Axes, shown: Sequence[Candidate], total: int) -> None:
    axes.set(xlabel="score")
    if not shown:
        axes.set_title("Candidates")
        _nothing(axes, "no candidate: nothing on the table that the policy would touch")
        return
    ranks = list(range(len(shown)))
    axes.barh(ranks, [c.score for c in shown], color=[_rgb(r) for r in ranks], edgecolor="black")
    axes.set_yticks(ranks)
    beside_axis = axes.get_yaxis_transform()  # x in shares of the axes, y in ranks
    for rank, candidate in enumerate(shown):
        axes.text(0.02, rank, _words(candidate), transform=beside_axis, va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_title(f"Candidates of {shown[0].policy or 'the policy'}: {len(shown)} of {total}")


def _words(candidate: Candidate) -> str:
    x, y, z = candidate.pose[:3, 3]
    where = f"({x:+.3f}, {y:+.3f}, {z:+.3f}) m, {np.degrees(candidate.angle):.0f} deg"
    if candidate.primitive == Primitive.PUSH:
        return f"push from {where}\n{candidate.push_length * 1e3:.0f} mm long"
    return f"grasp at {where}\n{candidate.width * 1e3:.0f} mm open"


def _number(axes: Axes, rank: int, at: tuple[float, float]) -> None:
    axes.annotate(
        str(rank),
        at,
        xytext=(5, 5),
        textcoords="offset points",
        color="white",
        fontsize=10 if rank == 0 else 8,
        fontweight="bold" if rank == 0 else "normal",
        path_effects=_OUTLINE,
    )


def _nothing(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)


def _rgb(rank: int) -> tuple[float, float, float]:
    r, g, b = OTHER if rank else BEST
    return r / 255, g / 255, b / 255
