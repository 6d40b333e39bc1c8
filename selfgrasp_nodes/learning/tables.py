"""Tables of results as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = tuple[str, ...]
Table = tuple[str, Row, list[Row]]
"""Title, headings, rows."""


def markdown(tables: Sequence[Table], paragraph: str) -> str:
    """Tables as Markdown, after what they are about."""
    lines = [paragraph, ""]
    for title, headings, rows in tables:
        lines += [f"### {title}", "", _line(headings), _line(("---",) * len(headings))]
        lines += [*(_line(row) for row in rows), ""]
    return "\n".join(lines)


def percent(estimate: dict[str, Any]) -> str:
    """A share and its interval, in per cent."""
    return number(estimate, 100)


def number(estimate: dict[str, Any], scale: float = 1) -> str:
    """A value and its interval."""
    if estimate["value"] is None:
        return "-"
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if low is None or high is None:
        return f"{scale * value:.1f}"
    return f"{scale * value:.1f} [{scale * low:.1f}, {scale * high:.1f}]"


def _line(cells: Row) -> str:
    return "| " + " | ".join(cells) + " |"
