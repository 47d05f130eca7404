"""COCO mean average precision of detections against labelled samples.

The arithmetic is faster-coco-eval's (101 recall points); this file only translates. COCO's object areas are replaced by
squared heights, so that its area ranges become ranges of height, and an ignored region is a crowd of every class.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from unina.data import Sample
from unina.evaluate.classes import ClassMap, Groups, Truth, same_classes
from unina_runtime import Detections

MAX_DETECTIONS = 300
"""Detections a picture that count: what a bundle emits at most; cones number 35 at the 99th percentile."""

HEIGHTS = ((0.0, 8.0), (8.0, 16.0), (16.0, 32.0), (32.0, 1e5))
"""Ranges of box height, low ≤ height < high, in pixels of the network's input."""


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


@dataclass(frozen=True)
class CocoScores:
    """AP of one split; classes are those that have labels."""

    ap50: dict[str, float]
    ap50_95: dict[str, float]
    map50_by_height: tuple[float, ...]
    """one for each of HEIGHTS; NaN where nothing is labelled"""

    @property
    def map50(self) -> float:
        """Mean over classes at IoU 0.5."""
        return float(np.mean(list(self.ap50.values())))

    @property
    def map50_95(self) -> float:
        """Mean over classes and ten IoUs."""
        return float(np.mean(list(self.ap50_95.values())))


def score(
    samples: Sequence[Sample], detections: Sequence[Detections], names: Sequence[str], groups: Groups = ()
) -> Metrics:
    """Scores `detections[i]` against the boxes of `samples[i]` (both in source pixels).

    `names` are the classes of the data set and of the model; classes that a group label of the samples spans
    (`Dataset.groups`) are scored as one.

    Raises:
        ValueError: no samples, no labelled box among them, or lengths that differ.
    """
    return score_as(same_classes(names, groups, samples), samples, detections)


def score_as(classes: ClassMap, samples: Sequence[Sample], detections: Sequence[Detections]) -> Metrics:
    """As `score`, for a model whose classes are not the data set's.

    Raises:
        ValueError: as `score`.
    """
    if len(samples) != len(detections):
        raise ValueError(f"{len(samples)} samples but {len(detections)} lists of detections")
    truths = [classes.truth(sample) for sample in samples]
    scores = coco_scores(truths, [classes.scored(found) for found in detections], classes.names)
    boxes = sum(len(truth.classes) for truth in truths)
    return Metrics(scores.map50, scores.map50_95, scores.ap50, len(samples), boxes)


def coco_scores(
    truths: Sequence[Truth],
    detections: Sequence[Detections],
    names: Sequence[str],
    input_size: tuple[int, int] | None = None,
) -> CocoScores:
    """Scores detections in scored classes; `input_size` (rows, columns) as in `Truth.heights`.

    Raises:
        ValueError: no labelled box.
    """
    labelled = sorted({int(label) for truth in truths for label in truth.classes})
    if not labelled:
        raise ValueError("no labelled box to score against: give a split with labels")
    if not any(len(found) for found in detections):
        nothing = {names[label]: 0.0 for label in labelled}
        heights = np.concatenate([truth.heights(input_size) for truth in truths])
        held = [bool(((heights >= low) & (heights < high)).any()) for low, high in HEIGHTS]
        return CocoScores(nothing, dict(nothing), tuple(0.0 if some else float("nan") for some in held))
    ratios = [truth.ratio(input_size) for truth in truths]
    dataset = {
        "images": [{"id": i, "width": truth.width, "height": truth.height} for i, truth in enumerate(truths)],
        "annotations": _annotations(truths, labelled),
        "categories": [{"id": label, "name": names[label]} for label in range(len(names))],
    }
    results = [
        _boxed(image, int(label), box) | {"score": float(confidence)}
        for image, found in enumerate(detections)
        for label, box, confidence in zip(found.classes, found.boxes, found.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # the library narrates
        coco = COCO(dataset)
        found = coco.loadRes(results)
        for annotation in (*coco.dataset["annotations"], *found.dataset["annotations"]):
            annotation["area"] = (annotation["bbox"][3] * ratios[annotation["image_id"]]) ** 2
        evaluation = COCOeval_faster(coco, found, "bbox")
        evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
        evaluation.params.catIds = labelled
        # COCO's ranges hold both ends
        ranges = [[low**2, float(np.nextafter(high**2, 0))] for low, high in HEIGHTS]
        evaluation.params.areaRng = [[0.0, 1e10], *ranges]
        evaluation.params.areaRngLbl = ["all", *(str(number) for number in range(len(HEIGHTS)))]
        evaluation.evaluate()
        evaluation.accumulate()
    # precision: IoU × recall × class × area × maxDets; area 0 is "all", the last maxDets is ours; -1 marks "no label".
    precision = np.asarray(evaluation.eval["precision"])[..., -1]
    ap = precision[..., 0].mean(axis=1)
    return CocoScores(
        ap50={names[label]: float(ap[0, k]) for k, label in enumerate(labelled)},
        ap50_95={names[label]: float(ap[:, k].mean()) for k, label in enumerate(labelled)},
        map50_by_height=tuple(_mean_of_known(precision[0, :, :, 1 + k].mean(axis=0)) for k in range(len(HEIGHTS))),
    )


def _annotations(truths: Sequence[Truth], labelled: Sequence[int]) -> list[dict[str, Any]]:
    found = [
        _boxed(image, int(label), box) | {"iscrowd": 0}
        for image, truth in enumerate(truths)
        for label, box in zip(truth.classes, truth.boxes, strict=True)
    ]
    found += [
        _boxed(image, label, box) | {"iscrowd": 1}
        for image, truth in enumerate(truths)
        for box in truth.ignored
        for label in labelled
    ]
    return [annotation | {"id": number} for number, annotation in enumerate(found, start=1)]


def _boxed(image: int, label: int, box: Any) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(v) for v in box)
    width, height = x1 - x0, y1 - y0
    return {"image_id": image, "category_id": label, "bbox": [x0, y0, width, height], "area": width * height}


def _mean_of_known(values: npt.NDArray[np.float64]) -> float:
    """Over classes that have a label; NaN without one."""
    known = values[values >= 0]
    return float(known.mean()) if len(known) else float("nan")
