"""`manifest.json` of schema version 1 (docs/bundle.md), without the hashes that the bundle writer adds."""

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
from unina.evaluate import Head, Metrics
from unina.export.lower import Rounding

SCHEMA = 1
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
    accuracy: Mapping[str, Metrics],
    parity: Sequence[Mapping[str, Any]],
    promoted: Collection[str] = (),
) -> dict[str, Any]:
    """The manifest as plain values.

    Args:
        promoted: names of the convolutions that run in FP16.

    Raises:
        ValueError: class names that cannot stand in labels.txt, or a promoted layer that the graph does not have.
    """
    labels(classes)
    float16 = float16_tensors(graph, promoted)
    roles = [
        *((n, "input", INPUT_FORMAT) for n in graph.inputs),
        *((n, "output", OUTPUT_FORMAT) for n in graph.outputs),
    ]
    maps = zip(head.strides, head.output_names[0::2], head.output_names[1::2], strict=True)
    return {
        "schema": SCHEMA,
        "name": name,
        "classes": list(classes),
        "input": {
            "name": graph.inputs[0],
            "height": head.height,
            "width": head.width,
            "color": head.color,
            "letterbox_value": head.letterbox_value,
            "offset": 128,
            "scale": float(scales[graph.inputs[0]]),
        },
        "levels": [{"stride": stride, "class": class_map, "box": box_map} for stride, class_map, box_map in maps],
        "reg_max": head.reg_max,
        "tensors": [
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
        ],
        "thresholds": [round(value, 4) for value in thresholds],
        "max_detections": MAX_DETECTIONS,
        "rounding": rounding,
        "provenance": provenance.to_json(),
        "accuracy": {stage: metrics.to_json() for stage, metrics in accuracy.items()},
        "parity": list(parity),
    }


def labels(classes: Sequence[str]) -> bytes:
    """The content of labels.txt. Raises ValueError for a name that is not one line."""
    for name in classes:
        if not name or name.splitlines() != [name]:
            raise ValueError(f"class name {name!r} is not one line of text; rename it in the data set")
    return "".join(f"{name}\n" for name in classes).encode()
