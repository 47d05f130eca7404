"""COCO mean average precision of detections against labelled samples.

The arithmetic is faster-coco-eval's (101 recall points, all areas); this file only translates.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from unina.data import Sample
from unina_runtime import Detections

MAX_DETECTIONS = 300
"""Detections a picture that count: what a bundle emits at most; cones number 35 at the 99th percentile."""


@dataclass(frozen=True)
class Metrics:
    """Accuracy of one stage on one split; every AP lies in [0, 1]."""

    map50: float
    """Mean over classes with labels of the AP at IoU 0.5."""
    map50_95: float
    """The same, averaged over IoU 0.50, 0.55, …, 0.95."""
    ap50: dict[str, float]
    """AP at IoU 0.5 of each class that has labels."""
    images: int
    boxes: int

    def to_json(self) -> dict[str, Any]:
        """As plain Python values, for manifests and reports."""
        return asdict(self)


def score(samples: Sequence[Sample], detections: Sequence[Detections], names: Sequence[str]) -> Metrics:
    """Scores `detections[i]` against the boxes of `samples[i]` (both in source pixels).

    Raises:
        ValueError: no samples, no labelled box among them, or lengths that differ.
    """
    if len(samples) != len(detections):
        raise ValueError(f"{len(samples)} samples but {len(detections)} lists of detections")
    boxes = sum(len(sample.classes) for sample in samples)
    if boxes == 0:
        raise ValueError("no labelled box to score against: give a split with labels")
    annotations = [
        _annotation(image, int(label), box)
        for image, sample in enumerate(samples)
        for label, box in zip(sample.classes, sample.boxes, strict=True)
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation |= {"id": number, "iscrowd": 0}
    results = [
        _annotation(image, int(label), box) | {"score": float(confidence)}
        for image, found in enumerate(detections)
        for label, box, confidence in zip(found.classes, found.boxes, found.scores, strict=True)
    ]
    labelled = sorted({int(label) for sample in samples for label in sample.classes})
    if not results:
        return Metrics(0.0, 0.0, {names[label]: 0.0 for label in labelled}, len(samples), boxes)

    truth = {
        "images": [{"id": i, "width": s.width, "height": s.height} for i, s in enumerate(samples)],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # the library narrates
        coco = COCO(truth)
        evaluation = COCOeval_faster(coco, coco.loadRes(results), "bbox")
        evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
        evaluation.params.catIds = labelled
        evaluation.evaluate()
        evaluation.accumulate()
    # precision: IoU × recall × class × area × maxDets; area 0 is "all", the last maxDets is ours; -1 marks "no label".
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    ap = precision.mean(axis=1)
    return Metrics(
        map50=float(ap[0].mean()),
        map50_95=float(ap.mean()),
        ap50={names[label]: float(ap[0, k]) for k, label in enumerate(labelled)},
        images=len(samples),
        boxes=boxes,
    )


def _annotation(image: int, label: int, box: Any) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(v) for v in box)
    width, height = x1 - x0, y1 - y0
    return {"image_id": image, "category_id": label, "bbox": [x0, y0, width, height], "area": width * height}
