"""Sparsity of channels while training: an L1 penalty on the gains of the normalisations (network slimming, arXiv
1708.06519, section 3). A channel whose gain goes to zero is one that `unina-prune` takes at no cost.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unina.model.rep_block import FusableBlock, RepBlock


def channel_gains(model: nn.Module) -> list[nn.Parameter]:
    """The gains, C a block, that a block's channels pass on their way out; those of frozen parts are left out.

    Of a block with a normalisation a branch (rep) those of all branches, else of the one after the sum: with that at
    zero the channel is silent.
    """
    found = []
    for block in model.modules():
        if isinstance(block, FusableBlock):
            names = ("bn3", "bn1", "bn0") if isinstance(block, RepBlock) else ("bn",)
            norms = (getattr(block, name) for name in names)
            found += [norm.weight for norm in norms if norm is not None and norm.weight.requires_grad]
    return found


def channel_penalty(gains: Sequence[Tensor], weight: float) -> Tensor:
    """weight · Σ|γ| over all gains; a scalar, 0 without any."""
    return weight * torch.cat([gain.flatten() for gain in gains] or [torch.zeros(1)]).abs().sum()
