"""Percentile and squared-error calibration find the threshold where the answer is known."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from unina.compress.clipping import percentile_threshold, squared_error_threshold
from unina.compress.histogram import BINS, Counts, count_magnitudes

Values = npt.NDArray[np.floating]


def normal(count: int = 200_000) -> Values:
    return np.abs(np.random.default_rng(0).normal(0, 1, count)).astype(np.float32)


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.9, 99.99])
def test_the_percentile_is_that_of_the_values(percentile: float) -> None:
    values = normal()
    amax = float(values.max())
    found = percentile_threshold(count_magnitudes(values, amax), amax, percentile)
    assert found == pytest.approx(np.percentile(values, percentile), abs=amax / BINS)


def test_a_hundred_per_cent_clip_nothing() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).exponential(1, 12_345).astype(np.float32)
        amax = float(values.max())
        assert percentile_threshold(count_magnitudes(values, amax), amax, 100) == pytest.approx(amax)


def quantised_error(values: Values, threshold: float) -> float:
    scale = threshold / 127
    return float(((values - scale * np.minimum(np.rint(values / scale), 127)) ** 2).sum())


@pytest.mark.parametrize("shape", ["normal", "exponential", "uniform"])
def test_no_threshold_loses_noticeably_less_than_the_one_found(shape: str) -> None:
    values = np.abs(getattr(np.random.default_rng(1), shape)(size=50_000)).astype(np.float64)
    amax = float(values.max())
    found = squared_error_threshold(count_magnitudes(values.astype(np.float32), amax), amax)
    best = min(quantised_error(values, t) for t in np.linspace(amax / 16, amax, 400))
    assert quantised_error(values, found) <= 1.03 * best
    if shape == "uniform":
        assert found > 0.97 * amax


def test_a_stray_value_does_not_decide() -> None:
    values = np.append(normal(), np.float32(60))
    assert squared_error_threshold(count_magnitudes(values, 60.0), 60.0) < 40


@pytest.mark.parametrize("find", [percentile_threshold, squared_error_threshold])
def test_an_empty_histogram_is_refused(find: Callable[[Counts, float], float]) -> None:
    with pytest.raises(ValueError, match="at least one count"):
        find(np.zeros(BINS, np.int64), 1.0)


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1])
def test_a_percentile_out_of_range_is_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        percentile_threshold(np.ones(BINS, np.int64), 1.0, percentile)
