"""The fast loop: thousands of tries in one process, in lockstep, no ROS.

A try begins with the hand hovering above its grasp and runs, on the full arm,
to the end of the lift. Only when it has been labelled are the held object and
the arm put away at once, where a robot would carry and come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selfgrasp_nodes.errors import (
    ExecutionFailed,
    InvalidCandidate,
    InvalidImage,
    PlanningFailed,
)
from selfgrasp_nodes.motion.above import plan_from_above
from selfgrasp_nodes.motion.embedded import EmbeddedPlanner
from selfgrasp_nodes.motion.options import load_options
from selfgrasp_nodes.motion.program import Program
from selfgrasp_nodes.motion.runner import Runner
from selfgrasp_nodes.orchestration.fast_ports import (
    FastClock,
    FastLabeler,
    FastObserver,
    FastProposer,
    NullStore,
)
from selfgrasp_nodes.orchestration.ports import Store
from selfgrasp_nodes.orchestration.sequence import (
    Event,
    Limits,
    Ports,
    RunIdentity,
    StopReason,
    TrialSequence,
)
from selfgrasp_nodes.policies.base import Policy, PolicyBase
from selfgrasp_nodes.policies.registry import ORACLE, make_policy
from selfgrasp_nodes.robots import RobotSpec, config_digest
from selfgrasp_nodes.simulation.lockstep import LockstepPort
from selfgrasp_nodes.simulation.model import PhysicsOptions
from selfgrasp_nodes.simulation.scene import Scene
from selfgrasp_nodes.simulation.world import World, WorldOptions
from selfgrasp_nodes.types import (
    Candidate,
    Execution,
    Outcome,
    Primitive,
    Trial,
)


class FastExecutor:
    """Plans from above the candidate and runs it in lockstep.

    Attributes:
        held: By trial, ids of the objects held at the end of its lift:
            simulator truth, for counting alone.
    """

    def __init__(self, world: World, planner: EmbeddedPlanner, observer: FastObserver):
        self._world = world
        self._planner = planner
        self._observer = observer
        self._options = planner.options
        self._runners = {
            arm.name: Runner(LockstepPort(world, arm.name), arm, self._options, planner)
            for arm in world.robot.arms
        }
        self.held: dict[str, tuple[str, ...]] = {}

    def start(self, candidate: Candidate, trial_id: str) -> FastRunning:
        """See ports.Executor; nothing moves before ``wait_acted``."""
        robot = self._world.robot
        arms = [robot.arm(candidate.arm)] if candidate.arm else list(robot.arms)
        heightmap = self._observer.heightmap
        self._planner.set_obstacles(heightmap)
        failure: PlanningFailed | None = None
        for arm in arms:
            try:
                program = plan_from_above(self._planner, candidate, arm, heightmap)
            except PlanningFailed as error:
                failure = error
                continue
            return FastRunning(self, self._world, self._runners[arm.name], program, trial_id)
        assert failure is not None
        raise failure


class FastRunning:
    """One planned try; see ports.Running."""

    def __init__(
        self,
        executor: FastExecutor,
        world: World,
        runner: Runner,
        program: Program,
        trial_id: str,
    ):
        self._held = executor.held
        self._trial_id = trial_id
        self._world = world
        self._runner = runner
        self._program = program

    def wait_acted(self) -> Execution:
        """Hover, act, lift; then note what is really held."""
        arm, candidate = self._program.arm, self._program.candidate
        self._runner.clear_cancel()
        self._world.set_arm(arm, self._program.q_start, candidate.width or None)
        execution = self._runner.act(self._program)
        held = tuple(truth.id for truth in self._world.truth() if truth.held_by == arm)
        self._held[self._trial_id] = held if candidate.primitive == Primitive.GRASP else ()
        return execution

    def put_away(self, outcome: Outcome) -> None:
        """What is held leaves the world; the arm goes home at once."""
        arm = self._world.robot.arm(self._program.arm)
        for name in self._held[self._trial_id]:
            self._world.remove_object(name)
        self._world.set_arm(arm.name, arm.home, arm.gripper.width_max)

    def finish(self) -> Execution:
        """The record: the try has ended when it was put away."""
        return self._runner.execution

    def cancel(self) -> None:
        """Stop."""
        self._runner.cancel()


@dataclass(frozen=True)
class FastRun:
    """One run on one scene.

    Attributes:
        trials: In order.
        held: For each executed try, ids of the objects really held at the end
            of its lift.
        objects: On the table at the start.
        left: Objects that lie outside the workspace at the end.
        stop_reason: Why it ended.
        longest_no_success: Most tries in a row without a successful grasp.
        seconds: Wall time, without dropping the scene.
    """

    trials: tuple[Trial, ...]
    held: tuple[tuple[str, ...], ...]
    objects: int
    left: int
    stop_reason: StopReason | None
    longest_no_success: int
    seconds: float

    @property
    def cleared(self) -> int:
        """Objects that a grasp really held and carried away."""
        return len({name for names in self.held for name in names})


BREAKDOWNS = (ExecutionFailed, InvalidCandidate, InvalidImage, PlanningFailed)
"""What one scene in thousands provokes; other errors say that something is set up wrong."""


class RunFailed(ExecutionFailed):
    """A run broke down: the simulation, or a picture or grasp that nothing can be done with.

    Attributes:
        run: What was done before.
    """

    def __init__(self, message: str, run: FastRun):
        super().__init__(message)
        self.run = run


class FastLoop:
    """A world, a policy and a planner that many runs share.

    Attributes:
        robot: The cell.
        world: Its physics.
    """

    def __init__(
        self,
        robot: RobotSpec,
        policy: str | Policy,
        *,
        friction_scale: float = 1.0,
        noise: bool = True,
        store: Store | None = None,
        motion: dict[str, dict[str, Any]] | None = None,
        **parameters: Any,
    ):
        """Build the world and the policy.

        Args:
            robot: The cell.
            policy: A registered policy's name, ``oracle``, or a policy.
            friction_scale: Factor on every friction of the world.
            noise: Whether the sensors are noisy.
            store: Where trials go; nowhere where None.
            motion: Sections of ``config/motion.yaml`` that win over the file's.
            **parameters: Of the policy.

        Raises:
            UnknownName: If there is no such policy.
            InvalidConfig: If a parameter is wrong.
        """
        physics = PhysicsOptions(friction_scale=friction_scale)
        self.robot = robot
        self.world = World(robot, WorldOptions(physics, noise))
        self.planner = EmbeddedPlanner(robot, load_options(None, robot.name, **(motion or {})))
        self._policy = self._make(policy, parameters)
        self._observer = FastObserver(self.world, self._policy.required_views, self.planner)
        self._store = store or NullStore()
        self._labeler = FastLabeler(robot)

    def run(
        self,
        scene: Scene,
        seed: int,
        limits: Limits | None = None,
        primitives: Sequence[Primitive] | None = None,
        on_event: Callable[[Event], None] | None = None,
        keep_trials: bool = True,
        run_id: str = "fast",
        episode_id: str = "0",
    ) -> FastRun:
        """Try until a limit is met.

        Args:
            scene: What lies on the table.
            seed: Of the sensors' noise and of a sampling policy.
            limits: When to stop; VPG's rule where None.
            primitives: Which are allowed; all that the policy knows where None.
            on_event: Feedback.
            keep_trials: Whether trials (with their pictures) are returned.
            run_id: Of the trials.
            episode_id: Of the trials.

        Raises:
            RunFailed: If it broke down (:data:`BREAKDOWNS`); it holds what was done before.
        """
        sequence, executor = self.sequence(
            scene, seed, limits, primitives, on_event, run_id, episode_id
        )
        start = time.monotonic()
        trials: list[Trial] = []
        held: list[tuple[str, ...]] = []

        def done() -> FastRun:
            return FastRun(
                tuple(trials),
                tuple(held),
                len(scene.objects),
                self._outside(),
                sequence.stop_reason,
                sequence.progress.longest_no_success,
                time.monotonic() - start,
            )

        try:
            for trial in sequence.run():
                if keep_trials:
                    trials.append(trial)
                held.append(executor.held.get(trial.trial_id, ()))
                self.learn(trial)
        except BREAKDOWNS as error:
            raise RunFailed(str(error), done()) from error
        return done()

    def sequence(
        self,
        scene: Scene,
        seed: int,
        limits: Limits | None = None,
        primitives: Sequence[Primitive] | None = None,
        on_event: Callable[[Event], None] | None = None,
        run_id: str = "fast",
        episode_id: str = "0",
    ) -> tuple[TrialSequence, FastExecutor]:
        """A scene laid out, and the sequence of its tries, for who takes them one by one.

        Arguments as :meth:`run`. Only one sequence of a loop can be under way.
        """
        self.world.reset(scene, seed)
        if isinstance(self._policy, PolicyBase):
            self._policy.begin()
        executor = FastExecutor(self.world, self.planner, self._observer)
        ports = Ports(
            FastClock(self.world),
            self._observer,
            FastProposer(self._policy),
            executor,
            self._labeler,
            self._store,
        )
        digest = config_digest(self.robot, self.planner.options)
        identity = RunIdentity(run_id, self.robot.name, digest, seed, episode_id, scene.id)
        wanted = primitives or self._policy.primitives
        return TrialSequence(ports, identity, limits, wanted, on_event), executor

    def learn(self, trial: Trial) -> None:
        """Tell the policy what came of a try; most learn nothing from it."""
        if isinstance(self._policy, PolicyBase):
            self._policy.learn(trial)

    def _outside(self) -> int:
        workspace = self.robot.workspace.workspace
        return sum(
            not workspace.contains(*truth.world_T_object[:2, 3]) for truth in self.world.truth()
        )

    def _make(self, policy: str | Policy, parameters: dict[str, Any]) -> Policy:
        if not isinstance(policy, str):
            return policy
        if policy == ORACLE:
            from selfgrasp_nodes.simulation.oracle import Oracle

            return Oracle(self.world, **parameters)
        return make_policy(policy, self.robot, **parameters)
