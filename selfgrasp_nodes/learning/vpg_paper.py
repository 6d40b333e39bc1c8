"""What Zeng and others (2018) report, to stand beside what is measured here."""

from __future__ import annotations

RANDOM, HARD = "vpg-random", "vpg-hard"
"""The protocols: 30 objects dropped at random, and hard arrangements."""

PAPER: dict[str, dict[str, tuple[float, float, float]]] = {
    RANDOM: {
        "grasping-only": (0.909, 0.558, 0.558),
        "push and grasp, reactive": (0.545, 0.594, 0.477),
        "VPG": (1.0, 0.677, 0.609),
    },
    HARD: {
        "grasping-only": (0.406, 0.517, 0.517),
        "push and grasp, reactive": (0.482, 0.590, 0.464),
        "VPG, discount 0.2": (0.791, 0.743, 0.537),
        "VPG": (0.827, 0.772, 0.601),
    },
}
"""Tables I to III: completion, and over completed runs grasp success and action efficiency."""
