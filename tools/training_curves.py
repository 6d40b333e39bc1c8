"""Curves of several trainings of pixel values in one picture, as Zeng and others (2018) show them.

python tools/training_curves.py docs/results/vpg/curves.json docs/images/vpg_curves.png \
    --add "VPG (paper)=FOLDER,FOLDER" [--add ...]

``--add NAME=FOLDERS`` takes the trainings of a row (one folder of ``selfgrasp train pixelq
--out`` for each seed) into the JSON file, in place of those of the same name and seed; without
``--add`` the file is drawn as it is. Left grasp success over the last 200 grasps (figures 4
and 5, solid), right success of grasps right after a push (dotted there); each line is one
training. Prints a table of the same in Markdown.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from selfgrasp_nodes.errors import StorageError
from selfgrasp_nodes.learning import pixelq_curves
from selfgrasp_nodes.learning.pixelq_store import read_columns
from selfgrasp_nodes.policies.checkpoints import write_whole

EVERY = 25
"""Tries between two points that are kept."""

GOOD = 0.8
"""Of the last grasps; the mark that the paper's agent passes after about 2,000 tries."""

COLUMNS = ("episode", "index", "primitive", "success", "changed", "held")


def read(folder: Path) -> dict[str, Any]:
    """A training's curves and counts.

    Raises:
        StorageError: If the folder holds no tries.
    """
    identity, columns = read_columns(folder / "tries.sqlite", *COLUMNS)
    success = columns["success"].astype(bool)
    grasps = pixelq_curves.grasp_curve(columns["primitive"], success)
    pushed = pixelq_curves.push_then_grasp_curve(
        columns["episode"], columns["index"], columns["primitive"], success
    )
    passed = np.flatnonzero(grasps >= GOOD)
    return {
        "seed": identity["seed"],
        "good_after": int(passed[0]) + 1 if len(passed) else None,
        "figures": pixelq_curves.figures(columns),
        "grasps": np.round(grasps[EVERY - 1 :: EVERY], 3).tolist(),
        "pushed": np.round(pushed[EVERY - 1 :: EVERY], 3).tolist(),
    }


def draw(trainings: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """All trainings, a colour for each row."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), sharey=True)
    titles = ("grasp success, last 200 grasps", "grasp right after a push, last 200")
    for axis, key, title in zip(axes, ("grasps", "pushed"), titles, strict=True):
        for number, (name, members) in enumerate(trainings.items()):
            for place, member in enumerate(members):
                curve = 100 * np.array(member[key])
                if key == "pushed" and not curve.any():
                    continue
                tries = EVERY * np.arange(1, len(curve) + 1)
                label = name if place == 0 else None
                axis.plot(tries, curve, c=f"C{number}", lw=1.3, alpha=0.9, label=label)
        axis.axhline(100 * GOOD, color="0.8", lw=1)
        axis.set(xlabel="tries", title=title, ylim=(0, 100))
        axis.grid(alpha=0.2)
    axes[0].set(ylabel="[%]")
    axes[0].legend(loc="lower right", fontsize="small")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def table(trainings: dict[str, list[dict[str, Any]]]) -> str:
    """In Markdown, a line for each training."""
    heads = ("training", "seed", "tries", f"{100 * GOOD:.0f} % after", "last 200 grasps held")
    heads += ("pushes", "that changed something")
    lines = ["| " + " | ".join(heads) + " |", "|" + "-|" * len(heads)]
    for name, members in trainings.items():
        for member in members:
            of = member["figures"]
            last = of["grasp_success_last"]
            held = f"{100 * last['value']:.1f} [{100 * last['low']:.1f}, {100 * last['high']:.1f}]"
            cells = [name, member["seed"], of["tries"], member["good_after"] or "never", held]
            cells += [of["pushes"], of["pushes_with_change"]]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read, keep, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--add", action="append", default=[], metavar="NAME=FOLDER,FOLDER,...")
    args = parser.parse_args()
    trainings = json.loads(args.json.read_text()) if args.json.is_file() else {}
    for text in args.add:
        name, _, folders = text.partition("=")
        if not name or not folders:
            raise SystemExit(f"--add {text!r}: write NAME=FOLDER,FOLDER,...")
        try:
            added = [read(Path(folder)) for folder in folders.split(",")]
        except StorageError as error:
            raise SystemExit(str(error)) from error
        seeds = {training["seed"] for training in added}
        kept = [old for old in trainings.get(name, []) if old["seed"] not in seeds]
        trainings[name] = sorted(kept + added, key=lambda training: training["seed"])
    if not trainings:
        raise SystemExit(f"{args.json} holds nothing yet: give --add NAME=FOLDER,...")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.json, (json.dumps(trainings) + "\n").encode())
    draw(trainings, args.picture)
    print(table(trainings))


if __name__ == "__main__":
    main()
