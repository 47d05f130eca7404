"""What pruning leaves computes what it computed before, and goes where it was told to."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from unina.compress.prune import PruneError, PruneSpec, prune
from unina.compress.prune_channels import Dependencies, filters_of
from unina.model import Detector, ModelSpec
from unina.model.plan import Plan
from unina.model.rep_block import FusableBlock

PLAN = Plan(
    stem=16,
    widths=(24, 32, 32, 32),
    depths=(2, 1, 3, 1),
    neck=(16, 24, 32, 32),
    head=(16, 32, 24, 32),  # equal to the neck at stride 4 (an identity ties them), not at 8 and 16
    head_depth=2,
)


def detector(block: str = "qarep", plan: Plan = PLAN, seed: int = 0) -> Detector:
    """Random weights and random statistics, so that no channel is like another."""
    torch.manual_seed(seed)
    model = Detector(ModelSpec(block=block, input_height=64, input_width=96, plan=plan), 3).eval()  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return model


@torch.no_grad()
def silence(writers: list[FusableBlock], readers: list[tuple[nn.Module, int]], channels: list[int]) -> None:
    """Zeroes channels in all blocks that write them, and in all that read them (`readers`: from that offset on)."""
    for block in writers:
        for module in block.children():
            module.weight[channels] = 0  # type: ignore[index,operator]
            if isinstance(module, nn.BatchNorm2d):
                module.bias[channels] = 0
                assert module.running_mean is not None
                module.running_mean[channels] = 0
    for reader, offset in readers:
        convolutions = [reader] if isinstance(reader, nn.Conv2d) else list(reader.children())
        for module in convolutions:
            if isinstance(module, nn.Conv2d):
                module.weight[:, [offset + channel for channel in channels]] = 0


def silence_half(model: Detector) -> None:
    """Every independent set of channels by hand, from the drawing of the network: other channels in each."""
    backbone, neck, heads = model.backbone, model.neck, (model.one_to_many, model.one_to_one)
    stages, numbers = backbone.stages, iter(range(1000))
    first, second, third = (list(stage) for stage in stages)  # type: ignore[arg-type]

    def some(width: int, keep: int) -> list[int]:
        order = torch.randperm(width, generator=torch.Generator().manual_seed(next(numbers)))
        return sorted(order[: width - keep].tolist())

    def towers(level: int) -> list[nn.Module]:
        return [part[level] for head in heads for part in (head.class_towers, head.box_towers)]

    def entry(level: int) -> list[tuple[nn.Module, int]]:
        return [(tower[0], 0) for tower in towers(level)]  # type: ignore[index]

    silence([backbone.stem], [(first[0], 0)], some(16, 8))
    silence(first, [(second[0], 0), (neck.laterals[0], 0), (first[1], 0)], some(24, 8))
    silence(second, [(third[0], 0), (neck.laterals[1], 0)], some(32, 16))
    silence(third, [(neck.laterals[2], 0), (third[1], 0), (third[2], 0)], some(32, 16))
    lateral, up, down, bottom = neck.laterals, neck.top_down, neck.down, neck.bottom_up
    silence([lateral[0]], [(up[0], 24)], some(16, 8))  # type: ignore[list-item]
    silence([lateral[1]], [(up[1], 32)], some(24, 16))  # type: ignore[list-item]
    silence([lateral[2]], [(up[1], 0), (bottom[1], 24)], some(32, 16))  # type: ignore[list-item]
    silence([up[1]], [(up[0], 0), (bottom[0], 16)], some(24, 16))  # type: ignore[list-item]
    silence([down[0]], [(bottom[0], 0)], some(16, 8))  # type: ignore[list-item]
    silence([down[1]], [(bottom[1], 0)], some(24, 16))  # type: ignore[list-item]
    tied = [up[0]] + [block for tower in towers(0) for block in list(tower)[:2]]  # type: ignore[call-overload]
    inner: list[tuple[nn.Module, int]] = [(tower[1], 0) for tower in towers(0)]  # type: ignore[index]
    channels = some(16, 8)
    silence(tied, [(down[0], 0), *entry(0), *inner], channels)
    for tower in towers(0):
        last = tower[-1]  # type: ignore[index]
        silence([], [(last, 0)] + [(last, 16)] * (last.in_channels == 32), channels)
    silence([bottom[0]], [(down[1], 0), *entry(1)], some(24, 16))  # type: ignore[list-item]
    silence([bottom[1]], entry(2), some(32, 16))  # type: ignore[list-item]
    for level, width, keep in ((1, 32, 16), (2, 24, 16)):
        for tower in towers(level):
            blocks, last, channels = list(tower)[:2], tower[-1], some(width, keep)  # type: ignore[call-overload,index]
            silence(blocks, [(blocks[1], 0), (last, 0)] + [(last, width)] * (last.in_channels == 2 * width), channels)


LEFT = Plan(
    stem=8,
    widths=(8, 16, 16, 32),
    depths=(2, 1, 3, 1),
    neck=(8, 16, 16, 32),
    head=(8, 16, 16, 32),  # now equal to the neck everywhere: two identities that were not there
    head_depth=2,
)


@pytest.mark.parametrize("block", ["qarep", "rep"])
def test_channels_of_zero_weights_go_and_nothing_changes(block: str) -> None:
    model = detector(block)
    silence_half(model)
    x = torch.randint(-128, 128, (2, 3, 64, 96)).float()
    kept = 1 - filters_of(Detector(replace(model.spec, plan=LEFT), 3)) / filters_of(model)
    pruned = prune(model, PruneSpec(ratio=kept, multiple=8)).model
    assert pruned.spec.plan == LEFT
    with torch.no_grad():
        before, after = model(x), pruned(x)
        deployed = zip(model.deploy()(x), pruned.deploy()(x), strict=True)
    for head in ("one_to_many", "one_to_one"):
        for left, right in zip(getattr(before, head), getattr(after, head), strict=True):
            for expected, found in zip(left, right, strict=True):
                assert expected.std() > 1e-3  # a dead network would agree with anything
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
    for expected, found in deployed:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


def test_the_model_that_is_pruned_stays_as_it_was() -> None:
    model = detector()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own = model.one_to_one_gradient
    prune(model, PruneSpec(ratio=0.3, multiple=8))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.one_to_one_gradient == own and model.spec.plan == PLAN


@pytest.mark.parametrize(("multiple", "least"), [(8, 8), (16, 16), (8, 24)])
def test_widths_are_multiples_and_no_smaller_than_asked(multiple: int, least: int) -> None:
    plan = Plan(32, (48, 64, 64, 64), (1, 2, 2, 1), (32, 48, 64, 64), (32, 32, 64, 64), 1)
    model = detector(plan=plan)
    found = prune(model, PruneSpec(ratio=0.3, multiple=multiple, min_width=least))  # type: ignore[arg-type]
    left = found.model.spec.stages
    assert found.filters <= 0.7 * found.filters_before == 0.7 * filters_of(model)
    assert found.filters == filters_of(found.model)
    for before, after in zip(
        (plan.stem, *plan.widths, *plan.neck, *plan.head),
        (left.stem, *left.widths, *left.neck, *left.head),
        strict=True,
    ):
        assert after == before or (after % multiple == 0 and least <= after < before)


def test_each_layer_gives_up_the_same_part_where_asked() -> None:
    plan = Plan(32, (32, 64, 64, 64), (1, 1, 1, 1), (32, 32, 64, 64), (32, 64, 64, 64), 1)
    left = prune(detector(plan=plan), PruneSpec(ratio=0.5, multiple=8, scope="layer")).model.spec.stages
    assert (left.stem, left.widths, left.neck, left.head) == (16, (16, 32, 32, 64), (16, 16, 32, 64), (16, 32, 32, 64))


def test_the_less_a_layer_matters_the_more_it_gives_up() -> None:
    plan = Plan(32, (64, 64, 64, 64), (1, 1, 1, 1), (32, 32, 32, 32), (32, 32, 32, 32), 1)
    model = detector(plan=plan)
    (block,) = model.backbone.stages[1]  # type: ignore[misc]
    with torch.no_grad():
        for part in (block.conv3, block.conv1):
            part.weight[:40] *= 1e-3
        block.bn.bias[:40] = 0
    left = prune(model, PruneSpec(ratio=0.05, multiple=8)).model.spec.stages
    assert left.widths[1] < min(left.widths[0], left.widths[2])


def test_a_ratio_that_the_multiples_do_not_allow_is_refused_with_the_fix() -> None:
    with pytest.raises(PruneError, match=r"ratio: 0\.9: at most \d+ of the \d+ filters can go .*--multiple 8"):
        prune(detector(), PruneSpec(ratio=0.9, multiple=16))
    with pytest.raises(PruneError, match=r"no width moves.*--multiple 16"):
        prune(detector(), PruneSpec(ratio=0.1, multiple=32, scope="layer"))
    with pytest.raises(PruneError, match="min-width: 12: must be a multiple of 8"):
        PruneSpec(multiple=8, min_width=12)
    with pytest.raises(ValueError, match=r"ratio: 1\.5"):
        PruneSpec(ratio=1.5)


def test_every_width_of_the_plan_is_found_and_identities_tie() -> None:
    groups = Dependencies(detector()).groups()
    found = {tuple(sorted(group.entries)) for group in groups}
    assert (("head", 4), ("neck", 4)) in found  # as wide as each other: the identity of the first block ties them
    assert (("head", 8),) in found and (("neck", 8),) in found
    assert {entry for group in groups for entry in group.entries} == {
        ("stem", 2), *((field, stride) for field in ("widths", "neck", "head") for stride in (4, 8, 16))
    }  # fmt: skip
    assert sum(group.filters * len(group.importance) for group in groups) == filters_of(detector())
