"""Keeps of a checkpoint what another training can start from: the averaged weights, kernels in float16.

    python model-tools/training/slim.py build/training/cones/checkpoint.pt model-tools/weights/cones.pt

What a resumed run needs (optimiser, progress) and the spec with its places on a disk are left out.
"""

import sys
from pathlib import Path

from unina.model import CheckpointError, load_checkpoint, save_checkpoint

KEPT = ("seed", "epoch", "dataset_sha256", "metrics")


def main() -> int:
    """Exit code 0: written; 2: the checkpoint can't be read."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        checkpoint = load_checkpoint(Path(sys.argv[1]))
    except CheckpointError as error:
        print(f"slim: {error}", file=sys.stderr)
        return 2
    model = checkpoint.model
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.half()
    save_checkpoint(Path(sys.argv[2]), model, {key: checkpoint.info.get(key) for key in KEPT})
    return 0


if __name__ == "__main__":
    sys.exit(main())
