"""Anchor points and boxes: cell (x, y) of a level predicts distances, in strides, from ((x + ½)·s, (y + ½)·s)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unina.model.head import LevelMaps


@dataclass(frozen=True)
class Anchors:
    """The A anchor points of all levels, finest level first, rows before columns."""

    points: Tensor
    """A×2, x and y in input pixels"""
    strides: Tensor
    """A"""

    @classmethod
    def of(cls, sizes: list[tuple[int, int]], strides: tuple[int, ...]) -> "Anchors":
        """For levels of h×w cells."""
        points, spacing = [], []
        for (height, width), stride in zip(sizes, strides, strict=True):
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            points.append((torch.stack((x, y), dim=-1).reshape(-1, 2) + 0.5) * stride)
            spacing.append(torch.full((height * width,), float(stride)))
        return cls(torch.cat(points), torch.cat(spacing))

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Predictions:
    """The maps of one head with the levels joined; row r means anchor r mod A of picture r // A."""

    logits: Tensor
    """N×classes×A, float32"""
    bins: Tensor
    """N×(4·reg_max)×A, in the network's precision: most of it is never looked at"""

    @classmethod
    def of(cls, levels: tuple[LevelMaps, ...]) -> "Predictions":
        """Joins the levels in the order of `Anchors`."""
        logits = torch.cat([logits.flatten(2) for logits, _ in levels], dim=2)
        return cls(logits.float(), torch.cat([bins.flatten(2) for _, bins in levels], dim=2))

    def bins_at(self, rows: Tensor) -> Tensor:
        """The bins of P rows: P×(4·reg_max), float32."""
        anchors = self.bins.shape[2]
        return self.bins[rows // anchors, :, rows % anchors].float()

    def logits_at(self, rows: Tensor, classes: Tensor) -> Tensor:
        """One logit for each of P rows and classes."""
        anchors = self.logits.shape[2]
        return self.logits[rows // anchors, classes, rows % anchors]


def distances(bins: Tensor, reg_max: int) -> Tensor:
    """P×(4·reg_max) raw bins to P×4 distances in strides: the expectation of the distribution (arXiv 2006.04388)."""
    if reg_max == 1:
        return bins.relu()
    probabilities = bins.view(-1, 4, reg_max).softmax(dim=2)
    return probabilities @ torch.arange(reg_max, dtype=bins.dtype)


def boxes_of(sides: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """P×4 distances (left, top, right, bottom; strides) from P×2 points to P×4 boxes xyxy in pixels."""
    pixels = sides * strides[:, None]
    return torch.cat((points - pixels[:, :2], points + pixels[:, 2:]), dim=1)


def sides_of(boxes: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """The inverse of `boxes_of`: P×4 boxes and P×2 points in pixels to P×4 distances in strides."""
    return torch.cat((points - boxes[:, :2], boxes[:, 2:] - points), dim=1) / strides[:, None]
