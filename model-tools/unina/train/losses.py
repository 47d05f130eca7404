"""The three losses as functions: CIoU (arXiv 1911.08287), distribution focal loss (arXiv 2006.04388), BCE."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-7


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of P pairs of boxes, P×4 xyxy each; 0 for an empty union."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    area_a = (a[:, 2:] - a[:, :2]).clamp(min=0).prod(dim=1)
    area_b = (b[:, 2:] - b[:, :2]).clamp(min=0).prod(dim=1)
    return overlap / (area_a + area_b - overlap + TINY)


def ciou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """1 − CIoU of P pairs of boxes (P×4 xyxy): overlap, distance of centres over the hull's diagonal, aspect ratio."""
    overlap = iou(predicted, target)
    hull = torch.maximum(predicted[:, 2:], target[:, 2:]) - torch.minimum(predicted[:, :2], target[:, :2])
    apart = (predicted[:, :2] + predicted[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    distance = apart.square().sum(dim=1) / (hull.square().sum(dim=1) + TINY)
    size_p = (predicted[:, 2:] - predicted[:, :2]).clamp(min=TINY)
    size_t = (target[:, 2:] - target[:, :2]).clamp(min=TINY)
    angle = torch.atan2(size_t[:, 0], size_t[:, 1]) - torch.atan2(size_p[:, 0], size_p[:, 1])
    aspect = angle.square() * (4 / math.pi**2)
    with torch.no_grad():
        trade_off = aspect / (1 - overlap + aspect + TINY)
    return 1 - overlap + distance + trade_off * aspect


def dfl_loss(bins: Tensor, sides: Tensor, reg_max: int) -> Tensor:
    """Distribution focal loss, mean over the four sides.

    bins: P×(4·reg_max) raw; sides: P×4 true distances in strides (clipped to what the bins can express).
    Cross-entropy with the two bins next to the distance, each weighted by its nearness. Returns P.
    """
    wanted = sides.clamp(0, reg_max - 1 - 1e-3).reshape(-1)
    lower = wanted.floor()
    log_p = F.log_softmax(bins.view(-1, reg_max), dim=1)
    index = lower.long()[:, None]
    below = log_p.gather(1, index)[:, 0] * (lower + 1 - wanted)
    above = log_p.gather(1, index + 1)[:, 0] * (wanted - lower)
    return -(below + above).view(-1, 4).mean(dim=1)


def class_loss(logits: Tensor, ignored: Tensor, positives: Tensor, scores: Tensor, silent: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, summed: BCE(x, t) = softplus(x) − x·t.

    Args:
        logits: N×classes×A.
        ignored: N×A, bool: anchors that are neither positive nor negative.
        positives: P of the logits, those whose target is not 0, ignored or not.
        scores: P, their targets.
        silent: Q of the logits, at anchors not ignored, that are to be left out.
    """
    background = F.softplus(logits).masked_fill(ignored[:, None], 0.0).sum()
    return background - F.softplus(silent).sum() - (positives * scores).sum()
