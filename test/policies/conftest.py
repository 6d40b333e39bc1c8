from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selfgrasp_nodes.robots import load_robot

sys.path.insert(0, str(Path(__file__).parent))  # for policy_tables


@pytest.fixture(scope="session")
def robot():
    return load_robot("ur5_rg2")
