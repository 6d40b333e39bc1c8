"""What all tests share: a ROS domain of their own, and a summary that counts skips."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

from selfgrasp_nodes.cli.domain import free_domain

# How long one example takes says more about the machine's load than about the code.
hypothesis.settings.register_profile("selfgrasp", deadline=None)
hypothesis.settings.load_profile("selfgrasp")

_domain = None


def pytest_configure(config: pytest.Config) -> None:
    """Take a free domain before anything imports rclpy."""
    global _domain
    if hasattr(config, "workerinput"):
        return
    _domain = free_domain(os.environ)
    config.stash[_NUMBER] = _domain.__enter__()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give it back."""
    if _domain is not None:
        _domain.__exit__(None, None, None)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> object:
    """Keep launch_testing's plugin, where there is one, to the tests that are its own.

    To find out which these are it imports every file under its bare name, which fails where two
    rooms have a test of one name.
    """
    if module_path.parent.name == "launch":
        return None
    return pytest.Module.from_parent(parent, path=module_path)


_NUMBER = pytest.StashKey[int]()


def pytest_report_header(config: pytest.Config) -> str:
    """Say which domain it is, so that a hanging test can be looked at from outside."""
    return f"ROS_DOMAIN_ID={config.stash.get(_NUMBER, -1)}, discovered on this machine only"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skipped tests by their reasons: a skip is to be seen."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons: Counter[str] = Counter()
    for report in reports:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[text.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section(f"{len(reports)} skipped")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count:4d}  {reason}")
