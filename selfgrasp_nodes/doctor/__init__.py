"""Is this machine fit to run? What is missing, and what to do about it.

Nothing in here needs a running graph (that is ``nodes/graph_check.py``), and
nothing assumes that a library is there: each check imports what it looks at.
"""

from __future__ import annotations

from collections.abc import Iterator

from selfgrasp_nodes.doctor.descriptions import configuration, description
from selfgrasp_nodes.doctor.findings import Finding, Level
from selfgrasp_nodes.doctor.libraries import packages
from selfgrasp_nodes.doctor.machine import disk, graphics, python, shared_memory
from selfgrasp_nodes.doctor.middleware import interfaces, ros

__all__ = ["Finding", "Level", "environment_findings"]


def environment_findings(robot: str = "ur5_rg2") -> Iterator[Finding]:
    """Look at everything that needs no running graph.

    Args:
        robot: Name or file of the robot whose description is looked at.
    """
    yield from python()
    yield from packages()
    yield from ros()
    yield from interfaces()
    yield shared_memory()
    yield graphics()
    yield from configuration()
    yield from description(robot)
    yield disk()
