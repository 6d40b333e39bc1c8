"""``selfgrasp evaluate --protocol pinto``: the paper's tables, of one robot or several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

SMALL = 10
"""``--small`` divides the amounts of simulation by this."""


def run_pinto(args: argparse.Namespace, console: Console) -> None:
    """Measure, print, and write ``tables.md``, ``results.json`` and plots.

    Args:
        args: Of ``selfgrasp evaluate``.
        console: Where tables go.

    Raises:
        RowsFailed: If rows could not be measured; all others are printed and written.
        SelfGraspError: If stores or checkpoints are missing.
    """
    from selfgrasp_nodes.learning.curriculum import load_curriculum
    from selfgrasp_nodes.learning.pinto import PARTS, Amounts, Pinto, RowsFailed

    parts = tuple(part.strip() for part in args.parts.split(",") if part.strip()) or PARTS
    amounts, failed = Amounts(), None
    if args.small:
        amounts = Amounts(
            amounts.isolation // SMALL,
            max(2, amounts.clutters // SMALL),
            amounts.ceiling // SMALL,
            amounts.repeats,
            amounts.seed,
        )
    for data, file in zip(args.data, args.curriculum, strict=True):
        curriculum = load_curriculum(file)
        out = data / "pinto"
        if args.out:
            out = args.out if len(args.data) == 1 else args.out / curriculum.robot

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False)

        pinto = Pinto(curriculum, data, out, args.workers, amounts, say)
        try:
            # Written after every part: whatever ends this early, what was measured can be read.
            found = pinto.run(parts, partial(_write, pinto))
        except RowsFailed as error:
            failed, found = error, error.found  # the next robot's turn comes nevertheless
        _show(pinto, found, console)
    if failed is not None:
        raise failed


def _about(pinto: Any) -> tuple[str, str]:
    """The paragraph that the tables need, and robot and views for their titles."""
    from selfgrasp_nodes.learning.pinto_report import about, scene
    from selfgrasp_nodes.policies.checkpoints import read_card

    views = read_card(pinto.folder / "stage0" / "patch.yaml").views
    return about(pinto.curriculum, views, pinto.amounts), scene(pinto.curriculum, views)


def _write(pinto: Any, results: dict[str, Any]) -> None:
    from selfgrasp_nodes.cli.protocol_results import write_results
    from selfgrasp_nodes.learning.pinto_paper import PAPER
    from selfgrasp_nodes.learning.pinto_plots import plot
    from selfgrasp_nodes.learning.pinto_report import markdown

    paragraph, scene = _about(pinto)
    content = {"about": paragraph, "results": results, "paper": PAPER}
    write_results(pinto.out, markdown(results, paragraph, scene), content, partial(plot, results))


def _show(pinto: Any, results: dict[str, Any], console: Console) -> None:
    from selfgrasp_nodes.cli.protocol_results import show_tables
    from selfgrasp_nodes.learning.pinto_report import tables

    paragraph, scene = _about(pinto)
    show_tables(tables(results, scene), console)
    console.print(paragraph, markup=False, highlight=False)
    console.print(f"written to {pinto.out}")
