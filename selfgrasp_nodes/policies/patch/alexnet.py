"""The paper's own network, and ImageNet weights from a file that the user gives.

Pinto and Gupta (2016), section III-C and figure 5: the five convolutions of
AlexNet, pretrained on ImageNet; fully connected layers of 4096 and 1024, from
Gaussians; 18 heads of two classes each; input 227 x 227. Where the paper is
silent this follows the authors' later code: N(0, 0.01), biases 0.1, dropout 0.5.
The convolutions are those of torchvision's ``alexnet`` ("one weird trick": 64,
192, 384, 256, 256 channels, no grouping, no local normalisation) under the same
names, so that its ImageNet weights fit. On 227 pixels its last map is 6 x 6 and
needs no adaptive pooling.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.policies.foreign_weights import read_state_dict
from selfgrasp_nodes.policies.patch.encoding import ANGLES
from selfgrasp_nodes.policies.patch.networks import PatchNetwork, sample, square

PIXELS = 227
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, as torchvision's weights expect them."""


class PaperNetwork(PatchNetwork):
    """AlexNet's convolutions, two full layers, 18 heads of two classes."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: str = "rgb", dropout: float = 0.5):
        """Build it; only colour is shown.

        Raises:
            InvalidConfig: If other channels are asked for.
        """
        if channels != "rgb":
            raise InvalidConfig("the paper's network takes channels 'rgb' alone")
        super().__init__(square(PIXELS), channels)
        relu = nn.ReLU
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2),
            relu(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            relu(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            relu(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            relu(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            relu(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 1024)
        self.heads = nn.Linear(1024, 2 * ANGLES)
        for layer in (self.fc6, self.fc7, self.heads):
            nn.init.normal_(layer.weight, 0.0, 0.01)
            nn.init.constant_(layer.bias, 0.1)
        self.drop = nn.Dropout(dropout)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), False)

    def scores(self, images: Tensor, frames: Tensor) -> Tensor:
        """(B, 18, 2) activations of the heads: failure, success."""
        x = sample(images, frames, self.points)[:, :3]
        x = self.features((x - self.mean) / self.deviation).flatten(1)
        x = self.drop(torch.relu(self.fc6(x)))
        x = self.drop(torch.relu(self.fc7(x)))
        return self.heads(x).view(-1, ANGLES, 2)

    def forward(self, images: Tensor, frames: Tensor, tips: Tensor) -> Tensor:
        """See :class:`PatchNetwork`.

        The log-odds of a softmax over two classes are their difference, and the
        paper's loss on the tried bin is the logistic loss of that.
        """
        scores = self.scores(images, frames)
        return scores[..., 1] - scores[..., 0]


def load_imagenet(network: PaperNetwork, path: Path) -> None:
    """Put ImageNet weights of torchvision's AlexNet into the convolutions.

    Args:
        network: To fill; its fully connected layers stay as they are.
        path: A safetensors file, or the zip that ``torch.save`` writes (as
            torchvision's ``alexnet-owt-7be5be79.pth``), of a state dict. The zip
            is read with ``weights_only=True``: tensors in plain dictionaries and
            nothing else. The older format, a bare pickle, is refused.

    Raises:
        StorageError: If the file is missing, of another format or damaged.
        InvalidConfig: If it lacks a weight, or one has another shape.
    """
    weights = read_state_dict(path, "torchvision's AlexNet")
    mine = network.features.state_dict()
    prefix = "features."
    chosen = {}
    for name, tensor in mine.items():
        given = weights.get(prefix + name)
        if not isinstance(given, Tensor) or given.shape != tensor.shape:
            shape = tuple(given.shape) if isinstance(given, Tensor) else "missing"
            raise InvalidConfig(
                f"{path}: {prefix + name} is {shape}, torchvision's AlexNet has "
                f"{tuple(tensor.shape)}"
            )
        chosen[name] = given
    network.features.load_state_dict(chosen)
