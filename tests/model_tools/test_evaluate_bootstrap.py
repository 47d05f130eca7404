"""The paired bootstrap: equal detectors do not differ, a plain gain leaves out 0, a seed repeats the interval."""

import numpy as np
import pytest
from scored_sets import found, sample

from unina.evaluate.bootstrap import map50_interval, paired_bootstrap
from unina.evaluate.classes import same_classes
from unina.evaluate.match import Matches
from unina.evaluate.precision_recall import mean_average_precision
from unina.evaluate.score import coco_scores
from unina.evaluate.summary import Scored
from unina_runtime import Detections

NAMES = ("blue", "yellow")
CONES = [[40.0 * k, 0.0, 40.0 * k + 20, 40.0] for k in range(6)]
LABELS = [0, 1, 0, 1, 0, 1]
MISS = [600.0, 400.0, 620.0, 440.0]


def detector(recall: float, seed: int, pictures: int = 12) -> Matches:
    """Finds each cone with a probability, and something false in every picture."""
    generator = np.random.default_rng(seed)
    samples = [sample(CONES, LABELS, name=f"{i}.jpg") for i in range(pictures)]
    detections: list[Detections] = []
    for _ in range(pictures):
        seen = [k for k in range(len(CONES)) if generator.random() < recall]
        rows = [(float(generator.uniform(0.3, 1)), CONES[k], LABELS[k]) for k in seen]
        detections.append(found(*rows, (float(generator.uniform(0, 0.6)), MISS, 0)))
    return Scored.of(same_classes(NAMES, (), samples), samples, detections).matches()


def test_a_detector_does_not_differ_from_itself() -> None:
    result = paired_bootstrap(detector(0.7, 1), detector(0.7, 1), resamples=100)
    assert (result.difference, result.low, result.high) == (0, 0, 0)
    assert not result.clear


def test_a_plain_gain_leaves_out_zero_and_turns_round_with_the_order() -> None:
    good, poor = detector(0.9, 1), detector(0.4, 2)
    gain = paired_bootstrap(good, poor, resamples=300)
    loss = paired_bootstrap(poor, good, resamples=300)
    assert gain.clear and gain.low > 0.2 and gain.low < gain.difference < gain.high
    assert (loss.difference, loss.low, loss.high) == pytest.approx((-gain.difference, -gain.high, -gain.low))


def test_noise_of_equal_detectors_is_not_a_difference() -> None:
    assert not paired_bootstrap(detector(0.7, 1), detector(0.7, 2), resamples=300).clear


def test_a_seed_repeats_the_interval() -> None:
    mine, other = detector(0.8, 1), detector(0.7, 2)
    first = paired_bootstrap(mine, other, resamples=50, seed=3)
    assert first == paired_bootstrap(mine, other, resamples=50, seed=3)
    assert first != paired_bootstrap(mine, other, resamples=50, seed=4)


def test_the_interval_is_that_of_drawing_pictures_and_matching_them_anew() -> None:
    """Against the plain way: draw pictures, score the drawn ones, take percentiles."""
    generator = np.random.default_rng(5)
    samples = [sample(CONES, LABELS, name=f"{i}.jpg") for i in range(5)]
    pair = []
    for recall in (0.9, 0.6):
        rows = [
            [(float(generator.uniform()), CONES[k], LABELS[k]) for k in range(6) if generator.random() < recall]
            for _ in samples
        ]
        pair.append(Scored.of(same_classes(NAMES, (), samples), samples, [found(*one) for one in rows]))
    result = paired_bootstrap(pair[0].matches(), pair[1].matches(), resamples=40, seed=9)

    draws = np.random.default_rng(9)
    plain = []
    for _ in range(40):
        drawn = draws.integers(0, 5, 5)
        parts = [one.chosen([int(i) for i in drawn]) for one in pair]
        maps = [coco_scores(part.truths, part.detections, part.names).map50 for part in parts]
        plain.append(maps[0] - maps[1])
    assert (result.low, result.high) == pytest.approx(tuple(np.percentile(plain, (2.5, 97.5))), abs=1e-9)


def test_an_interval_holds_its_map50_and_narrows_with_pictures() -> None:
    few, many = detector(0.7, 1, pictures=6), detector(0.7, 1, pictures=96)
    ends = [map50_interval(matches) for matches in (few, many)]
    for matches, (low, high) in zip((few, many), ends, strict=True):
        assert low < mean_average_precision(matches) < high
    assert ends[1][1] - ends[1][0] < (ends[0][1] - ends[0][0]) / 2  # by the square root of 16, about


def test_a_bootstrap_stops_when_its_time_is_over_but_not_before_it_has_enough() -> None:
    result = paired_bootstrap(detector(0.8, 1), detector(0.7, 2), resamples=10_000, seconds=0)
    assert result.resamples == 200


def test_detectors_of_different_labels_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same pictures, labels and classes"):
        paired_bootstrap(detector(0.8, 1), detector(0.8, 1, pictures=11))
