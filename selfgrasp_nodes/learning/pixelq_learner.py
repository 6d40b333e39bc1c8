"""Q-learning of pixel values from tries (Zeng and others 2018, sections III and IV)."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from selfgrasp_nodes.errors import SelfGraspError
from selfgrasp_nodes.learning.pixelq_config import PixelqTraining
from selfgrasp_nodes.learning.pixelq_store import PixelTry, decode_state
from selfgrasp_nodes.policies.pixelq.networks import Example
from selfgrasp_nodes.policies.pixelq.online import loss_of
from selfgrasp_nodes.policies.pixelq.targets import has_lost, near_change
from selfgrasp_nodes.policies.pixelq.values import Values, build_network
from selfgrasp_nodes.robots import RobotSpec
from selfgrasp_nodes.types import Primitive


@dataclass(eq=False)
class Memory:
    """A try as it is learnt from.

    Attributes:
        example: For the network.
        tried: What is known of it; its states stay encoded.
        reward: Immediate.
        ahead: Whether what comes after counts.
        future: Value of what came after, as it was last judged.
        judged: By which copy of the judging network; -1 for none yet.
        surprise: Loss when it was last learnt from.
        seen: What came of a grasp at what this push had moved; None where none followed.
        lost: Whether it was seen to move something over the border.
    """

    example: Example
    tried: PixelTry
    reward: float
    ahead: bool
    future: float = 0.0
    judged: int = -1
    surprise: float = np.inf
    seen: float | None = None
    lost: bool = False

    def target(self, discount: float) -> float:
        """The value that its pixel should have."""
        if not self.ahead or self.lost:
            return self.reward
        future = self.future if self.seen is None else (self.future + self.seen) / 2
        return self.reward + discount * future


class Learner:
    """Network, judging copy, replay, optimiser.

    Attributes:
        config: How it learns.
        online: Values of the network that is trained.
        acting: Values of the running mean of its weights; the same where none is kept.
        memories: In the order in which the tries came.
        steps: Done.
    """

    def __init__(self, config: PixelqTraining, robot: RobotSpec):
        """Build a new network.

        Raises:
            InvalidConfig: If the network's parameters are wrong.
        """
        torch.manual_seed(config.seed)
        self.config = config
        self.online = make_values(config, robot)
        self.acting = _copy(self.online) if config.average else self.online
        self.judge = _copy(self.online) if config.target.every else self.online
        self.rule = config.target.rule()
        self.memories: list[Memory] = []
        self.steps, self.copies = 0, 0
        parameters = self.online.network.parameters()
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(
                parameters, config.rate, momentum=0.9, weight_decay=config.weight_decay
            )
        else:
            self.optimizer = torch.optim.AdamW(
                parameters, config.rate, weight_decay=config.weight_decay
            )
        self.rng = np.random.default_rng([config.seed, 2])
        self._last: dict[int, Memory] = {}

    def add(self, tried: PixelTry) -> None:
        """Remember a try."""
        state = decode_state(tried.before)
        kind = Primitive(tried.primitive)
        example = self.online.network.example(
            state, kind, tried.angle, tried.row, tried.col, tried.opening
        )
        reward = self.rule.reward(kind, tried.success, tried.changed)
        ahead = self.rule.looks_ahead(kind, tried.success, tried.changed) and bool(tried.after)
        memory = Memory(example, tried, reward, ahead)
        if self.config.target.hindsight:
            self._look_back(memory)
        self.memories.append(memory)

    def step(self) -> float:
        """One step of learning from the replay; returns the mean loss."""
        chosen = self.choose()
        self._judge(chosen)
        discount = self.rule.discount
        network = self.online.network.train()
        output = network.values([m.example for m in chosen], vary=True)
        target = torch.tensor([m.target(discount) for m in chosen], dtype=torch.float32)
        heavy = self.config.target.lost_weight
        weight = torch.tensor([heavy if m.lost else 1.0 for m in chosen])
        losses = loss_of(output, target, self.config.loss) * weight
        if not bool(torch.isfinite(losses).all()):
            raise SelfGraspError(
                f"the loss is no number after {self.steps} steps: begin anew with a lower rate; "
                "the last checkpoint is whole"
            )
        slow = self.config.rate_steps
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate / (1 + self.steps / slow if slow else 1)
        self.optimizer.zero_grad()
        mean = losses.mean()
        mean.backward()
        self.optimizer.step()
        network.eval()
        for memory, loss in zip(chosen, losses.detach().numpy(), strict=True):
            memory.surprise = float(loss)
        self.steps += 1
        self._average()
        every = self.config.target.every
        if every and self.steps % every == 0:
            self.judge.network.load_state_dict(self.acting.network.state_dict())
            self.copies += 1
        elif not every:
            self.copies += 1
        return mean.item()

    def choose(self) -> list[Memory]:
        """Tries for one step: the newest, surprising ones, and any."""
        replay, memories = self.config.replay, self.memories
        found = [memories[-1]] if replay.newest else []
        pool = memories
        if replay.opposite:
            # From the tries before the last one: indices of the pool are its own, and
            # never mistaken for those of all tries.
            last = memories[-1].tried
            pool = [
                m
                for m in memories[:-1]
                if m.tried.primitive == last.primitive and m.tried.success != last.success
            ]
        missing = replay.batch - len(found)
        if not pool or missing <= 0:
            return found
        surprising = round(missing * replay.surprising)
        if surprising:
            ranked = sorted(pool, key=lambda m: m.surprise)
            # Density 2 x on ranks 0..1, as in the reference: large losses come more often.
            where = np.rint(self.rng.power(2, surprising) * (len(ranked) - 1)).astype(int)
            found += [ranked[i] for i in where]
        for i in self.rng.integers(len(pool), size=missing - surprising):
            found.append(pool[int(i)])
        return found

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights that act."""
        return self.acting.network.state_dict()

    def _judge(self, chosen: list[Memory]) -> None:
        """Judge anew what came after, where it never was, or by an older copy."""
        refresh = self.config.target.refresh
        left = int((self.steps + 1) * refresh) - int(self.steps * refresh)
        memories = list(dict.fromkeys(chosen))
        if not self.config.target.every:
            # A network that judges itself is another one after each step: the newest try, in
            # every batch, would use up what may be judged anew.
            memories.sort(key=lambda memory: memory.judged)
        for memory in memories:
            if not memory.ahead or memory.judged == self.copies:
                continue
            if memory.judged >= 0:
                if left <= 0:
                    continue
                left -= 1
            before, after = (decode_state(d) for d in (memory.tried.before, memory.tried.after))
            memory.lost = self.rule.border and has_lost(before, after)
            memory.future = self.rule.future(
                before, after, self.config.actions(), self.judge, self.online
            )
            if self.config.loss == "probability":
                memory.future = float(np.clip(memory.future, 0, 1))
            memory.judged = self.copies

    def _look_back(self, memory: Memory) -> None:
        """Tell the push before this grasp what came of it."""
        tried = memory.tried
        before = self._last.get(tried.episode)
        self._last[tried.episode] = memory
        while len(self._last) > 100:
            del self._last[next(iter(self._last))]
        if before is None or not before.ahead or tried.primitive != Primitive.GRASP:
            return
        pushed = before.tried
        if pushed.primitive != Primitive.PUSH or pushed.index + 1 != tried.index:
            return
        moved = near_change(decode_state(pushed.before), decode_state(pushed.after))
        if moved[tried.row, tried.col]:
            before.seen = float(tried.success)

    def _average(self) -> None:
        if self.acting is self.online:
            return
        # At first the mean follows quickly: it is of what there is.
        decay = min(self.config.average, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            mine = self.acting.network.state_dict()
            for name, value in self.online.network.state_dict().items():
                if value.is_floating_point():
                    mine[name].lerp_(value, 1 - decay)
                else:
                    mine[name].copy_(value)


def make_values(config: PixelqTraining, robot: RobotSpec) -> Values:
    """An untrained network with the configuration's meaning of its output."""
    network = build_network(
        config.network,
        robot.arms[0].gripper,
        robot.workspace.workspace,
        config.strokes.strokes(),
    )
    return Values(network.eval(), config.loss, {})


def _copy(values: Values) -> Values:
    return Values(copy.deepcopy(values.network).eval(), values.output, values.calibration)
