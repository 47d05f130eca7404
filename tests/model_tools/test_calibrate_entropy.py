"""Entropy calibration equals the published pseudocode, and finds the threshold where the answer is known."""

import numpy as np
import pytest

from unina.compress.histogram import BINS, LEAST_INSIDE, LEVELS, count_magnitudes, divergences, entropy_threshold


def pseudocode_divergence(counts: np.ndarray, i: int) -> float:
    """GTC 2017 S7310, one candidate; outliers go to the last bin that is not empty."""
    p = counts[:i].astype(float)
    p[np.flatnonzero(p)[-1]] += counts[i:].sum()
    q = np.zeros(i)
    level = np.arange(i) * LEVELS // i
    for k in range(LEVELS):
        bins = np.flatnonzero((level == k) & (counts[:i] > 0))
        if len(bins):
            q[bins] = counts[:i][level == k].sum() / len(bins)
    p, q = p / p.sum(), q / q.sum()
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / q[seen])).sum())


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_pseudocode(seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = random.poisson(random.uniform(0.05, 300) * np.exp(-np.arange(BINS) / random.uniform(20, 900)))
    counts[-1] += 1
    found = divergences(counts)
    kept = np.cumsum(counts) / counts.sum()
    for i in [128, 129, 200, 255, 256, 257, 1000, 1999, 2047, 2048]:
        expected = pseudocode_divergence(counts, i) if kept[i - 1] >= LEAST_INSIDE else np.inf
        assert found[i - LEVELS] == pytest.approx(expected, abs=1e-9), i


def test_a_uniform_distribution_is_not_clipped() -> None:
    assert entropy_threshold(np.full(BINS, 1000), 6.0) == 6.0


def test_a_distribution_that_int8_holds_exactly_is_clipped_where_it_ends() -> None:
    counts = np.zeros(BINS, np.int64)
    counts[:LEVELS] = np.arange(1, LEVELS + 1)  # 128 bins, 128 levels: no information lost
    counts[-1] = 1  # what defines amax: one stray value in 8257
    assert entropy_threshold(counts, 16.0) < 16.0 * 0.1


def test_one_stray_value_does_not_stretch_the_range_of_a_smooth_bulk() -> None:
    bulk = np.abs(np.random.default_rng(0).normal(0, 1, 200_000)).astype(np.float32)
    values = np.append(bulk, np.float32(100))
    threshold = entropy_threshold(count_magnitudes(values, 100.0), 100.0)
    assert 4.0 < threshold < 10.0  # the bulk ends near 4.5; minmax says 100


def test_a_heavy_tail_is_kept() -> None:
    counts = np.full(BINS, 10)
    counts[-256:] = 10_000  # most of the mass lies at the top
    assert entropy_threshold(counts, 1.0) > 0.99


def test_magnitudes_are_counted_without_exact_zeros() -> None:
    values = np.array([0, 0, 0, -1, 1, 0.5, 2 / BINS], np.float32)
    counts = count_magnitudes(values, 1.0)
    assert counts.sum() == 4
    assert (counts[-1], counts[BINS // 2], counts[2]) == (2, 1, 1)


def test_a_bulk_far_from_zero_is_not_clipped_to_one_value() -> None:
    values = np.random.default_rng(0).normal(-40, 3, 50_000).astype(np.float32)  # class logits over background
    values[:20] = np.linspace(-10, 3, 20)  # a few cones
    amax = float(np.abs(values).max())
    threshold = entropy_threshold(count_magnitudes(values, amax), amax)
    assert (np.abs(values) <= threshold).mean() >= LEAST_INSIDE


def test_a_range_that_holds_little_is_no_candidate() -> None:
    counts = np.zeros(BINS, np.int64)
    counts[1024:] = 7  # no value below half of amax
    assert np.isinf(divergences(counts)[: 1024 + int(LEAST_INSIDE * 1024) - LEVELS]).all()
    assert entropy_threshold(counts, 2.0) > 1.9


def test_an_empty_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one count"):
        entropy_threshold(np.zeros(BINS, np.int64), 1.0)
