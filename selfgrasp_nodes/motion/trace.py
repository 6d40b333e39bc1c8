"""What the sensors said during a try, collected sample by sample."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.types import SensorTrace


class Trace:
    """Grows with every sample whose time is new."""

    def __init__(self) -> None:
        self._samples: list[ArmSample] = []

    def append(self, sample: ArmSample) -> None:
        """Keep a sample, unless it is the last one again."""
        if not self._samples or sample.time > self._samples[-1].time:
            self._samples.append(sample)

    def __len__(self) -> int:
        return len(self._samples)

    def build(self) -> SensorTrace | None:
        """All samples as arrays; None where there is none."""
        if not self._samples:
            return None
        kept = self._samples
        return SensorTrace(
            np.array([s.time for s in kept], dtype=np.int64),
            np.array([s.width for s in kept], float),
            np.array([s.force for s in kept], float),
            np.array([s.wrench for s in kept], float),
            np.array([s.q for s in kept], float),
            np.array([s.effort for s in kept], float),
        )
