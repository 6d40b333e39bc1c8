"""What the sensors said during a try, collected sample by sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from selfgrasp_nodes.motion.port import ArmSample
from selfgrasp_nodes.types import SensorTrace

STALE = 100_000_000
"""Readings older than this are none [ns]: a sensor that fell silent must not seem to go on."""


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
        """All samples as arrays, NaN in place of stale readings; None where there is none."""
        if not self._samples:
            return None
        kept = [_without_stale(sample) for sample in self._samples]
        return SensorTrace(
            np.array([s.time for s in kept], dtype=np.int64),
            np.array([s.width for s in kept], float),
            np.array([s.force for s in kept], float),
            np.array([s.wrench for s in kept], float),
            np.array([s.q for s in kept], float),
            np.array([s.effort for s in kept], float),
        )


def _without_stale(sample: ArmSample) -> ArmSample:
    if sample.gripper_time is not None and sample.time - sample.gripper_time > STALE:
        sample = replace(sample, width=float("nan"), force=float("nan"))
    if sample.wrench_time is not None and sample.time - sample.wrench_time > STALE:
        sample = replace(sample, wrench=np.full(6, np.nan))
    return sample
