"""The training loss: assignment and the three losses, for both heads."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unina.model.detector import DetectorMaps
from unina.train.anchors import Anchors, Predictions, boxes_of, distances, sides_of
from unina.train.assigner import Pairs, Targets, assign, candidates, ignored_rows
from unina.train.groups import other_members, resolve_groups
from unina.train.losses import ciou_loss, class_loss, dfl_loss, iou
from unina.train.schedule import one_to_one_top
from unina.train.spec import TrainSpec


@dataclass(frozen=True)
class Losses:
    """One step's losses, each multiplied by its gain and summed over both heads; scalars."""

    total: Tensor
    class_: Tensor
    box: Tensor
    dfl: Tensor
    positives: int
    """anchors of the one-to-many head that answered for a target"""


@dataclass(frozen=True)
class Matching:
    """How a head's anchors are matched to targets: the `top` best by score^alpha · IoU^beta."""

    top: int
    alpha: float
    beta: float


@dataclass(frozen=True)
class Scene:
    """What both heads of a batch are measured against."""

    targets: Targets
    classes: Tensor
    """T, the targets' classes with every group decided"""
    anchors: Anchors
    pairs: Pairs
    ignored: Tensor
    """N×A, bool"""


class Criterion:
    """Turns maps and targets into losses."""

    def __init__(
        self,
        spec: TrainSpec,
        strides: tuple[int, ...],
        reg_max: int,
        groups: tuple[tuple[int, ...], ...] = (),
        total: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """`groups`: what the target classes past the last mean, "one of these" each; `total`: the sum over all
        processes that share a batch."""
        self.spec = spec
        self.total = total
        self.groups = groups
        self.strides = strides
        self.reg_max = reg_max

    def __call__(self, maps: DetectorMaps, targets: Targets, step: int) -> Losses:
        """The loss of the batch of an optimiser step; every part is normalised by the sum of the target scores."""
        sizes = [(int(logits.shape[2]), int(logits.shape[3])) for logits, _ in maps.one_to_many]
        anchors = Anchors.of(sizes, self.strides)
        pairs = candidates(targets, anchors)
        ignored = ignored_rows(targets, anchors, maps.one_to_many[0][0].shape[0])
        many_predictions, one_predictions = Predictions.of(maps.one_to_many), Predictions.of(maps.one_to_one)
        classes = resolve_groups(targets.classes, pairs, many_predictions, self.groups)
        scene = Scene(targets, classes, anchors, pairs, ignored)
        spec = self.spec
        many_rule = Matching(spec.one_to_many_top, spec.alpha, spec.beta)
        one_rule = Matching(one_to_one_top(step, spec), spec.one_to_one_alpha, spec.one_to_one_beta)
        many, positives = self.head_losses(many_predictions, scene, many_rule)
        one, _ = self.head_losses(one_predictions, scene, one_rule)
        gains = torch.tensor([spec.class_gain, spec.box_gain, spec.dfl_gain])
        parts = (many + one) * gains
        return Losses(parts.sum(), parts[0].detach(), parts[1].detach(), parts[2].detach(), positives)

    def head_losses(self, predictions: Predictions, scene: Scene, rule: Matching) -> tuple[Tensor, int]:
        """Class, box and distribution loss of one head as a tensor of three, and its number of positives."""
        targets, classes, anchors, pairs = scene.targets, scene.classes, scene.anchors, scene.pairs
        with torch.no_grad():
            anchor = pairs.rows % len(anchors)
            sides = distances(predictions.bins_at(pairs.rows), self.reg_max)
            predicted = boxes_of(sides, anchors.points[anchor], anchors.strides[anchor])
            overlaps = iou(predicted, targets.boxes[pairs.targets])
            scores = predictions.logits_at(pairs.rows, classes[pairs.targets]).sigmoid()
            positives = assign(pairs, scores, overlaps, rule.top, rule.alpha, rule.beta)
        normaliser = self.total(positives.scores.sum()).clamp(min=1)
        rows, target = positives.rows, positives.targets
        hits = predictions.logits_at(rows, classes[target])
        ignored = scene.ignored.flatten().index_fill(0, rows, False).view_as(scene.ignored)  # a positive stays one
        owner, member = other_members(
            targets.classes[target], classes[target], self.groups, predictions.logits.shape[1]
        )
        silent = predictions.logits_at(rows[owner], member)
        class_part = class_loss(predictions.logits, ignored, hits, positives.scores, silent) / normaliser
        if len(rows) == 0:
            silent = predictions.bins.sum() * 0.0
            return torch.stack((class_part, silent, silent)), 0
        points, strides = anchors.points[rows % len(anchors)], anchors.strides[rows % len(anchors)]
        wanted = targets.boxes[target]
        positive_bins = predictions.bins_at(rows)
        boxes = boxes_of(distances(positive_bins, self.reg_max), points, strides)
        box_part = (ciou_loss(boxes, wanted) * positives.scores).sum() / normaliser
        dfl_part = positive_bins.new_zeros(())
        if self.reg_max > 1:
            dfl = dfl_loss(positive_bins, sides_of(wanted, points, strides), self.reg_max)
            dfl_part = (dfl * positives.scores).sum() / normaliser
        return torch.stack((class_part, box_part, dfl_part)), len(rows)
