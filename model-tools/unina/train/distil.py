"""Knowledge distillation from a larger detector of the family, along three ways.

* Features, level by level where both have one: the student's neck maps pass a 1×1 adapter to the teacher's width, each
  channel is brought to mean 0 and variance 1 (so that only the pattern counts, as in PKD, arXiv 2207.02039), and the
  squared difference is averaged over the cells of every labelled object, all objects alike however small, and apart
  from them over the background (scale and foreground masks as in FGD, arXiv 2111.11837, section 3.2).
* Class scores: for each class on its own the Kullback-Leibler divergence of two Bernoulli distributions softened by a
  temperature (arXiv 2308.14286); a softmax over classes would be blind where there is one class.
* Box sides: the divergence of the distributions over bins at the cells where the teacher is confident, weighted by its
  score (LD, arXiv 2102.12252).

The last two compare head with head: the one that is deployed learns from the one that would be. Both see logits no
lower than −8, as the raw maps of a bundle: what a teacher says below that decides nothing, a student in integers cannot
say it, and softened by a temperature the background would outweigh all objects.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unina.dla.scales import RAW_MAP_AMAX
from unina.model import Detector, load_checkpoint
from unina.model.deploy import fused
from unina.model.detector import INPUT_SCALE, DetectorMaps
from unina.model.head import LevelMaps
from unina.train.assigner import Targets
from unina.train.distil_spec import DistilSpec

FLAT = 1e-3
"""Added to a channel's variance: a channel without contrast in a crop says nothing."""


@dataclass(frozen=True)
class DistilLosses:
    """Scalars, each with its weight and the schedule applied."""

    total: Tensor
    features: Tensor
    logits: Tensor
    boxes: Tensor


class Teacher(nn.Module):
    """A trained detector with both heads, its blocks fused; it learns nothing."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        with torch.no_grad():
            self.backbone, self.neck = fused(model.backbone), fused(model.neck)
            self.one_to_many, self.one_to_one = fused(model.one_to_many), fused(model.one_to_one)
        self.spec = model.spec
        self.widths = tuple(model.neck.widths)
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> DetectorMaps:
        """x: N×3×H×W, RGB pixel − 128."""
        features = self.neck(self.backbone((x * INPUT_SCALE).contiguous()))
        return DetectorMaps(self.one_to_many(features), self.one_to_one(features), features)


class Distiller(nn.Module):
    """Teacher and adapters; the adapters train along and are left behind at the end."""

    def __init__(
        self,
        spec: DistilSpec,
        student: Detector,
        images: int,
        steps: int,
        total: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """`images`: pictures of a batch over all processes; `total`: the sum over those processes.

        Raises:
            ValueError: the teacher is no checkpoint (a CheckpointError), or has other classes, levels or bins.
        """
        super().__init__()
        self.spec, self.images, self.steps, self.total = spec, images, steps, total
        teacher = load_checkpoint(Path(spec.teacher)).model
        check_match(spec, student, teacher)
        self.teacher = Teacher(teacher)
        common = [stride for stride in student.spec.strides if stride in teacher.spec.strides]
        self.levels = [(s, student.spec.strides.index(s), teacher.spec.strides.index(s)) for s in common]
        widths = student.neck.widths
        self.adapters = nn.ModuleList(
            nn.Conv2d(widths[mine], self.teacher.widths[theirs], 1, bias=False) for _, mine, theirs in self.levels
        )
        if not spec.features:
            self.adapters.requires_grad_(False)

    def train(self, mode: bool = True) -> "Distiller":
        """The teacher never trains."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, x: Tensor, maps: DetectorMaps, targets: Targets, step: int) -> DistilLosses:
        """The losses of one batch, N×3×H×W, at an optimiser step; `maps` are the student's on x."""
        spec, wanted = self.spec, self.teacher(x)
        silent = maps.one_to_many[0][0].sum().float() * 0.0
        features = self.feature_loss(maps.features, wanted.features, targets) if spec.features else silent
        logits, boxes = silent, silent
        for mine, theirs in ((maps.one_to_many, wanted.one_to_many), (maps.one_to_one, wanted.one_to_one)):
            pair = self.paired(mine, theirs)
            if spec.logits:
                logits = logits + self.logit_loss(*pair)
            if spec.boxes:
                boxes = boxes + self.box_loss(*pair)
        fall = weight_at(step, self.steps, spec.final)
        parts = [fall * w * part for w, part in ((spec.features, features), (spec.logits, logits), (spec.boxes, boxes))]
        return DistilLosses(parts[0] + parts[1] + parts[2], *(part.detach() for part in parts))

    def paired(
        self, mine: tuple[LevelMaps, ...], theirs: tuple[LevelMaps, ...]
    ) -> tuple[list[LevelMaps], list[LevelMaps]]:
        """The maps of both on the levels that both have."""
        return [mine[i] for _, i, _ in self.levels], [theirs[j] for _, _, j in self.levels]

    def feature_loss(self, mine: tuple[Tensor, ...], theirs: tuple[Tensor, ...], targets: Targets) -> Tensor:
        """Mean over levels (N×C×h×w) of the loss of objects and, by `spec.background`, of the cells around; scalar."""
        sums = []
        for (stride, i, j), adapter in zip(self.levels, self.adapters, strict=True):
            gap = (standardised(adapter(mine[i])) - standardised(theirs[j])).square().mean(dim=1)  # N×h×w
            objects, outside = object_masks(targets, stride, gap.shape[0], gap.shape[1], gap.shape[2])
            count = self.total(objects.sum()).clamp(min=1)  # each object's cells sum to 1
            ground = (gap * outside).flatten(1).sum(dim=1) / outside.flatten(1).sum(dim=1).clamp(min=1)
            share = self.spec.background
            sums.append((1 - share) * (gap * objects).sum() / count + share * ground.sum() / self.images)
        return torch.stack(sums).mean()

    def logit_loss(self, mine: list[LevelMaps], theirs: list[LevelMaps]) -> Tensor:
        """Sum over cells and classes of KL(teacher ‖ student) over the sum of the teacher's best scores; a scalar."""
        t = self.spec.temperature
        loss, weight = [], []
        for (student, _), (teacher, _) in zip(mine, theirs, strict=True):
            loss.append(bernoulli_divergence(heard(teacher) / t, heard(student) / t).sum())
            weight.append(teacher.float().sigmoid().amax(dim=1).sum())
        return t * t * torch.stack(loss).sum() / self.total(torch.stack(weight).sum()).clamp(min=1)

    def box_loss(self, mine: list[LevelMaps], theirs: list[LevelMaps]) -> Tensor:
        """Mean over confident cells, weighted by the teacher's score, of the sides' divergences; a scalar."""
        t, bins = self.spec.temperature, self.teacher.spec.reg_max
        loss, weight = [], []
        for (_, student), (logits, teacher) in zip(mine, theirs, strict=True):
            score = logits.float().sigmoid().amax(dim=1)
            image, y, x = torch.nonzero(score >= self.spec.confident, as_tuple=True)
            target = F.log_softmax(heard(teacher[image, :, y, x]).view(-1, 4, bins) / t, dim=2)
            said = F.log_softmax(heard(student[image, :, y, x]).view(-1, 4, bins) / t, dim=2)
            gap = F.kl_div(said, target, reduction="none", log_target=True).sum(dim=2).mean(dim=1)
            loss.append((gap * score[image, y, x]).sum())
            weight.append(score[image, y, x].sum())
        return t * t * torch.stack(loss).sum() / self.total(torch.stack(weight).sum()).clamp(min=1)


