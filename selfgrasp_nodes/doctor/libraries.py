"""Python libraries: those that nodes need, and those that may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from selfgrasp_nodes.doctor.findings import SETUP, Finding, Level, import_problem

PACKAGES = (
    ("numpy", "numpy"),
    ("scipy", "scipy"),
    ("cv2", "opencv-python-headless"),
    ("yaml", "pyyaml"),
    ("pydantic", "pydantic"),
    ("rich", "rich"),
    ("PIL", "pillow"),
    ("mujoco", "mujoco"),
    ("pinocchio", "pin"),
    ("coal", "coal"),
    ("ompl", "ompl"),
    ("toppra", "toppra"),
    ("xacro", "xacro"),
    ("rosbags", "rosbags"),
    ("trimesh", "trimesh"),
)
"""(module, distribution on PyPI) of the libraries that nodes use."""

OPTIONAL = (
    ("coacd", "coacd", "objects from meshes that are not convex"),
    ("matplotlib", "matplotlib", "the films and pictures of runs"),
    ("torch", "torch", "learnt policies"),
    ("pybullet_data", "pybullet", "1,000 novel objects"),
    ("ray", "ray", "collecting tries on a cluster"),
    ("tf2_ros", "tf2_ros", "TF by the ROS library; without it by this package's own"),
    ("cv_bridge", "cv_bridge", "images by the ROS library; without it by this package's own"),
)
"""(module, where it comes from, what it is for) of those that may be missing."""


def packages() -> Iterator[Finding]:
    """Python libraries: imported, not only found, as broken wheels fail there."""
    for module, distribution in PACKAGES:
        problem = import_problem(module)
        if problem:
            remedy = f"{SETUP}; or pip install {distribution}"
            yield Finding("packages", distribution, Level.FAIL, problem, remedy)
        elif module == "ompl" and _version(distribution).startswith("2."):
            yield Finding(
                "packages",
                distribution,
                Level.WARN,
                f"{_version(distribution)} has no EST planner",
                "pip install ompl==1.7.0, or keep planner name RRTConnect",
            )
        else:
            yield Finding("packages", distribution, Level.OK, _version(distribution))
    for module, source, purpose in OPTIONAL:
        problem = import_problem(module)
        found = f"not installed; it is for {purpose}" if problem else _version(source)
        yield Finding("optional", source, Level.OK, found)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "installed"
