"""A gripper on UR tool I/O: its real code, with the driver's messages stood in for."""

from __future__ import annotations

import sys
import threading
import time
import types

import numpy as np
import pytest
from rclpy.task import Future

from selfgrasp_nodes.errors import (
    ExecutionFailed,
    InvalidConfig,
    MissingDependency,
    Unavailable,
)
from selfgrasp_nodes.nodes import tool_io
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.robots.gripper_spec import ToolIoSpec

ARM = load_robot("ur5_rg2_tool_io").arms[0]


class Request:
    """ur_msgs/SetIO.Request: these fields and no others."""

    __slots__ = ("fun", "pin", "state")
    FUN_SET_DIGITAL_OUT = 1


class Driver:
    """The UR driver with fingers on its tool output: service, topic, clock."""

    group = None
    srv_name = "set_io"

    def __init__(self, held: float = 0.0, success: bool = True):
        self.width, self.held, self.success = 0.11, held, success
        self.closed, self.asked, self.states = False, [], []
        self.ending = threading.Event()
        self.silent = False

    # What ToolIoGripper asks of a node.
    def create_client(self, kind, name, callback_group):
        return self

    def create_publisher(self, kind, topic, profile):
        return types.SimpleNamespace(publish=self.states.append)

    def create_subscription(self, kind, topic, take, profile, callback_group):
        threading.Thread(target=self._run, args=(take,), daemon=True).start()

    def get_clock(self):
        from rclpy.clock import Clock

        return Clock()

    # What a service's client offers.
    def service_is_ready(self):
        return True

    def call_async(self, request):
        self.asked.append((request.fun, request.pin, request.state))
        self.closed = request.state == 1.0
        future = Future()
        future.set_result(types.SimpleNamespace(success=self.success))
        return future

    def _run(self, take):
        while not self.ending.is_set():
            step = 0.15 * 0.01
            wanted = self.held if self.closed else 0.11
            self.width += float(np.clip(wanted - self.width, -step, step))
            if not self.silent:
                take(types.SimpleNamespace(analog_input2=3.0 * self.width / 0.11))
            time.sleep(0.01)


@pytest.fixture
def make(monkeypatch):
    message = types.ModuleType("ur_msgs.msg")
    message.ToolDataMsg = type("ToolDataMsg", (), {})
    service = types.ModuleType("ur_msgs.srv")
    service.SetIO = type("SetIO", (), {"Request": Request})
    for name, module in {
        "ur_msgs": types.ModuleType("ur_msgs"),
        "ur_msgs.msg": message,
        "ur_msgs.srv": service,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    drivers = []

    def build(**given):
        drivers.append(Driver(**given))
        return drivers[-1], tool_io.ToolIoGripper(drivers[-1], ARM)

    yield build
    for driver in drivers:
        driver.ending.set()


def finish(call, limit: float = 5.0):
    assert call.done.wait(limit)
    return call.outcome()


def test_it_closes_on_an_object_and_opens(make) -> None:
    driver, gripper = make(held=0.05)
    time.sleep(0.05)
    ended = threading.Event()
    finish(gripper.grip(0.0, 1.0, ended.set))
    assert ended.is_set() and driver.asked == [(1, 16, 1.0)]
    assert driver.states[-1].width == pytest.approx(0.05, abs=1e-3)
    assert driver.states[-1].stalled and not driver.states[-1].moving
    assert np.isnan(driver.states[-1].force)
    finish(gripper.grip(0.11, 1.0, ended.set))
    assert driver.asked[-1] == (1, 16, 0.0)
    assert driver.states[-1].width == pytest.approx(0.11, abs=1e-3)
    assert any(state.moving for state in driver.states)


def test_an_opening_between_opens(make) -> None:
    """The approach of a grasp: the fingers must not close before they are down."""
    driver, gripper = make()
    finish(gripper.grip(0.06, 1.0, lambda: None))
    assert driver.asked == [(1, 16, 0.0)] and driver.width == pytest.approx(0.11)


def test_closed_on_nothing_is_not_stalled(make) -> None:
    driver, gripper = make()
    time.sleep(0.05)
    finish(gripper.grip(0.0, 1.0, lambda: None))
    assert driver.states[-1].width == pytest.approx(0, abs=1e-3) and not driver.states[-1].stalled


def test_what_goes_wrong_is_said(make) -> None:
    _, gripper = make(success=False)
    with pytest.raises(ExecutionFailed, match="did not set output 16"):
        finish(gripper.grip(0.0, 1.0, lambda: None))
    driver, gripper = make()
    driver.silent = True
    with pytest.raises(Unavailable, match=r"voltage .* is silent"):
        finish(gripper.grip(0.0, 0.3, lambda: None))
    _, gripper = make()
    call = gripper.grip(0.0, 1.0, lambda: None)
    call.cancel()
    with pytest.raises(ExecutionFailed, match="its fingers go on"):
        finish(call)


def test_without_the_drivers_messages_it_says_so() -> None:
    if "ur_msgs" in sys.modules:
        pytest.skip("ur_msgs is installed")
    with pytest.raises(MissingDependency, match="ur-msgs"):
        tool_io.ToolIoGripper(Driver(), ARM)


def test_voltages_must_be_told(tmp_path) -> None:
    for volts in (ARM.gripper.tool_io.volts_closed, ARM.gripper.tool_io.volts_open):
        width = tool_io.width_from_volts(ARM, volts)
        assert width in (ARM.gripper.width_min, ARM.gripper.width_max)
    with pytest.raises(ValueError, match="must differ"):
        ToolIoSpec(volts_closed=1.0, volts_open=1.0)
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: ur5_rg2\narms: [{name: arm, gripper: {name: rg2, command: ur_tool_io}}]"
    )
    with pytest.raises(InvalidConfig, match=r"arms\.0\.gripper: .*tool_io with its voltages"):
        load_robot(file)
