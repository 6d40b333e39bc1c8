from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from selfgrasp_nodes.errors import MissingDependency, PlanningFailed, UnknownName
from selfgrasp_nodes.motion.sampling import check_planner, planner_names, sample_path

LOW, HIGH = np.full(3, -2.0), np.full(3, 2.0)
START, GOAL = np.array([-1.0, 0, 0]), np.array([1.0, 0, 0])


def free(q, depth=0.0):
    """A wall with no way through below q[1] = 1; deeper inside it with ``depth``."""
    return not (abs(q[0]) < 0.2 - depth and q[1] < 1.0 - depth)


@pytest.mark.parametrize("name", planner_names())
def test_every_planner_finds_the_way_round_a_wall(name):
    try:
        path = sample_path(START, GOAL, LOW, HIGH, free, name, 5.0, 0.02)
    except MissingDependency as missing:
        pytest.skip(str(missing))
    np.testing.assert_allclose(path[[0, -1]], [START, GOAL], atol=1e-9)
    for first, second in itertools.pairwise(path):
        assert all(free(first + s * (second - first), 0.02) for s in np.linspace(0, 1, 50))
    assert path[:, 1].max() >= 0.98


def test_no_way_is_said_in_time():
    with pytest.raises(PlanningFailed, match=r"no way round.*0\.3 s"):
        sample_path(START, GOAL, LOW, HIGH, lambda q: abs(q[0]) > 0.2, "RRTConnect", 0.3, 0.02)


def test_an_unknown_planner_is_refused_with_the_valid_names():
    with pytest.raises(UnknownName, match=r"'RTTConnect'.*EST.*RRTConnect"):
        check_planner("RTTConnect")


def test_an_interpreter_that_planned_ends_well():
    """OMPL's own loader crashes it at its end, whatever it did."""
    code = (
        "import numpy as np\n"
        "from selfgrasp_nodes.motion.sampling import sample_path\n"
        "one = np.ones(2)\n"
        "print(len(sample_path(-one, one, -2 * one, 2 * one, lambda q: True, 'RRT', 1.0, 0.1)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2
