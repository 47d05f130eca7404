"""Losses agree with their closed forms, anchors with the bundle's definition."""

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.model import Detector, DetectorMaps, ModelSpec
from unina.train.anchors import Anchors, Predictions, boxes_of, distances, sides_of
from unina.train.assigner import Targets, candidates
from unina.train.criterion import Criterion, Matching, Scene
from unina.train.ema import WeightAverage
from unina.train.losses import ciou_loss, class_loss, dfl_loss, iou
from unina.train.schedule import build_optimizer, lr_at, one_to_one_top
from unina.train.spec import TrainSpec


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are slower than one on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0.0),  # they touch
        ([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16),  # one inside the other
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),  # nothing to unite
    ],
)
def test_iou(a: list[float], b: list[float], expected: float) -> None:
    assert float(iou(torch.tensor([a]).float(), torch.tensor([b]).float())) == pytest.approx(expected, abs=1e-6)


def test_ciou_adds_the_distance_of_centres_and_the_aspect() -> None:
    a, b = torch.tensor([[0.0, 0, 4, 2]]), torch.tensor([[1.0, 0, 3, 4]])
    overlap = 4 / (8 + 8 - 4)
    distance = (0 + 1) / (4**2 + 4**2)  # centres (2, 1) and (2, 2); hull 4×4
    aspect = 4 / math.pi**2 * (math.atan(2 / 4) - math.atan(4 / 2)) ** 2
    expected = 1 - overlap + distance + aspect * aspect / (1 - overlap + aspect)
    assert float(ciou_loss(a, b)) == pytest.approx(expected, abs=1e-5)
    assert float(ciou_loss(a, a)) == pytest.approx(0, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31))
def test_ciou_has_a_finite_gradient_even_for_empty_boxes(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    boxes = (torch.randint(0, 3, (6, 4), generator=generator)).float().requires_grad_()
    target = torch.tensor([[1.0, 1, 2, 3]]).expand(6, 4)
    ciou_loss(boxes, target).sum().backward()
    assert boxes.grad is not None and bool(torch.isfinite(boxes.grad).all())


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 14.9), st.integers(0, 2**31))
def test_dfl_is_the_cross_entropy_with_a_split_target(distance: float, seed: int) -> None:
    bins = torch.randn(1, 64, generator=torch.Generator().manual_seed(seed))
    target = torch.zeros(16)
    low = int(distance)
    target[low], target[low + 1] = 1 - (distance - low), distance - low
    expected = F.cross_entropy(bins.view(4, 16), target.expand(4, 16))
    assert float(dfl_loss(bins, torch.full((1, 4), distance), 16)) == pytest.approx(float(expected), abs=1e-4)


def test_class_loss_is_binary_cross_entropy_with_soft_targets() -> None:
    logits = torch.randn(7, 3)
    target = torch.zeros(7, 3)
    target[2, 1], target[5, 0] = 0.7, 0.2
    maps = logits.T[None]  # one picture, 3 classes, 7 anchors
    nowhere, silent = torch.zeros(1, 7, dtype=torch.bool), torch.zeros(0)
    found = class_loss(maps, nowhere, logits[[2, 5], [1, 0]], torch.tensor([0.7, 0.2]), silent)
    expected = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_class_loss_is_deaf_to_ignored_anchors_and_open_classes() -> None:
    logits = torch.randn(1, 3, 7)
    ignored = torch.zeros(1, 7, dtype=torch.bool)
    ignored[0, 4] = True
    found = class_loss(logits, ignored, logits[0, [1], [2]], torch.tensor([0.7]), logits[0, [2], [2]])
    weight = torch.ones(3, 7)
    weight[:, 4] = 0
    weight[2, 2] = 0
    target = torch.zeros(3, 7)
    target[1, 2] = 0.7
    expected = F.binary_cross_entropy_with_logits(logits[0], target, weight, reduction="sum")
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_distances_are_the_expectation_of_the_bins() -> None:
    bins = torch.full((1, 4, 16), -50.0)
    for side, place in enumerate((0, 3, 7, 15)):
        bins[0, side, place] = 50
    assert distances(bins.view(1, 64), 16).tolist() == [pytest.approx([0, 3, 7, 15])]
    assert distances(torch.tensor([[-1.0, 0, 2, 3]]), 1).tolist() == [[0, 0, 2, 3]]


