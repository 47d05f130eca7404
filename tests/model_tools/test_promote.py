"""The set of layers in FP16: enough, nothing in it that is not needed, and a clear word when there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unina.compress.promote import NotReached, smallest_set

STEPS = st.integers(1, 9).flatmap(
    lambda count: st.lists(st.integers(1, 3), min_size=1, max_size=count).map(
        lambda sizes: [tuple(f"{step}.{i}" for i in range(size)) for step, size in enumerate(sizes)]
    )
)


@given(STEPS, st.floats(0, 3), st.data())
def test_the_set_is_enough_and_every_layer_of_it_is_needed(
    steps: list[tuple[str, ...]], max_drop: float, data: st.DataObject
) -> None:
    layers = [name for step in steps for name in step]
    gains = {name: data.draw(st.floats(-0.2, 1), label=name) for name in layers}

    def drop_of(chosen: tuple[str, ...]) -> float:
        return 2 - sum(gains[name] for name in chosen)

    try:
        found = smallest_set(steps, drop_of, max_drop)
    except NotReached as error:
        assert drop_of(tuple(layers)) > max_drop and drop_of(()) > max_drop
        assert error.best.drop == min(trial.drop for trial in error.trials) > max_drop
        return
    chosen = found.chosen.layers
    assert found.chosen.drop == drop_of(chosen) <= max_drop
    for name in chosen:
        assert drop_of(tuple(one for one in chosen if one != name)) > max_drop
    measured = [frozenset(trial.layers) for trial in found.trials]
    assert len(set(measured)) == len(measured), "no set is measured twice"


def test_int8_that_is_good_enough_is_left_alone() -> None:
    found = smallest_set([("a",), ("b",)], lambda layers: 0.1, 0.3)
    assert found.chosen.layers == () and len(found.trials) == 1


def test_a_layer_that_the_doubling_brought_along_is_taken_back() -> None:
    steps = [("a",), ("b", "c"), ("d",), ("e",)]
    found = smallest_set(steps, lambda layers: 1.0 - 0.5 * ("a" in layers) - 0.5 * ("d" in layers), 0.0)
    assert found.chosen.layers == ("a", "d")


def test_where_no_set_is_enough_the_best_is_told() -> None:
    with pytest.raises(NotReached) as caught:
        smallest_set([("a",), ("b",)], lambda layers: {0: 2.0, 1: 0.75, 2: 0.9}[len(layers)], 0.5)
    text = str(caught.value)
    assert "meets a drop of 0.5 points" in text and "loses 0.75, with 1 in FP16 (a)" in text
