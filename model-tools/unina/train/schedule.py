"""SGD with Nesterov momentum under a warm-up and a cosine: a pure function of the step, resumed without state."""

import math

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


def build_optimizer(model: nn.Module, spec: TrainSpec) -> torch.optim.SGD:
    """Weight decay on kernels; none on biases and normalisation, which it would only pull off balance."""
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": spec.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=True)
