from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.nodes import qos
from selfgrasp_nodes.nodes.base import COMMON, BaseNode
from selfgrasp_nodes.nodes.main import NODES, node_class
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.paths import share_dir


class Example(BaseNode):
    NAME = "example"
    PARAMETERS = (
        Param("rate", 2.0, "A rate [Hz]", low=0.5, high=10.0, live=True),
        Param("count", 3, "A number", low=1),
        Param("mode", "fast", "How", choices=("fast", "slow")),
        Param("names", ["a"], "Some names"),
    )


class Listener(BaseNode):
    NAME = "listener"

    def __init__(self, given) -> None:
        super().__init__(given)
        self.create_subscription(JointState, "joint_states", print, qos.STATE)


@pytest.fixture
def make(spinner):
    return lambda **given: spinner.add(Example(given))


@pytest.fixture
def listen(spinner):
    return lambda **given: spinner.add(Listener(given))


def test_defaults_and_given_values(make) -> None:
    node = make(rate=4, names=["b", "c"])
    assert node.values["rate"] == 4.0 and isinstance(node.values["rate"], float)
    assert node.values["count"] == 3 and node.values["names"] == ["b", "c"]
    described = node.describe_parameter("rate")
    assert described.description == "A rate [Hz]"
    assert described.floating_point_range[0].to_value == 10.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate": 99.0}, ["rate", "0.5 to 10", "99"]),
        ({"rate": float("nan")}, ["rate", "finite"]),
        ({"count": 0}, ["count", "at least 1"]),
        ({"count": 1.5}, ["count", "integer"]),
        ({"mode": "swift"}, ["mode", "fast, slow", "swift"]),
        ({"raet": 1.0}, ["raet", "rate", "names"]),
    ],
)
def test_bad_values_and_unknown_names_are_refused_with_the_reason(ros, given, words) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Example(given)
    for word in words:
        assert word in str(caught.value)


def test_changes_while_running(make) -> None:
    node = make()
    assert node.set_parameters([Parameter("rate", value=3.0)])[0].successful
    assert node.values["rate"] == 3.0
    refused = node.set_parameters([Parameter("rate", value=50.0)])[0]
    assert not refused.successful and "range" in refused.reason
    assert not node.set_parameters([Parameter("count", value=5)])[0].successful
    assert node.values["count"] == 3


def test_unknown_robot(ros) -> None:
    with pytest.raises(UnknownName, match="ur5_rg2"):
        Example({"robot": "ur7"})


@pytest.mark.parametrize("name", NODES)
def test_shipped_files_hold_every_parameter_with_its_default(name: str) -> None:
    file = share_dir() / "config" / "nodes" / f"{name}.yaml"
    content = yaml.safe_load(Path(file).read_text())
    assert list(content) == [f"/**/{name}"]
    given = content[f"/**/{name}"]["ros__parameters"]
    table = {p.name: p for p in (*COMMON, *node_class(name).PARAMETERS)}
    assert set(given) == set(table) - {"robot"}
    for key, value in given.items():
        assert value == table[key].default, f"{name}: {key}"
        assert not table[key].complaint(value)


def test_every_parameter_is_described() -> None:
    for name in NODES:
        for param in node_class(name).PARAMETERS:
            assert len(param.description) > 5, (name, param.name)
            assert not param.complaint(param.default), (name, param.name)


def test_quality_of_service_can_be_overridden(listen) -> None:
    topic = "qos_overrides./joint_states.subscription"
    node = listen(**{f"{topic}.depth": 7, f"{topic}.reliability": "best_effort"})
    (heard,) = node.get_subscriptions_info_by_topic("joint_states")
    assert heard.qos_profile.reliability.name == "BEST_EFFORT"
    assert node.get_parameter(f"{topic}.depth").value == 7
    # The profiles that all nodes share are as they were.
    assert qos.STATE.depth == 1000 and qos.state(500).reliability.name == "RELIABLE"
    assert node._unused_overrides() == ""


def test_overrides_that_fit_nothing_are_told(listen) -> None:
    node = listen(**{"qos_overrides./jont_states.subscription.depth": 7})
    assert "/jont_states" in node._unused_overrides()
    with pytest.raises(InvalidConfig, match=r"reliability, durability"):
        listen(**{"qos_overrides./joint_states.subscription.deadline": 7})