def test_anchors_follow_the_bundle_definition() -> None:
    anchors = Anchors.of([(2, 3), (1, 1)], (4, 8))
    assert anchors.points.tolist() == [[2, 2], [6, 2], [10, 2], [2, 6], [6, 6], [10, 6], [4, 4]]
    assert anchors.strides.tolist() == [4] * 6 + [8]


def test_boxes_and_sides_are_inverse() -> None:
    anchors = Anchors.of([(4, 4)], (8,))
    sides = torch.rand(16, 4) * 5
    back = sides_of(boxes_of(sides, anchors.points, anchors.strides), anchors.points, anchors.strides)
    assert torch.allclose(back, sides, atol=1e-5)


def test_rows_follow_the_order_of_the_anchors() -> None:
    """Row image · A + anchor is that cell of that level."""
    fine, coarse = torch.arange(2 * 3 * 2 * 4.0).view(2, 3, 2, 4), torch.arange(100, 100 + 2 * 3 * 2.0).view(2, 3, 1, 2)
    predictions = Predictions.of(((fine, fine), (coarse, coarse)))
    rows = torch.tensor([10 + 1 * 4 + 2, 8 + 1])
    assert predictions.bins_at(rows).tolist() == [fine[1, :, 1, 2].tolist(), coarse[0, :, 0, 1].tolist()]
    assert predictions.logits_at(rows, torch.tensor([2, 0])).tolist() == [fine[1, 2, 1, 2], coarse[0, 0, 0, 1]]


@pytest.mark.parametrize("reg_max", [1, 16])
def test_a_batch_without_targets_teaches_only_silence(reg_max: int) -> None:
    spec = ModelSpec(input_height=64, input_width=64, reg_max=reg_max)
    model = Detector(spec, 2)
    nothing = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    losses = Criterion(TrainSpec(), spec.strides, reg_max)(model(torch.randn(2, 3, 64, 64)), nothing, 0)
    losses.total.backward()
    assert torch.isfinite(losses.total) and float(losses.box) == 0 and losses.positives == 0
    assert float(losses.class_) > 0


@pytest.mark.parametrize("reg_max", [1, 16])
def test_perfect_maps_cost_almost_nothing_and_wrong_ones_more(reg_max: int) -> None:
    box = torch.tensor([[12.0, 4, 28, 36]])
    targets = Targets(box, torch.tensor([1]), torch.tensor([0]))
    anchors = Anchors.of([(8, 8)], (8,))

    def maps_for(boxes: torch.Tensor, label: int) -> tuple[torch.Tensor, torch.Tensor]:
        sides = sides_of(boxes.expand(64, 4), anchors.points, anchors.strides).clamp(0, 14.9)
        logits = torch.full((1, 2, 64), -20.0)
        centre = int(((anchors.points - torch.tensor([20.0, 20])).square().sum(1)).argmin())
        logits[0, label, centre] = 20
        if reg_max == 1:
            bins = sides.T.reshape(1, 4, 8, 8)
        else:
            low = sides.floor()
            spread = torch.full((64, 4, 16), 1e-9)
            spread.scatter_(2, low.long()[..., None], (low + 1 - sides)[..., None] + 1e-9)
            spread.scatter_(2, low.long()[..., None] + 1, (sides - low)[..., None] + 1e-9)
            bins = spread.log().view(64, 64).T.reshape(1, 64, 8, 8)
        return logits.view(1, 2, 8, 8), bins

    criterion = Criterion(TrainSpec(), (8,), reg_max)

    def parts(boxes: torch.Tensor, label: int) -> tuple[float, float]:
        scene = Scene(targets, targets.classes, anchors, candidates(targets, anchors), torch.zeros(1, 64).bool())
        head, _ = criterion.head_losses(Predictions.of((maps_for(boxes, label),)), scene, Matching(1, 0.5, 6.0))
        return float(head[0]), float(head[1])

    right, moved, confused = parts(box, 1), parts(box + 4, 1), parts(box, 0)
    assert right[0] < 1e-3 and right[1] < 1e-3
    assert moved[1] > 0.2
    assert confused[0] > 10


