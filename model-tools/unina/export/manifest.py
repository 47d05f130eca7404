"""`manifest.json` of schema versions 1 and 2 (docs/bundle.md), without the hashes that the bundle writer adds."""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import onnx
import torch

import unina
from unina.dla.graph import Graph
from unina.dla.precision import float16_tensors
from unina.dla.scales import ScaleMap
from unina.evaluate import Head
from unina.evaluate.picture_input import PictureInput
from unina.export.tables import Rounding

SCHEMA = 1
NETWORK_SCHEMA = 2
DECODES = ("classify", "raw")
"""What becomes of the outputs under schema 2: first classes of a softmax, or nothing."""
MAX_DETECTIONS = 300
INPUT_FORMAT, OUTPUT_FORMAT = "hwc4", "chw32"
"""The DLA's native INT8 layouts of a three-channel input and of its outputs: nothing is reformatted on the GPU."""
FLOAT16_FORMAT = "chw16"
"""The same of an output in FP16."""


@dataclass(frozen=True)
class Provenance:
    """Where a bundle comes from."""

    seed: int | None
    """of the training run"""
    dataset_sha256: str
    """of the data set that calibrated and scored it"""
    calibration: Mapping[str, Any]
    spec: Mapping[str, Any]
    training: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """With the time of export (SOURCE_DATE_EPOCH, if set: reproducible-builds.org) and the tools' versions."""
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
        return {
            "created": now.isoformat(timespec="seconds"),
            "unina": unina.__version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            **dataclasses.asdict(self),
        }


def manifest(
    *,
    name: str,
    classes: Sequence[str],
    head: Head,
    graph: Graph,
    scales: ScaleMap,
    thresholds: Sequence[float],
    rounding: Rounding,
    provenance: Provenance,
    accuracy: Mapping[str, Any],
    parity: Sequence[Mapping[str, Any]],
    promoted: Collection[str] = (),
) -> dict[str, Any]:
    """The manifest as plain values.

    Args:
        accuracy: by stage, as plain values.
        promoted: names of the convolutions that run in FP16.

    Raises:
        ValueError: class names that cannot stand in labels.txt, or a promoted layer that the graph does not have.
    """
    labels(classes)
    float16 = float16_tensors(graph, promoted)
    maps = zip(head.strides, head.output_names[0::2], head.output_names[1::2], strict=True)
    return {
        "schema": SCHEMA,
        "name": name,
        "classes": list(classes),
        "input": _input(graph, scales, head),
        "levels": [{"stride": stride, "class": class_map, "box": box_map} for stride, class_map, box_map in maps],
        "reg_max": head.reg_max,
        "tensors": _tensors(graph, scales, float16),
        "thresholds": [round(value, 4) for value in thresholds],
        "max_detections": MAX_DETECTIONS,
        "rounding": rounding,
        "provenance": provenance.to_json(),
        "accuracy": dict(accuracy),
        "parity": list(parity),
    }


def network_manifest(
    *,
    name: str,
    decode: str,
    classes: Sequence[str],
    picture: PictureInput,
    graph: Graph,
    scales: ScaleMap,
    rounding: Rounding,
    provenance: Provenance,
    accuracy: Mapping[str, Any],
    parity: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The manifest, of schema version 2, of a network that is no detector of ours; `decode`: see DECODES."""
    labels(classes)
    return {
        "schema": NETWORK_SCHEMA,
        "name": name,
        "decode": decode,
        "classes": list(classes),
        "input": _input(graph, scales, picture),
        "tensors": _tensors(graph, scales, frozenset()),
        "rounding": rounding,
        "provenance": provenance.to_json(),
        "accuracy": dict(accuracy),
        "parity": list(parity),
    }


def _input(graph: Graph, scales: ScaleMap, picture: Head | PictureInput) -> dict[str, Any]:
    return {
        "name": graph.inputs[0],
        "height": picture.height,
        "width": picture.width,
        "color": picture.color,
        "letterbox_value": picture.letterbox_value,
        "offset": 128,
        "scale": float(scales[graph.inputs[0]]),
    }


def _tensors(graph: Graph, scales: ScaleMap, float16: Collection[str]) -> list[dict[str, Any]]:
    """What crosses the DLA's border."""
    roles = [
        *((n, "input", INPUT_FORMAT) for n in graph.inputs),
        *((n, "output", OUTPUT_FORMAT) for n in graph.outputs),
    ]
    return [
        {"name": tensor, "role": role, "shape": list(graph.shapes[tensor])}
        | (
            {"dtype": "float16", "format": FLOAT16_FORMAT}
            if tensor in float16
            else {
                "dtype": "int8",
                "scale": float(scales[tensor]),
                "scale_bits": scales.bits(tensor),
                "format": layout,
            }
        )
        for tensor, role, layout in roles
    ]


def labels(classes: Sequence[str]) -> bytes:
    """The content of labels.txt. Raises ValueError for a name that is not one line."""
    for name in classes:
        if not name or name.splitlines() != [name]:
            raise ValueError(f"class name {name!r} is not one line of text; rename it in the data set")
    return "".join(f"{name}\n" for name in classes).encode()
