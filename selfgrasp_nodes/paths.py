"""Where the shared files (config, urdf, launch, models) live.

In a source checkout that is the repository's root; in an installed workspace
the package's share folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from selfgrasp_nodes.errors import InvalidConfig

PACKAGE = "selfgrasp"


def share_dir() -> Path:
    """The folder that holds ``config/``, ``urdf/`` and ``launch/``.

    Raises:
        InvalidConfig: If neither a checkout nor an installation is found.
    """
    source = Path(__file__).resolve().parent.parent
    if (source / "package.xml").is_file() and (source / "config").is_dir():
        return source
    # The last one serves `pip install`, before its environment is entered.
    for prefix in [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]:
        share = Path(prefix) / "share" / PACKAGE
        if prefix and (share / "config").is_dir():
            return share
    raise InvalidConfig(
        "the shared files of 'selfgrasp' (config, urdf) were not found; source the "
        "workspace's setup file, or call selfgrasp from its own environment"
    )
