"""Training runs of a second: two blocks on noise as a data set, and specs that learn from it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from unina.model import ModelSpec
from unina.train import AugmentSpec, RunSpec, TrainSpec
from unina.train.mixture import load_mixture
from unina.train.trainer import Trainer, Watch

COLORS = {0: (200, 60, 20), 1: (20, 200, 240)}  # BGR of blue and yellow


def write_dataset(root: Path, pictures: int = 4, labelled: bool = True, size: int = 96) -> Path:
    """Blue and yellow blocks on noise, as a YOLO-txt data set whose val is its train."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        rng = np.random.default_rng(0)
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(pictures):
            pixels = rng.integers(90, 130, (size, size, 3), dtype=np.uint8)
            lines = []
            for label, corner in enumerate(((8, 12), (52, 48))):
                x, y = (int(c + rng.integers(0, 20)) for c in corner)
                pixels[y : y + 24, x : x + 16] = COLORS[label]
                lines.append(f"{label} {(x + 8) / size} {(y + 12) / size} {16 / size} {24 / size}")
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), pixels)
            text = "\n".join(lines) + "\n" if labelled or split == "val" else ""
            (root / "labels" / split / f"{number}.txt").write_text(text)
    path = root / "data.yaml"
    path.write_text("path: .\ntrain: images/train\nval: images/val\nnames: [blue, yellow]\n")
    return path


def small_spec(data: Path, epochs: int, **train: object) -> RunSpec:
    """Two steps of four crops an epoch; `train`: fields of the TrainSpec that differ."""
    fields: dict[str, object] = {"epoch_crops": 8, "batch": 4, "crop": 96, "threads": 1, "bf16": False, "ema": 0.05}
    fields |= {"device": "cpu", "tensorboard": False}
    return RunSpec(
        data=str(data),
        model=ModelSpec(input_height=96, input_width=96),
        train=TrainSpec(**({"epochs": epochs} | fields | train)),  # type: ignore[arg-type]
        augment=AugmentSpec(scale_min=0.9, scale_max=1.1, blur=0, noise=0),
    )


def trainer_of(spec: RunSpec, output: Path, watch: Watch | None = None, resume: bool = False) -> Trainer:
    return Trainer(spec, load_mixture(spec), output, watch or Watch(), resume)


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's checkpoint: averaged and trained weights, and the optimiser's."""
    payload = torch.load(path / "checkpoint.pt", weights_only=True)
    state = {f"ema.{k}": v for k, v in payload["weights"].items()}
    state |= {f"model.{k}": v for k, v in payload["training"]["model"].items()}
    for index, buffers in payload["training"]["optimizer"]["state"].items():
        state |= {f"optimizer.{index}.{k}": v for k, v in buffers.items() if isinstance(v, torch.Tensor)}
    return state


def stop_after(step: int) -> Callable[[int, float], None]:
    """A watcher that asks the run to stop as Ctrl-C does, from within step `step`."""

    def on_step(now: int, loss: float) -> None:
        if now == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step
