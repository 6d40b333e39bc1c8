"""Ranked candidates as a service, and what the policy sees as topics."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from selfgrasp.msg import Candidates as CandidatesMsg
from selfgrasp.msg import Heightmap as HeightmapMsg
from selfgrasp.msg import Observation as ObservationMsg
from selfgrasp.srv import Capture, LoadCheckpoint, Plan
from visualization_msgs.msg import MarkerArray

from selfgrasp_nodes.errors import (
    EmptyObservation,
    InvalidCandidate,
    InvalidConfig,
    SelfGraspError,
    UnknownName,
)
from selfgrasp_nodes.geometry import point_to_pixel
from selfgrasp_nodes.nodes import conversions, qos
from selfgrasp_nodes.nodes.base import BaseNode
from selfgrasp_nodes.nodes.given_observation import GivenObservations
from selfgrasp_nodes.nodes.markers import candidate_markers
from selfgrasp_nodes.nodes.params import Param
from selfgrasp_nodes.nodes.running_learner import RunningLearner
from selfgrasp_nodes.nodes.status import check, set_ok
from selfgrasp_nodes.nodes.waiting import call
from selfgrasp_nodes.policies.base import Policy, PolicyBase
from selfgrasp_nodes.policies.registry import (
    check_ready,
    file_content,
    make_policy,
    policy_names,
)
from selfgrasp_nodes.types import Candidate, Observation, Primitive, Trial, Workspace

_ALL = 1000  # candidates, of which those in a region are taken


class PolicyNode(BaseNode):
    """An observation in, ranked candidates out. Never simulator truth."""

    NAME = "policy"
    PARAMETERS = (
        Param("policy", "antipodal", "Used where a request names none"),
        Param("policy_file", "", "YAML of the policies' parameters; empty: config/policies.yaml"),
        Param("max_candidates", 10, "Where a request names no number", low=1, high=1000),
        Param("timeout", 20.0, "Wall-clock limit for an observation [s]", low=0.1, high=60.0),
    )

    def __init__(self, **options: Any):
        """Build the default policy, so that a wrong name is refused at once."""
        super().__init__(**options)
        self._policies: dict[tuple[str, str], Policy] = {}
        self._loaded: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._learner: RunningLearner | None = None
        default = self.policy(self.values["policy"], "")
        try:
            check_ready(default)  # now: a network takes longer to load than a plan may take
        except SelfGraspError as error:
            self.get_logger().warning(str(error))
        self.declare_digest(
            self.values["policy"],
            self.values["max_candidates"],
            file_content(self.values["policy_file"] or None),
        )
        self._topic = self.create_publisher(CandidatesMsg, "candidates", qos.LATCHED)
        self._markers = self.create_publisher(MarkerArray, "candidates/markers", qos.LATCHED)
        self._capture: Any = self.create_client(Capture, "capture", callback_group=self.group)
        self._given = GivenObservations(self)
        # Of pictures that came with a request: motion needs to know what lies there, too.
        self._maps = self.create_publisher(HeightmapMsg, "heightmap", qos.LATCHED)
        self._plans, self._last_ms = 0, float("nan")
        self.serve(Plan, "plan", self._plan)
        self.serve(LoadCheckpoint, "load_checkpoint", self._load)

    def diagnose(self) -> tuple[str, dict[str, object]]:
        """How many plans, and how long the last one took."""
        return "", {
            "policy": self.values["policy"],
            "plans": self._plans,
            "inference_ms": self._last_ms,
            "tries_heard": self._learner.tries if self._learner else 0,
        }

    def policy(self, name: str, arm: str) -> Policy:
        """A policy by name, built once.

        Raises:
            UnknownName: If there is none, or no such arm.
        """
        with self._lock:
            key = (name or self.values["policy"], arm)
            if key not in self._policies:
                file = self.values["policy_file"] or None
                made: Any = make_policy(key[0], self.robot, arm=arm, config=file)
                if key[0] in self._loaded:
                    made.load_checkpoint(*self._loaded[key[0]])
                self._policies[key] = made
                if _learns(made) and self._learner is None:
                    self._learner = RunningLearner(self, self._learn)
                    self.get_logger().info(
                        f"policy {key[0]!r} learns from its tries while it runs, in this process "
                        "alone: its checkpoint stays as it is"
                    )
            return self._policies[key]

    def _still(self, policy: Policy) -> AbstractContextManager[Any]:
        """While it lasts no policy that learns takes a step; of use to those alone."""
        learner = self._learner if _learns(policy) else None
        return learner.lock if learner else nullcontext()

    def _learn(self, trial: Trial) -> None:
        """Tell a try to all policies of its name that learn: one for each arm asked for."""
        with self._lock:
            told = [p for (name, _), p in self._policies.items() if name == trial.candidate.policy]
        for policy in told:
            if isinstance(policy, PolicyBase) and _learns(policy):
                policy.learn(trial)

    def _plan(self, request: Plan.Request, response: Plan.Response) -> None:
        policy = self.policy(request.policy, request.arm)
        if request.sample and not getattr(policy, "samples", False):
            raise InvalidConfig(
                f"policy {policy.name!r} ranks and draws nothing: leave `sample` out, ask one "
                "that draws (random, random-roi), or let patch draw ('select: sample' in "
                "the policies' file)"
            )
        observation = self._observation(request)
        response.observation_id = observation.id
        seed = int(request.seed)
        look = policy.look_pose(observation, seed) if _lacks_view(policy, observation) else None
        if look is not None:
            response.look_required = True
            response.look_arm = look[0]
            response.look_pose = conversions.pose_stamped(look[1], self.frame, observation.stamp)
            set_ok(response, "take the view from look_pose first, then ask again")
            return
        primitives = [self._primitive(p) for p in request.primitives] or policy.primitives
        count = request.max_candidates or self.values["max_candidates"]
        avoid = [conversions.candidate(item) for item in request.avoid]
        # The best of the region may rank below many others: all are asked for, then cut.
        asked = _ALL if request.use_roi else count
        with self._still(policy):
            begun = time.perf_counter()
            candidates = policy.propose(observation, seed, asked, tuple(primitives), avoid)
        spent = time.perf_counter() - begun
        if request.use_roi:
            workspace = self.robot.workspace.workspace
            if observation.heightmap is not None:
                workspace = observation.heightmap.workspace
            candidates = [c for c in candidates if _inside(c, request.roi, workspace)][:count]
        response.inference_time = conversions.duration_message(spent)
        response.candidates = [
            conversions.candidate_message(c, self.frame, observation.stamp) for c in candidates
        ]
        self._plans, self._last_ms = self._plans + 1, spent * 1e3
        self._publish(observation, policy.name, candidates, response)
        if not candidates:
            where = " inside the roi" if request.use_roi else ""
            raise EmptyObservation(
                f"policy {policy.name!r} found nothing to act on{where} in observation "
                f"{observation.id!r}; the table is empty, or what lies there is out of reach "
                "for this gripper"
            )
        set_ok(response)

    def _observation(self, request: Plan.Request) -> Observation:
        """The one given, or a capture that is young enough."""
        if request.observation:
            age = conversions.seconds(request.max_age)
            given = self._given.complete(request.observation[0], age)
            if given.heightmap is not None and not request.observation[0].heightmap:
                self._maps.publish(
                    conversions.heightmap_message(
                        given.heightmap, self.frame, given.stamp, given.id
                    )
                )
            return given
        answer = call(
            self._capture, Capture.Request(max_age=request.max_age), self.values["timeout"]
        )
        message: ObservationMsg = check(answer).observation
        return conversions.observation(message)

    def _publish(
        self,
        observation: Observation,
        policy: str,
        candidates: list[Candidate],
        response: Plan.Response,
    ) -> None:
        head = conversions.header(self.frame, observation.stamp)
        self._topic.publish(
            CandidatesMsg(
                header=head,
                observation_id=observation.id,
                policy=policy,
                candidates=response.candidates,
            )
        )
        if self._markers.get_subscription_count():
            self._markers.publish(candidate_markers(candidates, self.robot, head))

    def _load(self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response) -> None:
        policy = self.policy(request.policy, "")
        load = getattr(policy, "load_checkpoint", None)
        if load is None:
            learnt = [n for n in policy_names() if hasattr(self.policy(n, ""), "load_checkpoint")]
            raise UnknownName("learnt policy (others have no checkpoint)", policy.name, learnt)
        with self._still(policy):
            response.card = load(request.path, request.digest)
            # One policy for each arm that was asked for: they all judge alike.
            with self._lock:
                self._loaded[policy.name] = (request.path, request.digest)
                for (name, _), other in self._policies.items():
                    if name == policy.name and other is not policy:
                        other.load_checkpoint(request.path, request.digest)  # type: ignore[attr-defined]
        set_ok(response)

    @staticmethod
    def _primitive(value: int) -> Primitive:
        try:
            return Primitive(value)
        except ValueError:
            valid = ", ".join(f"{p.value} ({p.name})" for p in Primitive)
            raise InvalidCandidate(f"unknown primitive {value}; valid: {valid}") from None


def _learns(policy: Policy) -> bool:
    """Whether it goes on learning from its tries."""
    return isinstance(policy, PolicyBase) and bool(getattr(policy.params, "learn", False))


def _lacks_view(policy: Policy, observation: Observation) -> bool:
    """Whether no hand camera's view has been added to the observation yet."""
    hands = {arm.hand_camera for arm in policy.robot.arms if arm.hand_camera}  # type: ignore[attr-defined]
    return not hands & set(observation.views)


def _inside(candidate: Candidate, box: Any, workspace: Workspace) -> bool:
    """Whether it acts, or begins to, in a box of the heightmap [px]."""
    v, u = point_to_pixel(workspace, *candidate.pose[:2, 3])
    return bool(
        box.x_offset <= u < box.x_offset + box.width
        and box.y_offset <= v < box.y_offset + box.height
    )
