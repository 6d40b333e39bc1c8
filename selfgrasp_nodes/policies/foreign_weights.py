"""Weights that others trained, from a file, without running what is in it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from selfgrasp_nodes.errors import StorageError

if TYPE_CHECKING:
    from torch import Tensor


def read_state_dict(path: Path, what: str) -> dict[str, Tensor]:
    """Tensors by name.

    Args:
        path: A safetensors file, or the zip that ``torch.save`` writes of a state
            dict. The zip is read with ``weights_only=True``: tensors in plain
            dictionaries and nothing else. The older format, a bare pickle, is refused.
        what: For messages, e.g. ``"torchvision's AlexNet"``.

    Raises:
        StorageError: If the file is missing, of another format or damaged.
    """
    import torch

    if not path.is_file():
        raise StorageError(f"there is no file {path} with the weights of {what}")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise StorageError(f"{path} is no whole safetensors file ({error})") from error
    if not zipfile.is_zipfile(path):
        raise StorageError(
            f"{path} is neither safetensors nor the zip that torch.save writes; bare pickles are "
            "never loaded. Save the state dict as safetensors"
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file provokes
        raise StorageError(
            f"{path} holds more than tensors, or is damaged ({type(error).__name__}); give the "
            f"state dict of {what}, best as safetensors"
        ) from error
    if not isinstance(weights, dict):
        raise StorageError(f"{path} holds no state dict of {what}")
    return {str(name): value for name, value in weights.items()}
