"""What Pinto and Gupta (2016) report, to stand beside what is measured here."""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "table1": {
        "random": {"tries": 40287, "positives": 3245},
        "staged": {"tries": 7307, "positives": 2807},
        "test": {"tries": 2973, "positives": 214},
    },
    "table2": {
        "smallest eigenvalue": 0.534,
        "eigenvalue limit": 0.599,
        "optimistic parameters": 0.621,
        "kNN on HoG": 0.694,
        "linear SVMs on HoG": 0.733,
        "network": 0.769,
        "network with stages": 0.795,
    },
    "figure8": {
        "novel": {"5000": 0.508, "10000": 0.578, "20000": 0.756, "40000": 0.769},
        "seen": {"5000": 0.794, "10000": 0.872, "20000": 0.927, "40000": 0.957},
    },
    "stages": {"stage 1": 0.793, "stage 3": 0.795, "without aggregation": 0.723},
    "isolation": {"network": {"novel": 0.66, "seen": 0.73}},
    "clutter": {"network": 26.0},
}
"""The paper's own figures: shares, and for ``clutter`` tries to clear ten objects."""
