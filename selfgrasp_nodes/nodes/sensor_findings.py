"""What joint states, clock and pictures of a running graph say about it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from sensor_msgs.msg import JointState

from selfgrasp_nodes.doctor import Finding, Level
from selfgrasp_nodes.errors import SelfGraspError, Unavailable
from selfgrasp_nodes.nodes.cameras import CameraStream
from selfgrasp_nodes.robots import CameraSpec, RobotSpec

_PICTURES = 5
_CLOCK_LIMIT = 52.0  # [Hz]


def joint_state_findings(
    robot: RobotSpec, topic: str, states: Sequence[JointState], seconds: float
) -> Iterator[Finding]:
    """Rate and content of what was heard in some seconds."""
    if not states:
        yield Finding(
            "arms",
            "joint_states",
            Level.FAIL,
            f"nothing on {topic} in {seconds:.1f} s",
            "start the simulation, or joint_state_broadcaster on the robot",
        )
        return
    rate = len(states) / seconds
    heard = {name for m in states for name in m.name}
    wanted = [joint for arm in robot.arms for joint in arm.joints]
    # A gripper on tool I/O has its own topic instead.
    wanted += [
        arm.gripper.driver_joint or arm.gripper.joint
        for arm in robot.arms
        if arm.gripper.tool_io is None
    ]
    missing = [joint for joint in wanted if joint not in heard]
    last = states[-1]
    bad = [n for n, p in zip(last.name, last.position, strict=False) if not np.isfinite(p)]
    found, remedy, level = f"{rate:.0f} Hz, {len(heard)} joints", "", Level.OK
    if missing:
        level, found = Level.FAIL, f"{found}; without {', '.join(missing)}"
        remedy = "is it this robot (--robot)? Correct the joints in its YAML"
    elif bad:
        level, found = Level.FAIL, f"{found}; no number for {', '.join(bad)}"
        remedy = "restart the driver"
    elif rate < 20.0:
        level, found = Level.WARN, f"{found}: too slow to stop at a wrench in time"
        remedy = "raise the rate of the joint state broadcaster to 50 Hz or more"
    yield Finding("arms", "joint_states", level, found, remedy)


def clock_findings(
    ticks: Sequence[tuple[float, float]], seconds: float, simulated: bool
) -> Iterator[Finding]:
    """Rate and speed of the clock: (wall time, graph time) of each tick [s]."""
    if not ticks:
        if simulated:
            remedy = "the simulation stands still: look at its lines"
            yield Finding("clock", "/clock", Level.FAIL, "silent", remedy)
        return
    rate = len(ticks) / seconds
    passed = ticks[-1][1] - ticks[0][1]
    wall = ticks[-1][0] - ticks[0][0]
    factor = passed / wall if wall > 0 else 0.0
    found = f"{rate:.0f} Hz, real-time factor {factor:.2f}"
    level, remedy = Level.OK, ""
    if passed <= 0:
        level, found = Level.WARN, f"{rate:.0f} Hz, but time stands still"
        remedy = "the simulation is paused: service sim/step with command RUN"
    elif rate > _CLOCK_LIMIT:
        level, remedy = Level.WARN, "each node pays for each tick: publish 50 Hz at most"
    yield Finding("clock", "/clock", level, found, remedy)


def camera_findings(camera: CameraSpec, stream: CameraStream) -> Iterator[Finding]:
    """Ask for pictures, one after the other."""
    seconds: list[float] = []
    pair = None
    problem = ""
    for _ in range(_PICTURES):
        before = stream.last.stamp + 1 if stream.last is not None else 0
        begun = time.monotonic()
        stream.trigger()
        try:
            pair = stream.wait(before, 5.0)
        except Unavailable as error:
            problem = str(error)
            break
        seconds.append(time.monotonic() - begun)
    name = camera.name
    if pair is None:
        remedy = "start the camera's driver, or remap its topics to these names"
        yield Finding("cameras", name, Level.FAIL, problem, remedy)
        return
    median = float(np.median(seconds))
    found = f"{len(seconds)} of {_PICTURES} pictures, {1e3 * median:.0f} ms from asking"
    level, remedy = Level.OK, ""
    if len(seconds) < _PICTURES:
        level = Level.WARN
        remedy = "pictures are lost: FASTDDS_DEFAULT_PROFILES_FILE, size of /dev/shm"
    yield Finding("cameras", name, level, found, remedy)
    yield _picture(camera, stream, pair)


def _picture(camera: CameraSpec, stream: CameraStream, pair: object) -> Finding:
    """Whether heightmaps can be made of it."""
    name = f"{camera.name}: picture"
    try:
        view = stream.view(pair, np.eye(4))  # type: ignore[arg-type]
    except SelfGraspError as error:
        remedy = "correct the driver's settings (depth aligned to colour, encodings)"
        return Finding("cameras", name, Level.FAIL, str(error), remedy)
    share = float((view.depth > 0).mean())
    rows, columns = view.depth.shape
    found = f"{columns}x{rows}, depth for {share:.0%} of it"
    if share < 0.2:
        remedy = "look for sun, glass, a covered lens, or a distance out of its range"
        return Finding("cameras", name, Level.FAIL, found, remedy)
    if (columns, rows) != (camera.width, camera.height):
        remedy = "correct the driver's resolution or the camera in the robot's YAML"
        expected = f"{found}; the description says {camera.width}x{camera.height}"
        return Finding("cameras", name, Level.WARN, expected, remedy)
    return Finding("cameras", name, Level.OK, found)
