"""Sensor samples that were lost cost a try its label, and not the run."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("selfgrasp.msg", reason="the interfaces are not built")

from selfgrasp.srv import Label

from selfgrasp_nodes.errors import InvalidCandidate, Unavailable
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.picker_ports import RosLabeler
from selfgrasp_nodes.types import Candidate, Execution, OutcomeCode, Primitive


class Refusing(BaseNode):
    """A label service that answers with an error."""

    NAME = "refusing"
    PARAMETERS = (Param("service_timeout", 10.0, "Wall-clock limit of a service call [s]"),)

    def __init__(self, error: Exception):
        super().__init__()
        self._error = error
        self.serve(Label, "label", self._refuse)

    def _refuse(self, request, response) -> None:
        raise self._error


def label(spinner, error: Exception):
    node = spinner.add(Refusing(error))
    candidate = Candidate(Primitive.GRASP, np.eye(4), 0.0, id="c")
    return RosLabeler(node, None).label(Execution(candidate, (), None), None, None)


def test_lost_samples_leave_the_try_unlabelled(spinner) -> None:
    outcome = label(spinner, Unavailable("no samples of arm 'arm' at the time of the try"))
    assert outcome.code == OutcomeCode.UNKNOWN and "no samples" in outcome.reason


def test_any_other_error_of_the_label_is_one(spinner) -> None:
    with pytest.raises(InvalidCandidate, match="phases"):
        label(spinner, InvalidCandidate("a grasp is labelled by its phases"))
