"""The MuJoCo world: scenes, objects, robots, cameras, sensors."""

import os
import sys

# MuJoCo reads this when it first makes a GL context. EGL draws off-screen with
# and without a display or GPU, and in any thread; GLFW needs a display.
if sys.platform.startswith("linux"):
    os.environ.setdefault("MUJOCO_GL", "egl")
