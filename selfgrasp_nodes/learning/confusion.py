"""Labels against truth: confusion tables, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfgrasp_nodes.learning.metrics import proportion
from selfgrasp_nodes.types import OutcomeCode


def confusion(pairs: Sequence[tuple[bool, str]]) -> dict[str, Any]:
    """Counts by truth and label, and precision and recall of "held" and "not held".

    Args:
        pairs: (truth, name of the label); only SUCCESS says "held".
    """
    success = OutcomeCode.SUCCESS.name
    counts: dict[str, dict[str, int]] = {"held": {}, "not_held": {}}
    for held, code in pairs:
        row = counts["held" if held else "not_held"]
        row[code] = row.get(code, 0) + 1
    hits = counts["held"].get(success, 0)
    alarms = counts["not_held"].get(success, 0)
    full, empty = sum(counts["held"].values()), sum(counts["not_held"].values())
    return {
        "counts": counts,
        "held": {
            "count": full,
            "precision": proportion(hits, hits + alarms).as_dict(),
            "recall": proportion(hits, full).as_dict(),
        },
        "not_held": {
            "count": empty,
            "precision": proportion(empty - alarms, (empty - alarms) + (full - hits)).as_dict(),
            "recall": proportion(empty - alarms, empty).as_dict(),
        },
    }
