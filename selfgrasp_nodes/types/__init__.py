"""The data that flows through one trial.

Plain frozen dataclasses over numpy arrays: no ROS, no simulator, no policy.
Units are SI. A homogeneous transform ``a_T_b`` is a 4 x 4 float64 array that
maps points given in frame ``b`` to frame ``a``. The ``world`` frame has its
origin on the table's top plane, z up. Camera frames are optical (z forward, x
right, y down; REP-103).
"""

from selfgrasp_nodes.types.codes import OutcomeCode, PhaseCode, Primitive
from selfgrasp_nodes.types.executions import Candidate, Execution, Phase, SensorTrace, Trajectory
from selfgrasp_nodes.types.observations import (
    Heightmap,
    Observation,
    Region,
    Regions,
    View,
    Workspace,
)
from selfgrasp_nodes.types.trials import Outcome, Trial

__all__ = [
    "Candidate",
    "Execution",
    "Heightmap",
    "Observation",
    "Outcome",
    "OutcomeCode",
    "Phase",
    "PhaseCode",
    "Primitive",
    "Region",
    "Regions",
    "SensorTrace",
    "Trajectory",
    "Trial",
    "View",
    "Workspace",
]
