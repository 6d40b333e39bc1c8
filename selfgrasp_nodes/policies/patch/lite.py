"""A network whose trunk can begin from ImageNet: the first blocks of EfficientNet-Lite0.

The paper's network begins from AlexNet's ImageNet convolutions. To ask at an
affordable price whether pretraining pays, this one takes the trunk of
EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation, ReLU6) up to its
112 channels at a sixteenth of the picture, on colour alone, and 18 outputs. The
names are those of the PyTorch port ``efficientnet_lite_pytorch``, so that its
weights fit; paddings are TensorFlow's.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig, StorageError
from selfgrasp_nodes.policies.patch.encoding import ANGLES
from selfgrasp_nodes.policies.patch.networks import PatchNetwork, sample, square

BLOCKS = (
    # repeats, kernel, stride, expansion, outputs
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
)
"""Of EfficientNet-Lite0, without its last two groups."""

STEM = 32
"""Channels of the first layer."""

MEAN, DEVIATION = 127 / 255, 128 / 255
"""Of colours, as the weights expect them."""


class LiteNetwork(PatchNetwork):
    """See the module."""

    def __init__(self, channels: str = "rgb", pixels: int = 64, dropout: float = 0.2):
        """Build it; only colour is shown.

        Raises:
            InvalidConfig: If other channels are asked for.
        """
        if channels != "rgb":
            raise InvalidConfig("network 'lite' takes channels 'rgb' alone")
        super().__init__(square(pixels), channels)
        self.trunk = _Trunk()
        self.drop = nn.Dropout(dropout)
        cells = -(-pixels // 16)
        self.last = nn.Linear(BLOCKS[-1][-1] * cells**2, ANGLES)

    def forward(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """See :class:`PatchNetwork`."""
        x = sample(images, frames, self.points)[:, :3]
        x = self.trunk((x - MEAN) / DEVIATION)
        return self.last(self.drop(x.flatten(1)))


class _Same(nn.Conv2d):
    """Convolution with TensorFlow's padding: what is odd goes to the right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            reversed(x.shape[-2:]), reversed(self.kernel_size), reversed(self.stride), strict=True
        ):
            whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [whole // 2, whole - whole // 2]
        return super().forward(F.pad(x, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=0.01, eps=1e-3)


class _Block(nn.Module):
    """Inverted bottleneck: expand, convolve each channel, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self._residual = stride == 1 and inputs == outputs
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _Same(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self._expands = expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        given = x
        if self._expands:
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = F.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + given if self._residual else x


class _Trunk(nn.Module):
    """Stem and blocks, named as in the port."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Same(3, STEM, 3, 2, bias=False)
        self._bn0 = _norm(STEM)
        blocks, inputs = [], STEM
        for repeats, kernel, stride, expansion, outputs in BLOCKS:
            for number in range(repeats):
                step = stride if number == 0 else 1
                blocks.append(_Block(inputs, outputs, kernel, step, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return x


def load_lite(network: LiteNetwork, path: Path) -> None:
    """Put ImageNet weights of EfficientNet-Lite0 into the trunk.

    Args:
        network: To fill; its last layer stays as it is.
        path: Safetensors with the port's names (``tools/imagenet_weights.py`` makes it).

    Raises:
        StorageError: If the file is missing or damaged.
        InvalidConfig: If it lacks a weight, or one has another shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise StorageError(
            f"there is no file {path} with ImageNet weights: make it with "
            "'python tools/imagenet_weights.py'"
        )
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise StorageError(f"{path} is no whole safetensors file ({error})") from error
    mine = network.trunk.state_dict()
    for name, tensor in mine.items():
        given = weights.get(name)
        if given is None or given.shape != tensor.shape:
            shape = tuple(given.shape) if isinstance(given, torch.Tensor) else "missing"
            raise InvalidConfig(
                f"{path}: {name} is {shape}, EfficientNet-Lite0 has {tuple(tensor.shape)}"
            )
    network.trunk.load_state_dict({name: weights[name] for name in mine})
