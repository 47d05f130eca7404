"""AdamW or SGD under a warm-up and a cosine; all that changes over a run is a function of the step alone.

AdamW: arXiv 1711.05101. Cosine: arXiv 1608.03983, without its restarts.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from unina.train.spec import TrainSpec


def lr_at(step: int, spec: TrainSpec) -> float:
    """Learning rate of optimiser step `step` (0 is the first): linear up, then a cosine down to final_lr · lr."""
    warmup = max(1, round(spec.warmup * spec.steps))
    if step < warmup:
        return spec.lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, spec.steps - warmup)
    return spec.lr * (spec.final_lr + (1 - spec.final_lr) * (1 + math.cos(math.pi * min(1.0, progress))) / 2)


def one_to_one_top(step: int, spec: TrainSpec) -> int:
    """Anchors a target of the one-to-one head at optimiser step `step`: falls geometrically from one_to_many_top to 1.

    With one anchor from the start, this head sees a tenth of the positives of the other, and a short run leaves it
    without the rare classes; begun like the one-to-many head, it only has to learn to choose.
    """
    relaxed = spec.one_to_one_relax * spec.steps
    return max(1, round(spec.one_to_many_top ** (1 - step / relaxed))) if step < relaxed else 1


def build_optimizer(
    trained: Sequence[nn.Parameter], spec: TrainSpec, scales: Sequence[nn.Parameter] = (), scale_rate: float = 1.0
) -> torch.optim.Optimizer:
    """Weight decay on kernels; none on biases and normalisation, which it would only pull off balance.

    `scales`: those of `trained` that are scales of tensors; they learn `scale_rate` times as fast. Frozen parameters
    are left out.
    """
    fast = {id(p) for p in scales}
    rest = [p for p in trained if p.requires_grad and id(p) not in fast]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": spec.weight_decay, "rate": 1.0},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "rate": 1.0},
    ]
    if any(p.requires_grad for p in scales):
        groups.append({"params": [*scales], "weight_decay": 0.0, "rate": scale_rate})
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=spec.lr, betas=(spec.momentum, 0.99))  # 0.999 outlasts a short run
    return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=True)
