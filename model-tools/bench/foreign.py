"""Networks that nobody here designed, from a class of `transformers` to a bundle: how much of them is left in INT8.

    python model-tools/bench/foreign.py --output build/foreign

Cuts cones out of synthetic scenes, trains five classifiers on them for a minute each (random first weights: nothing
is downloaded), exports each with torch's exporter and makes a bundle of it as `unina-export --from-onnx` does. A
backbone with random weights stands for networks with maps as outputs; ConvNeXt shows a refusal. Writes foreign.json.

Needs `transformers` (Apache-2.0): pip install transformers, or the extra `bench`.
"""

import argparse
import importlib
import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from unina.data import read_image
from unina.data.scenes.cones import NAMES
from unina.data.scenes.render import render_scene
from unina.evaluate import centred
from unina.evaluate.picture_input import PictureInput
from unina.export.from_onnx import OnnxResult, OnnxSettings, export_onnx_bundle
from unina.export.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalisation

SIDE = 64
LEAST_PX = 10
"""of a cone's side: below it the colour is a guess"""
SCENES = {"train": 160, "val": 40}
BATCH, LEARNING_RATE = 64, 2e-3


@dataclass(frozen=True)
class Foreign:
    """A class of transformers, and a configuration of it."""

    kind: str
    model: str
    config: str
    options: dict[str, Any]
    trained: bool = True

    def build(self) -> nn.Module:
        library: Any = importlib.import_module("transformers")
        model = getattr(library, self.model)(getattr(library, self.config)(**self.options))
        return Plain(cast("nn.Module", model))


class Plain(nn.Module):
    """A model of transformers that returns tensors alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        """x: N×3×H×W."""
        found = self.model(pixel_values=x)
        return found.logits if hasattr(found, "logits") else tuple(found.feature_maps)


NETWORKS = (
    Foreign(
        "ResNet",
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    ),
    Foreign(
        "MobileNetV2",
        "MobileNetV2ForImageClassification",
        "MobileNetV2Config",
        {"image_size": SIDE, "depth_multiplier": 0.35, "classifier_dropout_prob": 0.1},
    ),
    Foreign(
        "RegNetX",
        "RegNetForImageClassification",
        "RegNetConfig",
        {"embedding_size": 16, "hidden_sizes": [24, 48, 96], "depths": [1, 1, 2], "groups_width": 8, "layer_type": "x"},
    ),
    Foreign(
        "RegNetY",
        "RegNetForImageClassification",
        "RegNetConfig",
        {"embedding_size": 16, "hidden_sizes": [24, 48, 96], "depths": [1, 1, 2], "groups_width": 8, "layer_type": "y"},
    ),
    Foreign(
        "EfficientNet",
        "EfficientNetForImageClassification",
        "EfficientNetConfig",
        {
            "image_size": SIDE,
            "width_coefficient": 0.5,
            "depth_coefficient": 0.5,
            "hidden_dim": 640,
            "dropout_rate": 0.1,
            "drop_connect_rate": 0.0,
            "initializer_range": 0.1,
        },
    ),
    Foreign(
        "RT-DETR's ResNet",
        "RTDetrResNetBackbone",
        "RTDetrResNetConfig",
        {
            "embedding_size": 16,
            "hidden_sizes": [16, 32, 64, 128],
            "depths": [1, 1, 1, 1],
            "layer_type": "basic",
            "out_features": ["stage2", "stage3", "stage4"],
        },
        trained=False,
    ),
    Foreign(
        "ConvNeXt",
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1]},
        trained=False,
    ),
)


def cut_cones(folder: Path, scenes: dict[str, int]) -> Path:
    """A data set of single cones, each in a picture that one box fills. Returns its data.yaml."""
    for stream, (split, count) in enumerate(scenes.items()):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            scene = render_scene(7, stream, index, 1280, 720)
            for number, (box, label) in enumerate(zip(scene.layout.boxes, scene.layout.classes, strict=True)):
                x0, y0, x1, y1 = box
                if min(x1 - x0, y1 - y0) < LEAST_PX:
                    continue
                around = 0.15 * max(x1 - x0, y1 - y0)
                rows = slice(max(round(y0 - around), 0), round(y1 + around))
                columns = slice(max(round(x0 - around), 0), round(x1 + around))
                name = f"{index:04d}_{number:02d}"
                cv2.imwrite(str(folder / "images" / split / f"{name}.png"), scene.pixels[rows, columns])
                (folder / "labels" / split / f"{name}.txt").write_text(f"{label} 0.5 0.5 1 1\n")
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(NAMES))
    (folder / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\nnames:\n{names}")
    return folder / "data.yaml"


def train(network: nn.Module, data: Path, normalisation: Normalisation, epochs: int) -> None:
    """A few epochs on the cut cones, as the bundle will see them."""
    picture = PictureInput(SIDE, SIDE)
    files = sorted((data.parent / "images" / "train").iterdir())
    labels = torch.tensor(
        [int((data.parent / "labels" / "train" / f"{file.stem}.txt").read_text().split()[0]) for file in files]
    )
    pixels = [normalisation(centred(picture.pixels(read_image(file))[0])) for file in files]
    pictures = torch.from_numpy(np.concatenate(pixels))
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.01)
    steps = epochs * (len(files) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(files))[: len(files) // BATCH * BATCH].split(BATCH):
            x = pictures[chosen]
            flipped = torch.rand(len(x)) < 0.5
            x[flipped] = x[flipped].flip(-1)
            loss = nn.functional.cross_entropy(network(x), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()


def settle(network: nn.Module, data: Path, normalisation: Normalisation) -> None:
    """Running statistics of random weights: without them every map of a deep network vanishes or explodes."""
    picture = PictureInput(SIDE, SIDE)
    files = sorted((data.parent / "images" / "train").iterdir())[:BATCH]
    pictures = np.concatenate([normalisation(centred(picture.pixels(read_image(file))[0])) for file in files])
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(torch.from_numpy(pictures))
    network.eval()


def to_onnx(network: nn.Module, file: Path) -> None:
    """torch's own exporter, batch left open, as people do it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, SIDE, SIDE),),
            file,
            dynamo=False,
            opset_version=17,
            input_names=["pixel_values"],
            dynamic_axes={"pixel_values": {0: "batch"}},
        )


