"""How wide a pruned detector is: which width of the plan gives up how many channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from unina.compress.prune_channels import ChannelGroup, Entry
from unina.model.plan import Plan
from unina.train.ranges import check_range

Scope = Literal["global", "layer"]


class PruneError(ValueError):
    """A detector that can't be pruned as asked; one line that says what to do."""


@dataclass(frozen=True)
class PruneSpec:
    """What is to be left."""

    ratio: float = 0.5
    """part of the filters of the deployed network that goes; with scope layer, of each width"""
    multiple: Literal[8, 16, 32] = 32
    """widths are multiples of this; the DLA computes channels in 32s"""
    min_width: int = 0
    """smallest width that a layer is pruned to; 0: `multiple`"""
    scope: Scope = "global"
    """global: the layers whose channels matter least give up most; layer: all give up the same part"""

    def __post_init__(self) -> None:
        check_range("ratio", self.ratio, 0.01, 0.95)
        if self.multiple not in (8, 16, 32):
            raise PruneError(f"multiple: {self.multiple}: must be 8, 16 or 32")
        if self.min_width and (self.min_width < self.multiple or self.min_width % self.multiple):
            raise PruneError(
                f"min-width: {self.min_width}: must be a multiple of {self.multiple}, or 0 for that itself"
            )

    @property
    def least(self) -> int:
        """Smallest width."""
        return self.min_width or self.multiple


@dataclass
class Width:
    """Entries of the plan that must stay equal, and all channels that they count."""

    entries: frozenset[Entry]
    groups: list[ChannelGroup]
    before: int
    now: int

    @property
    def filters(self) -> int:
        """Deployed filters that go with one channel of each group."""
        return sum(group.filters for group in self.groups)

    def cost(self, to: int) -> float:
        """Mean importance of the channels that go when each group keeps its `to` best."""
        means = [
            group.importance.sort().values[self.before - self.now : self.before - to].mean() for group in self.groups
        ]
        weights = torch.tensor([float(group.filters) for group in self.groups], dtype=torch.float64)
        return float((torch.stack(means) * weights).sum() / weights.sum())


def choose_widths(groups: Sequence[ChannelGroup], spec: PruneSpec, leave: int, share: float, plan: Plan) -> list[Width]:
    """The widths after pruning.

    Args:
        groups: of the model that is to be pruned.
        leave: filters of the deployed network that are to be left, or fewer; for scope global.
        share: part of each width of `plan` that is to go; for scope layer.
        plan: widths of the model before anything was pruned.

    Raises PruneError where they can't be reached.
    """
    widths = widths_of(groups)
    if spec.scope == "layer":
        for width in widths:
            wanted = (1 - share) * max(plan_value(plan, entry) for entry in width.entries)
            allowed = [width.now, *steps_below(width.now, spec)]
            width.now = min(allowed, key=lambda count: (abs(count - wanted), -count))
        if share == spec.ratio and all(_unmoved(width, plan) for width in widths):
            raise PruneError(
                f"ratio: {share:g}: no width moves: multiples of {spec.multiple} and at least {spec.least} channels; "
                f"{_finer(spec)} or a larger --ratio"
            )
        return widths
    left = sum(width.filters * width.now for width in widths)
    floor = sum(width.filters * (steps_below(width.now, spec) or [width.now])[-1] for width in widths)
    if floor > leave:
        raise PruneError(
            f"ratio: {spec.ratio:g}: at most {left - floor} of the {left} filters can go where widths are multiples of "
            f"{spec.multiple} and at least {spec.least}; {_finer(spec)} or a smaller --ratio"
        )
    while left > leave:
        steps = [(width, steps_below(width.now, spec)[0]) for width in widths if steps_below(width.now, spec)]
        width, to = min(steps, key=lambda step: step[0].cost(step[1]))
        left -= width.filters * (width.now - to)
        width.now = to
    return widths


def _unmoved(width: Width, plan: Plan) -> bool:
    return all(width.now == plan_value(plan, entry) for entry in width.entries)


def _finer(spec: PruneSpec) -> str:
    if spec.min_width > spec.multiple:
        return "a smaller --min-width"
    return f"--multiple {spec.multiple // 2}" if spec.multiple > 8 else "a larger plan to begin with"


def widths_of(groups: Sequence[ChannelGroup]) -> list[Width]:
    """Groups of one plan entry together, and entries that a group joins (a neck and a head that an identity ties)."""
    found: list[Width] = []
    for group in groups:
        joined = [width for width in found if width.entries & group.entries]
        entries = group.entries.union(*(width.entries for width in joined))
        members = [one for width in joined for one in width.groups] + [group]
        count = len(group.importance)
        found = [width for width in found if width not in joined]
        found.append(Width(entries, members, count, count))
    for width in found:
        assert {len(group.importance) for group in width.groups} == {width.before}
    return found


def steps_below(count: int, spec: PruneSpec) -> list[int]:
    """Widths that a layer of `count` channels may be pruned to, widest first."""
    return list(range((count - 1) // spec.multiple * spec.multiple, spec.least - 1, -spec.multiple))


def plan_value(plan: Plan, entry: Entry) -> int:
    """The width that an entry of the plan holds."""
    field, stride = entry
    return plan.stem if field == "stem" else Plan.at(getattr(plan, field), stride)
