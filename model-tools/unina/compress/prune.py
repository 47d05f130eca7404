"""Structured pruning: a detector with fewer channels, which is an ordinary detector with a plan of its own."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from unina.compress.prune_channels import ChannelGroup, Dependencies, Entry, filters_of
from unina.compress.prune_widths import PruneError, PruneSpec, Width, choose_widths, plan_value
from unina.model import Detector
from unina.model.plan import Plan
from unina.model.rep_block import FusableBlock, QARepBlock, RepBlock
from unina.model.spec import ModelSpec

__all__ = ["PruneError", "PruneSpec", "Pruned", "prune"]


@dataclass(frozen=True)
class Pruned:
    """A detector after pruning."""

    model: Detector
    """eval mode"""
    filters_before: int
    filters: int


def prune(model: Detector, spec: PruneSpec, done: float = 1.0, original: Detector | None = None) -> Pruned:
    """A pruned copy; what the channels that are left compute does not change.

    Args:
        spec: what is to go.
        done: part of `spec.ratio` that is to be reached by now, for pruning in rounds.
        original: the detector before the first round.

    Raises:
        PruneError: it can't be reached with these multiples and widths.
    """
    original = original or model
    share = spec.ratio * done
    dependencies = Dependencies(model)
    leave = int((1 - share) * filters_of(original) + 1e-6)  # a whole number may come out a little below itself
    widths = choose_widths(dependencies.groups(), spec, leave, share, original.spec.stages)
    for width in widths:
        for group in width.groups:
            dependencies.remove(group.root, least_important(group, width.before - width.now))
    pruned = with_plan(dependencies.model, replace(model.spec, plan=planned(model.spec.stages, widths)))
    return Pruned(pruned, filters_of(model), filters_of(pruned))


def least_important(group: ChannelGroup, count: int) -> list[int]:
    """The `count` channels of a group that matter least; of equals the last."""
    order = torch.argsort(group.importance.flip(0), stable=True)
    return sorted((len(group.importance) - 1 - order[:count]).tolist())


def planned(plan: Plan, widths: list[Width]) -> Plan:
    """The plan with the widths that were chosen."""
    chosen: dict[Entry, int] = {entry: width.now for width in widths for entry in width.entries}
    changes: dict[str, object] = {"stem": chosen["stem", 2]}
    for field in ("widths", "neck", "head"):
        entries: list[Entry] = [(field, stride) for stride in (4, 8, 16, 32)]
        changes[field] = tuple(chosen.get(entry, plan_value(plan, entry)) for entry in entries)
    return replace(plan, **changes)  # type: ignore[arg-type]


@torch.no_grad()
def with_plan(pruned: Detector, spec: ModelSpec) -> Detector:
    """A detector of the spec with the weights of one whose layers have those shapes but not that spec.

    Where pruning made the input of a block as wide as its output, the spec gives the block an identity that it did not
    have; its other branches are set so that the block computes what it did.
    """
    model = Detector(spec, pruned.num_classes, pruned.classes)
    weights = dict(pruned.state_dict())
    for name, block in model.named_modules():
        if isinstance(block, FusableBlock) and has_identity(block) and not has_identity(pruned.get_submodule(name)):
            if isinstance(block, RepBlock):
                for kind, tensor in block.bn0.state_dict().items():  # type: ignore[union-attr]
                    silent = kind in ("weight", "bias")
                    weights[f"{name}.bn0.{kind}"] = torch.zeros_like(tensor) if silent else tensor
            else:
                kernel = weights[f"{name}.conv1.weight"]
                identity = torch.eye(block.out_channels, dtype=kernel.dtype)[:, :, None, None]
                weights[f"{name}.conv1.weight"] = kernel - identity
    model.load_state_dict(weights)
    return model.eval()


def has_identity(block: nn.Module) -> bool:
    """Whether a block adds its input to its output."""
    return (
        block.has_identity if isinstance(block, QARepBlock) else isinstance(block, RepBlock) and block.bn0 is not None
    )
