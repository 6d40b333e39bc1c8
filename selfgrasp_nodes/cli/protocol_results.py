"""What the measures of papers print and leave behind: tables, figures, plots."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from selfgrasp_nodes.learning.tables import Table

WIDTH = 140
"""Columns that tables are printed in at least."""


def show_tables(tables: Sequence[Table], console: Console) -> None:
    """Print tables at :data:`WIDTH` columns at least: squeezed into fewer they cannot be read."""
    from rich.console import Console as Wide
    from rich.table import Table as Grid

    wide = Wide(width=max(console.width, WIDTH), file=console.file)
    for title, headings, rows in tables:
        grid = Grid(*headings, title=title)
        for row in rows:
            grid.add_row(*row)
        wide.print(grid)


def write_results(
    out: Path, text: str, content: dict[str, Any], plot: Callable[[Path], object]
) -> None:
    """Leave a protocol's tables, figures and plots in its folder.

    Args:
        out: The folder; made where it is missing.
        text: Content of ``tables.md``.
        content: Of ``results.json``.
        plot: Draws into the folder.

    Raises:
        StorageError: If something cannot be written.
    """
    from selfgrasp_nodes.learning.disk import make_folder, written
    from selfgrasp_nodes.policies.checkpoints import write_whole

    make_folder(out)
    with written("the tables", out):
        write_whole(out / "tables.md", text.encode())
        write_whole(out / "results.json", json.dumps(content, indent=1).encode())
        plot(out)
