"""A verdict that is given is right, and one that frames alone cannot give is not given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_runs import frames_ms

from unina_runtime.profile.regression import (
    FASTER,
    LEAST,
    SAME,
    SLOWER,
    UNCLEAR,
    block_length,
    compare,
    mann_whitney,
)

RUNS = 20


def test_runs_of_one_kind_are_not_called_slower_however_alike_neighbours_are() -> None:
    """Of 20 pairs at most one, with no tolerance to help; frames taken one by one would be sure of most."""
    pairs = [(frames_ms(2000, 2 * seed), frames_ms(2000, 2 * seed + 1)) for seed in range(RUNS)]
    assert sum(compare(old, new, 0.0).verdict in {SLOWER, FASTER} for old, new in pairs) <= 1
    alone = [mann_whitney(np.asarray(old), np.asarray(new))[0] < 0.05 for old, new in pairs]
    assert sum(alone) > RUNS / 4, "what the blocks are for"


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, SLOWER), (1 / 1.2, FASTER)])
def test_a_change_of_a_fifth_is_seen(factor: float, verdict: str) -> None:
    found = compare(frames_ms(3000, 1), frames_ms(3000, 2, factor), 0.02)
    assert found.verdict == verdict
    median = found.ratios[0]
    assert median.low < factor < median.high and median.ratio == pytest.approx(factor, rel=0.05)
    assert (median.slower > 0.99) == (verdict == SLOWER)
    assert found.p_value is not None and found.p_value < 0.01


def test_a_tail_that_grows_is_slower_though_the_median_stays() -> None:
    old = frames_ms(8000, 1, memory=0.0)
    new = [3 * ms if index % 50 == 0 else ms for index, ms in enumerate(frames_ms(8000, 2, memory=0.0))]
    found = compare(old, new, 0.02)
    assert [one.verdict for one in found.ratios] == [SAME, SLOWER] and found.verdict == SLOWER


def test_no_change_is_said_where_the_interval_is_within_the_tolerance() -> None:
    assert compare(frames_ms(8000, 1, memory=0), frames_ms(8000, 2, memory=0), 0.02).verdict == SAME


def test_few_frames_say_nothing() -> None:
    found = compare(frames_ms(LEAST - 1, memory=0), frames_ms(3000, factor=9), 0.02)
    assert found.verdict == UNCLEAR and f"{LEAST - 1} frames" in found.why
    drifting = list(np.linspace(1, 2, 400))
    assert compare(drifting, drifting, 0.02).verdict == UNCLEAR, "a drift is alike from end to end"


def test_blocks_are_as_long_as_frames_are_alike() -> None:
    assert block_length(np.asarray(frames_ms(4000, memory=0.0))) <= 2
    assert 10 <= block_length(np.asarray(frames_ms(4000, memory=0.9))) <= 80
    assert block_length(np.ones(100)) == 1


def test_mann_whitney_is_the_textbooks() -> None:
    """By hand: U = 20.5 of 25, tie correction 0.2, variance 22.5, z = 7.5/√22.5."""
    p_value, superiority = mann_whitney(np.array([1.0, 2, 3, 4, 5]), np.array([3.0, 4, 5, 6, 7]))
    assert superiority == pytest.approx(20.5 / 25) and p_value == pytest.approx(0.113846, abs=1e-5)
    assert mann_whitney(np.ones(5), np.ones(9)) == (1.0, 0.5)


samples = st.lists(st.floats(0.01, 1e4, allow_nan=False), min_size=1, max_size=120)


@given(samples, samples)
def test_whatever_the_times_are_it_ends_and_turns_round(old: list[float], new: list[float]) -> None:
    there, back = compare(old, new, 0.02), compare(new, old, 0.02)
    turned = {SLOWER: FASTER, FASTER: SLOWER}
    for one, other in zip(there.ratios, back.ratios, strict=True):
        assert turned.get(one.verdict, one.verdict) == other.verdict or UNCLEAR in {one.verdict, other.verdict}
    one, other = mann_whitney(np.asarray(old), np.asarray(new)), mann_whitney(np.asarray(new), np.asarray(old))
    assert one[0] == pytest.approx(other[0]) and one[1] == pytest.approx(1 - other[1])
