"""Runs one node or several in this process.

``python -m selfgrasp_nodes.nodes.main sim heightmap --ros-args ...``

Prints ``READY name`` for each node that is up. Exit codes: 0 ended when asked
to, 2 bad parameters or a missing part, 1 a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence

from selfgrasp_nodes.errors import SelfGraspError, UnknownName
from selfgrasp_nodes.nodes.ending import exit_code

NODES = {
    "sim": ("selfgrasp_nodes.nodes.sim_node", "SimNode"),
    "realsense_camera": ("selfgrasp_nodes.nodes.realsense_node", "RealSenseNode"),
    "kinect2_camera": ("selfgrasp_nodes.nodes.kinect2_node", "Kinect2Node"),
    "camera_frames": ("selfgrasp_nodes.nodes.camera_frames_node", "CameraFramesNode"),
    "heightmap": ("selfgrasp_nodes.nodes.heightmap_node", "HeightmapNode"),
    "roi": ("selfgrasp_nodes.nodes.roi_node", "RoiNode"),
    "policy": ("selfgrasp_nodes.nodes.policy_node", "PolicyNode"),
    "motion": ("selfgrasp_nodes.nodes.motion_node", "MotionNode"),
    "label": ("selfgrasp_nodes.nodes.label_node", "LabelNode"),
    "recorder": ("selfgrasp_nodes.nodes.recorder_node", "RecorderNode"),
    "picker": ("selfgrasp_nodes.nodes.picker_node", "PickerNode"),
}
"""Name of a node -> (module, class)."""

_PATIENCE = 3.0  # for nodes to close [s]


def node_class(name: str) -> type:
    """The class of a node.

    Raises:
        UnknownName: If there is no such node.
    """
    if name not in NODES:
        raise UnknownName("node", name, NODES)
    module, attribute = NODES[name]
    found: type = getattr(importlib.import_module(module), attribute)
    return found


def die_with_parent() -> None:
    """Ask Linux to end this process when the one that started it dies."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; see the module's text."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    ours, ros = arguments, []
    if "--ros-args" in arguments:
        cut = arguments.index("--ros-args")
        ours, ros = arguments[:cut], arguments[cut:]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="+", metavar="NODE", help=", ".join(NODES))
    parser.add_argument("--die-with-parent", action="store_true")
    options = parser.parse_args(ours)
    if options.die_with_parent:
        parent = os.getppid()
        die_with_parent()
        if os.getppid() != parent:  # it died before the call above
            return 1
    return run(options.nodes, ros)


def _end_at_last() -> None:
    """Whatever hangs while the nodes close must not keep the process."""
    time.sleep(_PATIENCE)
    sys.stderr.write("error: a node did not close in time\n")
    os._exit(1)


def run(names: Sequence[str], ros_arguments: Sequence[str] = ()) -> int:
    """Host nodes until a signal asks to end."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    # Our own handlers: rclpy's would shut the context down at once, under the
    # feet of the nodes that still want to stop the arm and close the bag.
    stop = threading.Event()

    def ask_to_end(number: int, frame: object) -> None:
        if not stop.is_set():
            stop.set()
            threading.Thread(target=_end_at_last, daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_end)
    # A goal passes through half a dozen threads from one arm motion to the next; with Python's
    # 5 ms each, behind a thread that steps the world or deserialises, the arm waits for them.
    sys.setswitchinterval(0.0005)
    rclpy.init(args=list(ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
    nodes: list = []
    code = 0
    executor = None
    try:
        classes = [node_class(name) for name in names]
        executor = SingleThreadedExecutor()  # see BaseNode
        for name, kind in zip(names, classes, strict=True):
            node = kind()
            nodes.append(node)
            executor.add_node(node)
            print(f"READY {name}", flush=True)
        while rclpy.ok() and not stop.is_set():
            executor.spin_once(timeout_sec=0.5)
        code = exit_code()
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    except SelfGraspError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = 2
    except Exception:
        traceback.print_exc()
        code = 1
    finally:
        for node in reversed(nodes):
            with contextlib.suppress(Exception):
                node.close()
        if executor is not None:
            executor.shutdown(timeout_sec=0.5)
        for node in reversed(nodes):
            with contextlib.suppress(Exception):
                node.destroy_node()
        with contextlib.suppress(Exception):
            rclpy.shutdown()
        # The participant, and its shared memory, go with the last reference to a node: the
        # nodes' parts refer to each other, and the process ends without a collection.
        node = executor = None
        nodes.clear()
        gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    # os._exit: a worker thread that still waits for an answer must not keep the
    # process alive, and some planners' libraries crash in their destructors.
    os._exit(main())