def test_learning_rate_climbs_then_follows_a_cosine() -> None:
    spec = TrainSpec(epochs=10, epoch_crops=80, batch=8, lr=0.1, warmup=0.1, final_lr=0.01)
    rates = [lr_at(step, spec) for step in range(spec.steps)]
    assert rates[0] == pytest.approx(0.01) and rates[9] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize("steps", [100, 1000])
def test_the_average_remembers_the_same_part_of_any_run(steps: int) -> None:
    """What the weights were a fifth of the run ago has all but gone, whatever the run's length; memory 0 has none."""
    before, after = torch.nn.BatchNorm2d(1), torch.nn.BatchNorm2d(1)
    after.load_state_dict({name: tensor + 1 for name, tensor in before.state_dict().items()})
    average, newest = (WeightAverage(before, steps, memory) for memory in (0.05, 0.0))  # type: ignore[arg-type]
    for one in (average, newest):
        for model, updates in ((before, steps // 2), (after, steps // 5)):
            for _ in range(updates):
                one.update(model)  # type: ignore[arg-type]
    left = math.exp(-0.2 / 0.05)
    for name, tensor in after.state_dict().items():
        wanted = tensor.double() - (left if tensor.is_floating_point() else 0)  # a counter is copied
        assert float(average.model.state_dict()[name]) == pytest.approx(float(wanted), abs=0.01)
        assert torch.equal(newest.model.state_dict()[name], tensor)


def test_the_one_to_one_head_ends_with_one_anchor_a_target() -> None:
    spec = TrainSpec(epochs=10, epoch_crops=80, batch=8, one_to_one_relax=0.5)
    tops = [one_to_one_top(step, spec) for step in range(spec.steps)]
    assert tops[0] == spec.one_to_many_top
    assert all(a >= b for a, b in pairwise(tops))
    assert set(tops[spec.steps // 2 :]) == {1}
    assert one_to_one_top(0, TrainSpec(one_to_one_relax=0)) == 1


def test_weight_decay_is_for_kernels_only() -> None:
    model = Detector(ModelSpec(), 2)
    decayed, free = build_optimizer([*model.parameters()], TrainSpec()).param_groups
    assert {p.ndim for p in decayed["params"]} == {4} and decayed["weight_decay"] > 0
    assert {p.ndim for p in free["params"]} == {1} and free["weight_decay"] == 0
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


def test_an_unclear_label_teaches_the_likelier_member_and_leaves_the_other_alone() -> None:
    """A box labelled "class 1 or 2": the likelier one is taught, at the positive anchor the other gets no gradient."""
    box = torch.tensor([[12.0, 4, 28, 36]])
    targets = Targets(box, torch.tensor([3]), torch.tensor([0]))
    logits = torch.full((1, 3, 8, 8), -4.0)
    logits[0, 2, 2, 2] = -1.0  # class 2 is likelier inside the box
    logits.requires_grad_(True)
    bins = torch.tensor([1.0, 2, 1, 2]).view(1, 4, 1, 1).expand(1, 4, 8, 8)  # the box, seen from its centre
    maps = DetectorMaps(((logits, bins),), ((logits, bins),))
    losses = Criterion(TrainSpec(one_to_many_top=1, one_to_one_relax=0), (8,), 1, ((1, 2),))(maps, targets, 0)
    losses.total.backward()
    gradient = logits.grad[0]
    positive = (gradient[2] < 0).nonzero()
    assert len(positive) == 1
    y, x = positive[0].tolist()
    assert gradient[1, y, x] == 0 and gradient[0, y, x] > 0
    assert (gradient[1].flatten() > 0).sum() == 63
