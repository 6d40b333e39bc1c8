"""One step of the physics, made again by another solver where the first one failed.

MuJoCo's Newton solver now and then does not solve a crowd of hard contacts: it stops
at its limit of iterations, or thinks that it has converged, and the forces that it
leaves throw objects about at hundreds of metres a second. Its conjugate gradients
solve the same steps, at ten times the time or more. So each step is looked at
afterwards, and those that Newton did not finish, or after which something moves that
cannot, are taken back and made by conjugate gradients (``docs/physics.md`` has counts).
"""

from __future__ import annotations

import mujoco
import numpy as np

LARGEST_ACCELERATION = 750.0
"""More than this is looked at twice [m/s^2 or rad/s^2]: a block of 40 g between fingers that
press with 30 N can reach it, so what is made again is not always wrong."""

BAD = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)
"""After any of these MuJoCo has put everything back to the model's start."""

CAREFUL_ITERATIONS = 500
"""Of conjugate gradients; 60 to 470 were needed in steps that Newton's method had failed in."""


class Stepper:
    """Advances one model.

    Attributes:
        careful: Steps that were made again.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData):
        """Bind it; the model's solver is Newton's, or whatever is to be tried first."""
        self._model, self._data = model, data
        self._kind = mujoco.mjtState.mjSTATE_INTEGRATION
        self._state = np.empty(mujoco.mj_stateSize(model, self._kind))
        self._before = np.empty(model.nv)
        self._jump = LARGEST_ACCELERATION * model.opt.timestep
        self._warnings = [data.warning[kind] for kind in BAD]
        self.careful = 0

    @property
    def failed(self) -> bool:
        """Whether a step could not be made by either solver; only a reset helps."""
        return any(warning.number for warning in self._warnings)

    def step(self) -> None:
        """One step of the model's length."""
        model, data = self._model, self._data
        if self.failed:
            return
        mujoco.mj_getState(model, data, self._state, self._kind)
        self._before[:] = data.qvel
        mujoco.mj_step(model, data)
        np.subtract(data.qvel, self._before, out=self._before)
        np.abs(self._before, out=self._before)
        stopped = data.solver_niter.max() >= model.opt.iterations
        if not (stopped or self.failed or self._before.max() > self._jump):
            return
        self.careful += 1
        for warning in self._warnings:
            warning.number = 0
        mujoco.mj_setState(model, data, self._state, self._kind)
        solver, iterations = model.opt.solver, model.opt.iterations
        model.opt.solver = mujoco.mjtSolver.mjSOL_CG
        model.opt.iterations = CAREFUL_ITERATIONS
        try:
            mujoco.mj_step(model, data)
        finally:
            model.opt.solver, model.opt.iterations = solver, iterations
