"""Batch normalisation over the batch of all processes: torch's own synchronised one runs on CUDA alone.

Mean and variance are those of the whole batch, and so is their part of the gradient (Ioffe and Szegedy, arXiv
1502.03167, section 3); the gradients of weight and bias stay those of the process, and are summed with all others.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SharedBatchNorm(nn.BatchNorm2d):
    """Equals BatchNorm2d on the joint batch while training, and BatchNorm2d otherwise; all processes must run it."""

    @classmethod
    def of(cls, plain: nn.BatchNorm2d) -> "SharedBatchNorm":
        """The same layer, with the same parameters and statistics, shared."""
        shared = cls(plain.num_features, plain.eps, plain.momentum)
        shared.weight, shared.bias = plain.weight, plain.bias
        shared.running_mean, shared.running_var = plain.running_mean, plain.running_var
        shared.num_batches_tracked = plain.num_batches_tracked
        return shared

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W, N the process's part of the batch and equal in all."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.numel() // values.shape[1] * dist.get_world_size()
        normal, mean, variance = _Normalise.apply(values, count, self.eps)  # type: ignore[no-untyped-call]
        assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
        y: Tensor = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)


class _Normalise(torch.autograd.Function):
    """x to (x − mean) / √(variance + ε), and both statistics, over all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.sum(dim=(0, 2, 3))
        dist.all_reduce(mean)
        mean /= count
        centred = x - mean[:, None, None]
        variance = centred.square().sum(dim=(0, 2, 3))
        dist.all_reduce(variance)
        variance /= count
        scale = torch.rsqrt(variance + eps)
        normal = centred * scale[:, None, None]
        ctx.save_for_backward(normal, scale)
        ctx.count = count
        ctx.mark_non_differentiable(mean, variance)
        return normal, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        normal, scale = ctx.saved_tensors
        gradient = gradients[0]
        sums = torch.stack((gradient.sum(dim=(0, 2, 3)), (gradient * normal).sum(dim=(0, 2, 3))))
        dist.all_reduce(sums)
        shift, slope = (sums / ctx.count)[:, :, None, None]
        return scale[:, None, None] * (gradient - shift - normal * slope), None, None


def share_statistics(model: nn.Module) -> None:
    """Makes every batch normalisation of the model one over all processes; parameters and their names stay."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, SharedBatchNorm):
                setattr(parent, name, SharedBatchNorm.of(child))