def measure(foreign: Foreign, data: Path, folder: Path, epochs: int) -> dict[str, Any]:
    """Trains, exports and bundles one network; what is left of it."""
    torch.manual_seed(0)
    normalisation = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
    labelled = {"num_labels": len(NAMES)} if foreign.model.endswith("Classification") else {}
    network = Foreign(foreign.kind, foreign.model, foreign.config, foreign.options | labelled).build()
    if foreign.trained:
        train(network, data, normalisation, epochs)
    else:
        settle(network, data, normalisation)
    name = "".join(letter for letter in foreign.kind.lower() if letter.isalnum())
    file = folder / f"{name}.onnx"
    to_onnx(network, file)
    settings = OnnxSettings(file, data, folder / f"{name}.unina", normalisation=normalisation, force=True)
    row: dict[str, Any] = {
        "network": foreign.kind,
        "class": foreign.model,
        "parameters": sum(weights.numel() for weights in network.parameters()),
    }
    try:
        result = export_onnx_bundle(settings)
    except ValueError as error:
        return row | {"refused": str(error)}
    return row | figures(result)


def figures(result: OnnxResult) -> dict[str, Any]:
    """What is told of a bundle."""
    return {
        "decode": result.decode,
        "onnx_relative": max(row.onnx_relative for row in result.parity),
        "host_equal_qdq": min(row.qdq_equal for row in result.parity),
        "host_snr_db": min(row.host_snr_db for row in result.parity),
        "accuracy": dict(result.accuracy),
        "on_dla": result.dla.check.on_dla,
        "notes": list(result.notes),
    }


def main() -> int:
    """Measures all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where everything goes")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    try:
        importlib.import_module("transformers")
    except ImportError:
        print("foreign.py: transformers is not installed: pip install transformers", file=sys.stderr)
        return 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    data = arguments.output / "data" / "data.yaml"
    if not data.exists():
        cut_cones(data.parent, SCENES)
    rows = []
    for foreign in NETWORKS:
        rows.append(measure(foreign, data, arguments.output, arguments.epochs))
        print(json.dumps(rows[-1], indent=2, ensure_ascii=False), flush=True)
    (arguments.output / "foreign.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
