"""Exponential moving average of the weights, its memory scaled to the run's length (arXiv 1703.01780)."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class WeightAverage(Generic[Model]):
    """Keeps an averaged copy of a model, normalisation statistics included; that copy is what is deployed.

    A decay fixed for long runs (0.9999) would still hold the first weights after a short one: the memory is
    `fraction · steps` updates, and shorter at the beginning.
    """

    def __init__(self, model: Model, steps: int, fraction: float) -> None:
        self.model = copy.deepcopy(model)
        self.model.eval().requires_grad_(False)
        self.decay = 1 - 1 / max(1.0, fraction * steps)
        self.updates = 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Takes in the weights after an optimiser step."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        if self.decay == 0:
            decay = 0.0
        current = model.state_dict()
        for name, average in self.model.state_dict().items():
            if average.dtype.is_floating_point:
                average.lerp_(current[name], 1 - decay)
            else:
                average.copy_(current[name])
