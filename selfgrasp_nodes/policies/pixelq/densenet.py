"""The convolutions of DenseNet-121 (Huang and others 2017, table 1).

Names are those of torchvision's ``densenet121().features``, so that its ImageNet
weights fit. Normalisation is the caller's choice: a value is learnt from one
picture at a time, and batch statistics of one picture while learning with running
ones afterwards would be two different networks.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.policies.foreign_weights import read_state_dict

GROWTH, BOTTLENECK, STEM = 32, 4, 64
BLOCKS = (6, 12, 24, 16)
OUTPUTS = 1024
STRIDE = 32
"""Of the last map."""

Norm = Callable[[int], nn.Module]


class Frozen(nn.BatchNorm2d):
    """Batch normalisation with fixed statistics, while learning too; scale and offset learn."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise with the running statistics, whatever the mode."""
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            False,
            0.0,
            self.eps,
        )


def instance(channels: int) -> nn.Module:
    """Each picture by its own statistics, while learning and afterwards alike.

    That is what batch normalisation in training mode does to a batch of one, as
    the reference code runs it always.
    """
    return nn.InstanceNorm2d(channels, affine=True, track_running_stats=False)


NORMS: dict[str, Norm] = {"frozen": Frozen, "instance": instance}


class _Layer(nn.Module):
    """BN, ReLU, 1x1, BN, ReLU, 3x3; its input goes on beside its output."""

    def __init__(self, inputs: int, norm: Norm):
        super().__init__()
        middle = BOTTLENECK * GROWTH
        self.norm1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.norm2 = norm(middle)
        self.conv2 = nn.Conv2d(middle, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return torch.cat([x, y], 1)


class _Transition(nn.Module):
    """BN, ReLU, 1x1 to half the channels, 2x2 mean."""

    def __init__(self, inputs: int, norm: Norm):
        super().__init__()
        self.norm = norm(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2, 2)


def densenet121(norm: Norm) -> nn.Sequential:
    """The features: (B, 3, H, W) -> (B, 1024, H / 32, W / 32).

    Args:
        norm: Makes a normalisation of so many channels.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv0=nn.Conv2d(3, STEM, 7, 2, 3, bias=False),
        norm0=norm(STEM),
        relu0=nn.ReLU(inplace=True),
        pool0=nn.MaxPool2d(3, 2, 1),
    )
    channels = STEM
    for index, count in enumerate(BLOCKS, 1):
        block: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(count):
            block[f"denselayer{number + 1}"] = _Layer(channels + number * GROWTH, norm)
        layers[f"denseblock{index}"] = nn.Sequential(block)
        channels += count * GROWTH
        if index < len(BLOCKS):
            layers[f"transition{index}"] = _Transition(channels, norm)
            channels //= 2
    layers["norm5"] = norm(channels)
    return nn.Sequential(layers)


def load_imagenet(trunks: list[nn.Sequential], path: Path) -> None:
    """Put ImageNet weights of torchvision's DenseNet-121 into trunks.

    Its older files call a layer's parts ``norm.1`` where newer ones say ``norm1``;
    both are read. Where trunks normalise by each picture's statistics, the
    file's running statistics are left out.

    Args:
        trunks: Each is filled with all of them.
        path: See :func:`read_state_dict`.

    Raises:
        StorageError: If the file is missing, of another format or damaged.
        InvalidConfig: If it lacks a weight, or one has another shape.
    """
    given = {}
    for name, value in read_state_dict(path, "torchvision's DenseNet-121").items():
        name = re.sub(r"^(module\.)?(features\.)?", "", name)
        given[re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)] = value
    for trunk in trunks:
        chosen = {}
        for name, mine in trunk.state_dict().items():
            # Older files count no batches, and nothing depends on that number.
            counted = name.endswith("num_batches_tracked")
            found: Tensor | None = given.get(name, mine if counted else None)
            if not isinstance(found, Tensor) or found.shape != mine.shape:
                shape = tuple(found.shape) if isinstance(found, Tensor) else "missing"
                raise InvalidConfig(
                    f"{path}: features.{name} is {shape}, torchvision's DenseNet-121 has "
                    f"{tuple(mine.shape)}"
                )
            chosen[name] = found
        trunk.load_state_dict(chosen)
