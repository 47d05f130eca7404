"""Task-aligned assignment keeps its promises for any targets and any predictions."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.train.anchors import Anchors
from unina.train.assigner import Assignment, Pairs, Targets, assign, candidates, rank

SIZE, CLASSES = 64, 3
STRIDES = (4, 8, 16)
ANCHORS = Anchors.of([(SIZE // s, SIZE // s) for s in STRIDES], STRIDES)


def scene(seed: int, count: int, images: int, largest: float = 40.0) -> Targets:
    """Random boxes of 1 px to `largest`, with centres in the picture."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=generator) * SIZE
    size = 1 + torch.rand(count, 2, generator=generator) ** 3 * largest
    boxes = torch.cat((centre - size / 2, centre + size / 2), dim=1)
    return Targets(
        boxes,
        torch.randint(CLASSES, (count,), generator=generator),
        torch.randint(images, (count,), generator=generator),
    )


def predict(pairs: Pairs, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and overlaps that depend on (target, row) in no particular way; some overlaps are 0."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(len(pairs.rows), generator=generator)
    overlaps = (torch.rand(len(pairs.rows), generator=generator) - 0.3).clamp(min=0)
    return scores, overlaps


def matched(targets: Targets, top: int, seed: int) -> tuple[Pairs, Assignment, torch.Tensor]:
    pairs = candidates(targets, ANCHORS)
    scores, overlaps = predict(pairs, seed)
    return pairs, assign(pairs, scores, overlaps, top, 0.5, 6.0), overlaps


scenes = st.builds(scene, st.integers(0, 2**31), st.integers(0, 40), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(scenes, st.sampled_from([1, 10]), st.integers(0, 2**31))
def test_an_anchor_answers_for_one_target_of_its_own_picture(targets: Targets, top: int, seed: int) -> None:
    _, result, _ = matched(targets, top, seed)
    assert len(set(result.rows.tolist())) == len(result.rows)
    assert torch.equal(result.rows // len(ANCHORS), targets.images[result.targets])
    assert bool((torch.bincount(result.targets, minlength=1) <= top).all())


@settings(max_examples=60, deadline=None)
@given(scenes, st.integers(0, 2**31))
def test_one_to_one_gives_every_target_one_anchor_while_one_is_left(targets: Targets, seed: int) -> None:
    pairs, result, _ = matched(targets, 1, seed)
    count = torch.bincount(result.targets, minlength=len(targets))
    assert bool((count <= 1).all())
    taken = set(result.rows.tolist())
    for target in torch.nonzero(count == 0)[:, 0].tolist():
        own = set(pairs.rows[pairs.targets == target].tolist())
        assert own <= taken, "a target went without an anchor although one of its own was free"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 10]))
def test_every_target_has_a_candidate_however_small(seed: int, top: int) -> None:
    targets = scene(seed, 1, 1, largest=2.0)
    targets.boxes.clamp_(4, SIZE - 4)
    _, result, _ = matched(targets, top, seed)
    assert 1 <= len(result.rows) <= top


@settings(max_examples=40, deadline=None)
@given(scenes, st.sampled_from([1, 10]), st.integers(0, 2**31))
def test_the_order_of_the_targets_does_not_matter(targets: Targets, top: int, seed: int) -> None:
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    shuffled = Targets(targets.boxes[order], targets.classes[order], targets.images[order])
    results = []
    for these, names in ((targets, torch.arange(len(targets))), (shuffled, order)):
        pairs = candidates(these, ANCHORS)
        key = names[pairs.targets] * 7919 + pairs.rows * 104729  # the same prediction for the same pair
        scores, overlaps = (key % 1009) / 1009, (key % 2003) / 2003
        result = assign(pairs, scores, overlaps, top, 0.5, 6.0)
        found = zip(names[result.targets].tolist(), result.rows.tolist(), result.scores.tolist(), strict=True)
        results.append({(target, row): round(score, 5) for target, row, score in found})
    assert results[0] == results[1]


@settings(max_examples=40, deadline=None)
@given(scenes, st.integers(0, 2**31))
def test_target_scores_are_overlaps_at_most(targets: Targets, seed: int) -> None:
    """The best anchor of a target learns that target's best IoU, every other one less (TOOD, section 3.2)."""
    _, result, overlaps = matched(targets, 10, seed)
    for target in result.targets.unique().tolist():
        own = result.targets == target
        best = overlaps[result.pairs[own]].max()
        assert torch.isclose(result.scores[own].max(), best, atol=1e-6)


def test_no_targets_give_no_positives() -> None:
    empty = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    _, result, _ = matched(empty, 10, 0)
    assert len(result.rows) == len(result.targets) == len(result.scores) == 0


def test_a_contested_anchor_goes_to_the_better_overlap_and_the_loser_takes_its_next() -> None:
    pairs = Pairs(torch.tensor([0, 0, 1, 1]), torch.tensor([5, 6, 5, 7]), torch.zeros(4))
    scores = torch.full((4,), 0.5)
    result = assign(pairs, scores, torch.tensor([0.9, 0.2, 0.8, 0.1]), 1, 0.5, 6.0)
    assert dict(zip(result.targets.tolist(), result.rows.tolist(), strict=True)) == {0: 5, 1: 7}


def test_rank_counts_within_groups() -> None:
    groups = torch.tensor([2, 0, 2, 0, 2])
    assert rank(groups, torch.tensor([0.1, 0.5, 0.9, 0.6, 0.3])).tolist() == [2, 1, 0, 0, 1]
