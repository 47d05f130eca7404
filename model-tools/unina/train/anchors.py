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


def flatten(levels: tuple[LevelMaps, ...]) -> tuple[Tensor, Tensor]:
    """Maps of one head to logits (N·A)×classes and bins (N·A)×(4·reg_max), float32, in the order of `Anchors`."""

    def rows(maps: list[Tensor]) -> Tensor:
        flat = torch.cat([m.flatten(2) for m in maps], dim=2)
        return flat.transpose(1, 2).reshape(-1, flat.shape[1]).float()

    return rows([logits for logits, _ in levels]), rows([bins for _, bins in levels])


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
    """The inverse of `boxes_of`."""
    return torch.cat((points - boxes[:, :2], boxes[:, 2:] - points), dim=1) / strides[:, None]
