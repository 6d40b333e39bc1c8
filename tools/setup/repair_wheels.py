"""Point the ROS wheels' CMake files at this machine; run by the environment's Python.

The wheels' files name folders of the machine that they were built on.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

_BAKED_NUMPY = re.compile(r"/opt/python/[^;\"]*?/site-packages/numpy/(?:_core|core)/include")
_BAKED_HEADERS = re.compile(r"/opt/python/[^;\"]*?/include/python3\.\d+")


def repair(prefix: Path, headers: str, numpy_headers: str) -> int:
    """Replace the baked paths below a prefix; doing so again changes nothing.

    Args:
        prefix: Of the virtual environment.
        headers: Folder of Python.h.
        numpy_headers: ``numpy.get_include()``.

    Returns:
        The number of files that were changed.
    """
    changed = 0
    for file in prefix.glob("share/*/cmake/*generator_pyExport.cmake"):
        text = file.read_text()
        fixed = _BAKED_HEADERS.sub(
            lambda _: headers, _BAKED_NUMPY.sub(lambda _: numpy_headers, text)
        )
        if fixed != text:
            file.write_text(fixed)
            changed += 1
    return changed


def main() -> int:
    """Repair the environment that this runs in."""
    import numpy

    headers = sysconfig.get_paths()["include"]
    if not (Path(headers) / "Python.h").is_file():
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        print(f"{headers}/Python.h is missing: install python{version}-dev", file=sys.stderr)
        return 1
    print(f"{repair(Path(sys.prefix), headers, numpy.get_include())} files repaired")
    return 0


if __name__ == "__main__":
    sys.exit(main())
