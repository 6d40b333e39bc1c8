"""A robot's real world in lockstep with a runner on it, for the tests of motion."""

from __future__ import annotations

import numpy as np

from selfgrasp_nodes.motion.program import plan_candidate
from selfgrasp_nodes.motion.runner import Runner, RunnerEvents
from selfgrasp_nodes.simulation.lockstep import LockstepPort
from selfgrasp_nodes.simulation.objects import ObjectSpec
from selfgrasp_nodes.simulation.scene import Scene, SceneObject
from selfgrasp_nodes.simulation.world import World


class Cell:
    def __init__(self, robot, planner, options, *cubes, port=LockstepPort):
        """Cubes of 5 cm at (x, y) from the workspace's centre."""
        self.world = World(robot)
        objects = tuple(
            SceneObject(ObjectSpec("cube"), (x, y, 0.026), (1, 0, 0, 0)) for x, y in cubes
        )
        self.world.reset(Scene("cubes", objects), 0)
        self.world.step(100)
        self.arm = robot.arm()
        self.planner, self.options = planner, options
        self.port = port(self.world)
        self.runner = Runner(self.port, self.arm, options, planner)
        self.heard: list[str] = []
        self.events = RunnerEvents(
            lambda phase: self.heard.append(phase.name),
            lambda: self.heard.append("acted"),
            lambda: self.heard.append("view clear"),
        )

    def q(self):
        return self.port.sample().q

    def act(self, candidate, q=None):
        start = np.asarray(self.arm.home if q is None else q, float)
        program = plan_candidate(self.planner, candidate, start, self.options)
        return self.runner.act(program, self.events)

    def held(self):
        return [o.id for o in self.world.truth() if o.held_by]

    def places(self):
        return [o.world_T_object[:3, 3] for o in self.world.truth()]
