"""The host engine and the NumPy reference agree on every bit of every output, int8 and float16."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from loadable_writer import Network, loadable_bytes
from random_networks import networks

from unina_runtime import HostEngine

MODES = list(itertools.product(("half-away", "half-even"), ("fp32", "fp19")))


def differing(network: Network, feeds: dict[str, np.ndarray], threads: int, mode: tuple[str, str]) -> dict[str, int]:
    """Values that differ, an output; of float16 also those that differ in the sign of zero alone."""
    engine = HostEngine(loadable_bytes(network), threads, *mode)
    expected = reference.run(network, feeds, *mode)
    engine.run({name: np.zeros_like(value) for name, value in feeds.items()})  # leaves nothing behind
    result = engine.run(feeds)
    assert list(result) == network.outputs
    counts = {}
    for name, value in expected.items():
        assert result[name].dtype == value.dtype == (np.float16 if network.is_float16(name) else np.int8)
        counts[name] = int((result[name].view(f"u{value.itemsize}") != value.view(f"u{value.itemsize}")).sum())
    return counts


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_value_differs_over_random_networks(case: tuple[Network, dict[str, np.ndarray]]) -> None:
    network, feeds = case
    for threads in (1, 2):
        for mode in MODES:
            counts = differing(network, feeds, threads, mode)
            assert not any(counts.values()), f"{threads} threads, {mode}: {counts}"


def cancelling(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Weights whose sum over a constant picture is a small rest of large numbers: what rests depends on their order."""
    taps = int(np.prod(shape[1:]))
    large = rng.uniform(2**14, 65000, (shape[0], taps // 3))
    small = rng.uniform(-(2.0**-6), 2.0**-6, (shape[0], taps - 2 * large.shape[1]))
    return rng.permuted(np.hstack([large, -large, small]).astype(np.float16), axis=1).reshape(shape)


@pytest.mark.parametrize("seed", range(12))
def test_sums_in_fp16_go_channel_by_channel_and_row_by_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth, kernel, groups = int(rng.integers(2, 20)), tuple(rng.integers(1, 4, 2)), int(rng.choice([1, 2, 5]))
    weights = cancelling(rng, (groups * int(rng.integers(1, 20)), depth, *kernel))
    network = Network()
    network.input("x", depth * groups, 6, 9)
    network.float_conv("x", "y", weights, rng.normal(0, 1, len(weights)), groups=groups, pads=(0, 1, 0, 0))
    network.outputs = ["y"]
    feeds = {"x": np.ones((1, depth * groups, 6, 9), np.int8)}
    assert differing(network, feeds, 2, MODES[0]) == {"y": 0}
    inside = reference.run(network, feeds)["y"][0, :, 0, 1]
    bias = network.ops[0]["bias"]

    def in_order(*axes: int) -> np.ndarray:
        terms = np.hstack([bias[:, None], weights.astype(np.float32).transpose(0, *axes).reshape(len(weights), -1)])
        return reference.f16(np.add.accumulate(terms, axis=1, dtype=np.float32)[:, -1])

    np.testing.assert_array_equal(in_order(1, 2, 3), inside)
    if min(depth, *kernel) > 1 and len(weights) > 4:  # else other orders are the same, or may be by chance
        assert (in_order(2, 3, 1) != inside).any() and (in_order(1, 3, 2) != inside).any()


@pytest.mark.long
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_value_differs_over_many_random_networks(case: tuple[Network, dict[str, np.ndarray]]) -> None:
    network, feeds = case
    for mode in MODES:
        counts = differing(network, feeds, 3, mode)
        assert not any(counts.values()), f"{mode}: {counts}"
