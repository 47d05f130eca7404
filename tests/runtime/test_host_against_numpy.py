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


@pytest.mark.long
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_value_differs_over_many_random_networks(case: tuple[Network, dict[str, np.ndarray]]) -> None:
    network, feeds = case
    for mode in MODES:
        counts = differing(network, feeds, 3, mode)
        assert not any(counts.values()), f"{mode}: {counts}"
