"""The detector in training: shared features, a one-to-many head that teaches them, a one-to-one head that is deployed.

The two heads follow YOLOv10 (arXiv 2405.14458, section 3.1): dense supervision from one, no NMS with the other. The
one-to-one head sees detached features, so that its sparse gradient does not disturb the backbone, or lets a given part
of it through (`one_to_one_gradient`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unina.model.backbone import Backbone
from unina.model.deploy import DeployedDetector
from unina.model.head import Head, LevelMaps
from unina.model.neck import RepPan
from unina.model.spec import ModelSpec

INPUT_SCALE = 1 / 128
"""The network trains on (pixel − 128) / 128; a power of two, so that folding it into the stem is exact."""


@dataclass(frozen=True)
class DetectorMaps:
    """What the two heads say, one pair (class logits, box bins) a level, finest first."""

    one_to_many: tuple[LevelMaps, ...]
    one_to_one: tuple[LevelMaps, ...]
    features: tuple[Tensor, ...] = ()
    """of the neck, N×width×h×w a level"""


class Detector(nn.Module):
    """Backbone, Rep-PAN and both heads."""

    def __init__(self, spec: ModelSpec, num_classes: int, classes: tuple[str, ...] = ()) -> None:
        """`classes`: their names, where they are known; else class_0, class_1, …"""
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"a detector needs at least one class, not {num_classes}")
        self.spec = spec
        self.num_classes = num_classes
        self.classes = classes or tuple(f"class_{i}" for i in range(num_classes))
        if len(self.classes) != num_classes:
            raise ValueError(f"{num_classes} classes, but {len(self.classes)} names: {', '.join(self.classes)}")
        plan, strides = spec.stages, spec.strides
        self.backbone = Backbone(plan, spec.block, strides)
        self.neck = RepPan(plan, spec.block, strides, self.backbone.widths)
        self.one_to_one_gradient = 0.0  # part of the one-to-one head's gradient that reaches the features
        shape = (plan, spec.block, strides, self.neck.widths, num_classes, spec.reg_max)
        self.one_to_many = Head(*shape, max_filter=False)
        self.one_to_one = Head(*shape, max_filter=True)

    def forward(self, x: Tensor) -> DetectorMaps:
        """x: N×3×H×W, RGB pixel − 128; H and W multiples of the coarsest stride."""
        # contiguous: with channels_last, torch 2.13's CPU gradient of the stem's 1×1 convolution corrupts the heap
        features = self.neck(self.backbone((x * INPUT_SCALE).contiguous()))
        own = self.one_to_one_gradient
        damped = tuple(torch.lerp(feature.detach(), feature, own) if own else feature.detach() for feature in features)
        return DetectorMaps(self.one_to_many(features), self.one_to_one(damped), features)

    def deploy(self) -> DeployedDetector:
        """The fused one-to-one network; equals the eval-mode one-to-one maps to rounding. Leaves this one untouched."""
        return DeployedDetector(
            self.backbone, self.neck, self.one_to_one, self.spec, self.classes, input_scale=INPUT_SCALE
        )
