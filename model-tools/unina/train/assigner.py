"""Task-aligned assignment (TOOD, arXiv 2108.07755): which anchors answer for which target.

The metric s^α · IoU^β ranks the anchors inside a target; the best `top` become positives. Both heads use the same α and
β, so that the one anchor of the one-to-one head is the best of the one-to-many head's: YOLOv10's consistent matching
metric (arXiv 2405.14458, section 3.1). Targets of a whole batch are one flat list, and only pairs of a target and an
anchor inside it are ever computed.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from unina.train.anchors import Anchors

MIN_HALF_SIZE = 0.75
"""Smallest half width and height of the region searched for anchors, in finest strides (3 px at stride 4).

Above ½, so that even a box smaller than a cell has an anchor point to itself."""

NEARNESS = 1e-9
"""Weight of the distance to the centre: decides only where the metric is equal, as before the first boxes overlap."""


@dataclass(frozen=True)
class Targets:
    """The labelled boxes of a batch."""

    boxes: Tensor
    """T×4 xyxy, input pixels"""
    classes: Tensor
    """T, int64; an index ≥ the number of classes means one of a group of them"""
    images: Tensor
    """T, int64: which picture of the batch"""
    ignored: Tensor = field(default_factory=lambda: torch.zeros(0, 4))
    """I×4 xyxy: regions in which nothing is to be learnt"""
    ignored_images: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    """I, int64"""

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Pairs:
    """Candidate pairs: anchor `rows[i]` (image · A + anchor) lies inside target `targets[i]`."""

    targets: Tensor
    rows: Tensor
    nearness: Tensor
    """0…1, 1 at the target's centre"""


@dataclass(frozen=True)
class Assignment:
    """The positives: each row answers for one target."""

    targets: Tensor
    """P, index into the targets"""
    rows: Tensor
    """P, image · A + anchor; no row twice"""
    scores: Tensor
    """P, the class score to learn: metric, scaled so that the best anchor of a target gets that target's best IoU"""
    pairs: Tensor
    """P, index into the candidate pairs"""


def candidates(targets: Targets, anchors: Anchors) -> Pairs:
    """All anchors inside each target, whose box is first grown to a minimum size."""
    centres = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
    floor = MIN_HALF_SIZE * float(anchors.strides.min())
    half = ((targets.boxes[:, 2:] - targets.boxes[:, :2]) / 2).clamp(min=floor)
    offset = (anchors.points[None] - centres[:, None]).abs() / half[:, None]  # T×A×2, 1 at the edge
    reach = offset.amax(dim=2)
    target, anchor = torch.nonzero(reach < 1, as_tuple=True)
    return Pairs(target, targets.images[target] * len(anchors) + anchor, 1 - reach[target, anchor])


def ignored_rows(targets: Targets, anchors: Anchors, images: int) -> Tensor:
    """images×A, bool: anchors inside an ignored region."""
    rows = torch.zeros(images, len(anchors), dtype=torch.bool)
    for box, image in zip(targets.ignored, targets.ignored_images, strict=True):
        rows[image] |= ((anchors.points > box[:2]) & (anchors.points < box[2:])).all(dim=1)
    return rows


def assign(pairs: Pairs, scores: Tensor, overlaps: Tensor, top: int, alpha: float, beta: float) -> Assignment:
    """Picks the positives.

    pairs: K candidates; scores: K, predicted score of the target's class; overlaps: K, IoU of the predicted box.
    A row wanted by several targets goes to the one it overlaps most. A target that thereby loses its last anchor takes
    its best free one, so that neighbours never silence each other while an anchor is left.
    """
    metric = scores.double().pow(alpha) * overlaps.double().pow(beta) + NEARNESS * pairs.nearness.double()
    chosen = settle(pairs, rank(pairs.targets, metric) < top, metric, overlaps)
    while True:
        taken = torch.isin(pairs.rows, pairs.rows[chosen])
        served = torch.isin(pairs.targets, pairs.targets[chosen])
        free = ~taken & ~served
        if not bool(free.any()):
            break
        best = rank(pairs.targets, metric.masked_fill(~free, -1)) < 1
        chosen = chosen | settle(pairs, best & free, metric, overlaps)

    index = torch.nonzero(chosen)[:, 0]
    target = pairs.targets[index]
    count = int(pairs.targets.max()) + 1 if len(pairs.targets) else 0
    best_metric = torch.zeros(count, dtype=torch.float64).scatter_reduce(0, target, metric[index], "amax")
    best_overlap = torch.zeros(count).scatter_reduce(0, target, overlaps[index].float(), "amax")
    wanted = (metric[index] / best_metric[target]).float() * best_overlap[target]
    return Assignment(target, pairs.rows[index], wanted, index)


def rank(groups: Tensor, values: Tensor) -> Tensor:
    """Position of each of N values among those of its group (N indices), largest first: 0 is the best."""
    order = torch.argsort(values, descending=True, stable=True)
    order = order[torch.argsort(groups[order], stable=True)]
    place = torch.arange(len(order))
    ordered = groups[order]
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    first = torch.cummax(torch.where(starts, place, torch.zeros_like(place)), dim=0).values
    ranks = torch.empty_like(place)
    ranks[order] = place - first
    return ranks


def settle(pairs: Pairs, wanted: Tensor, metric: Tensor, overlaps: Tensor) -> Tensor:
    """Of the wanted pairs (K, bool) those that remain when every row goes to one target: by IoU, then by metric."""
    index = torch.nonzero(wanted)[:, 0]
    index = index[torch.argsort(metric[index], descending=True, stable=True)]
    winners = rank(pairs.rows[index], overlaps[index]) == 0
    kept = torch.zeros_like(wanted)
    kept[index[winners]] = True
    return kept