def check_match(spec: DistilSpec, student: Detector, teacher: Detector) -> None:
    """Raises ValueError unless the one can teach the other."""
    if student.classes != teacher.classes:
        raise ValueError(
            f"distil.teacher: {spec.teacher}: its classes are {', '.join(teacher.classes)}; "
            f"this run's are {', '.join(student.classes)}"
        )
    if not set(student.spec.strides) & set(teacher.spec.strides):
        raise ValueError(
            f"distil.teacher: {spec.teacher}: has levels {', '.join(teacher.spec.levels)}, none of this model's "
            f"{', '.join(student.spec.levels)}"
        )
    if spec.boxes and (student.spec.reg_max != teacher.spec.reg_max or student.spec.reg_max == 1):
        raise ValueError(
            f"distil.boxes: {spec.boxes:g}: both need the same bins, 2 or more; the teacher has reg_max "
            f"{teacher.spec.reg_max}, this model {student.spec.reg_max}; set distil.boxes to 0"
        )


def weight_at(step: int, steps: int, final: float) -> float:
    """From 1 at the first step to `final` at the last, along a cosine."""
    return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, step / max(1, steps - 1)))) / 2


def heard(logits: Tensor) -> Tensor:
    """In float32 and the same shape, those far below zero lifted to where they still decide nothing."""
    return logits.float().clamp(min=-RAW_MAP_AMAX)


def standardised(x: Tensor) -> Tensor:
    """N×C×h×w in float32, every channel of every picture with mean 0 and variance 1."""
    x = x.float()
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True) + FLAT).sqrt()


def object_masks(targets: Targets, stride: int, images: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Two masks N×h×w of a level: object cells, each object's summing to at most 1, and 1 where there is no object.

    A box covers the cells that it touches, at least one; a cell in two boxes counts for the smaller.
    """
    device = targets.boxes.device
    objects = torch.zeros(images, height, width, device=device)
    limits = torch.tensor([width, height, width, height], device=device)
    cells = torch.cat(((targets.boxes[:, :2] / stride).floor(), (targets.boxes[:, 2:] / stride).ceil()), dim=1)
    for image, corners in zip(targets.images.tolist(), cells.clamp(min=0).minimum(limits).long().tolist(), strict=True):
        x0, y0, x1, y1 = corners
        x0, y0 = min(x0, width - 1), min(y0, height - 1)
        place = objects[image, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        place.clamp_(min=1 / place.numel())
    return objects, (objects == 0).float()


def bernoulli_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL of two Bernoulli distributions given by logits of one shape, each value on its own; 0 where they agree."""
    p = teacher.sigmoid()
    # log σ(a) − log σ(b) and log(1 − σ(a)) − log(1 − σ(b)), neither of which overflows
    yes, no = F.logsigmoid(teacher) - F.logsigmoid(student), F.logsigmoid(-teacher) - F.logsigmoid(-student)
    return p * yes + (1 - p) * no
