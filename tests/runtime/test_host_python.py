"""HostEngine of unina_runtime: what it says of a network, what it takes and what it refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import reference
from loadable_writer import Network, loadable_bytes

from unina_runtime import HostEngine, UninaError


def network(rounding: str = "half-away") -> Network:
    """Two inputs, a sum, and a halving of it that makes ties."""
    n = Network(rounding=rounding)
    n.input("left", 3, 5, 7, 0.5)
    n.input("right", 3, 5, 7, 0.5)
    n.add("left", "right", "sum", scale=1.0)
    weights = np.arange(6, dtype=np.int8).reshape(2, 3, 1, 1)
    n.conv("sum", "mixed", weights, np.array([1, -1]), np.array([0.5, 0.25]), scale=2.0)
    n.outputs = ["mixed", "sum"]
    return n


def feeds(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.integers(-128, 128, (1, 3, 5, 7)).astype(np.int8) for name in ("left", "right")}


def test_it_describes_inputs_and_outputs_in_the_order_of_the_file() -> None:
    engine = HostEngine(loadable_bytes(network()))
    assert engine.inputs == [("left", (1, 3, 5, 7), 0.5), ("right", (1, 3, 5, 7), 0.5)]
    assert engine.outputs == [("mixed", (1, 2, 5, 7), 2.0), ("sum", (1, 3, 5, 7), 1.0)]


def test_path_and_bytes_give_the_same_engine(tmp_path: Path) -> None:
    (tmp_path / "host.loadable").write_bytes(loadable_bytes(network()))
    for source in (tmp_path / "host.loadable", str(tmp_path / "host.loadable"), loadable_bytes(network())):
        result = HostEngine(source).run(feeds())
        assert (result["mixed"] == reference.run(network(), feeds())["mixed"]).all()


@pytest.mark.parametrize("own", ["half-away", "half-even"])
def test_rounding_is_the_files_unless_it_is_given(own: str) -> None:
    results = {r: reference.run(network(), feeds(), r)["mixed"] for r in ("half-away", "half-even")}
    assert (results["half-away"] != results["half-even"]).any()
    assert (HostEngine(loadable_bytes(network(own))).run(feeds())["mixed"] == results[own]).all()
    for given, expected in results.items():
        assert (HostEngine(loadable_bytes(network(own)), rounding=given).run(feeds())["mixed"] == expected).all()


def test_pointwise_is_float32_unless_it_is_given() -> None:
    # a bias of one step beside a sum of thousands: FP19's eleven bits do not hold both
    n = Network()
    n.input("wide", 3, 5, 7)
    n.conv("wide", "sum", np.full((1, 3, 1, 1), 97, np.int8), np.array([1]), np.array([0.003]))
    n.outputs = ["sum"]
    given = {"wide": feeds()["left"]}
    results = {p: reference.run(n, given, pointwise=p)["sum"] for p in ("fp32", "fp19")}
    assert (results["fp32"] != results["fp19"]).any()
    assert (HostEngine(loadable_bytes(n)).run(given)["sum"] == results["fp32"]).all()
    for pointwise, expected in results.items():
        assert (HostEngine(loadable_bytes(n), pointwise=pointwise).run(given)["sum"] == expected).all()


def test_scales_that_fp19_cannot_hold_are_named() -> None:
    def one_conv(scale: float, multiplier: float, bias: int = 0) -> bytes:
        n = Network()
        n.input("in", 1, 1, 1)
        n.conv("in", "out", np.ones((1, 1, 1, 1), np.int8), np.array([bias]), np.array([multiplier]), scale=scale)
        n.outputs = ["out"]
        return loadable_bytes(n)

    def one_sum(scale: float) -> bytes:
        n = Network()
        n.input("in", 1, 1, 1, scale)
        n.add("in", "in", "out", scale=scale)
        n.outputs = ["out"]
        return loadable_bytes(n)

    for content, reason in (
        (one_conv(1e-39, 1.0), "1 / .*output"),
        (one_conv(1e30, 1e30), "op 0 .*channel 0: the scale of the accumulator"),
        (one_conv(1e30, 1.0, 1 << 30), "op 0 .*channel 0: the bias"),
        (one_sum(1e38), "the scale of the inputs"),
    ):
        HostEngine(content)
        with pytest.raises(UninaError, match=reason):
            HostEngine(content, pointwise="fp19")


def test_views_and_columns_in_any_order_are_read_rightly() -> None:
    engine = HostEngine(loadable_bytes(network()))
    twisted = {k: np.asfortranarray(np.flip(v, 3)) for k, v in feeds().items()}
    straight = {k: np.ascontiguousarray(v) for k, v in twisted.items()}
    assert (engine.run(twisted)["sum"] == engine.run(straight)["sum"]).all()


def test_results_belong_to_the_caller() -> None:
    engine = HostEngine(loadable_bytes(network()))
    first = engine.run(feeds(0))
    kept = first["mixed"].copy()
    engine.run(feeds(1))
    assert (first["mixed"] == kept).all()
    assert first["mixed"].dtype == np.int8


def test_one_engine_serves_many_python_threads() -> None:
    engine = HostEngine(loadable_bytes(network()), threads=2)
    expected = [reference.run(network(), feeds(i))["mixed"] for i in range(4)]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(200):
            if (engine.run(feeds(i))["mixed"] != expected[i]).any():
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def changed(**values: object) -> dict[str, object]:
    return {**feeds(), **values}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"left": feeds()["left"]}, '"right" is missing'),
        (changed(other=feeds()["left"]), 'no input "other"'),
        (changed(left=feeds()["left"].astype(np.float32)), "float32; expected int8 1x3x5x7"),
        (changed(left=feeds()["left"].view(np.uint8)), "uint8; expected int8 1x3x5x7"),
        (changed(left=feeds()["left"][0]), r"\(3, 5, 7\); expected int8 1x3x5x7"),
        (changed(left=feeds()["left"][..., :-1]), r"\(1, 3, 5, 6\); expected int8 1x3x5x7"),
        (changed(left=[[1]]), "not a NumPy array"),
    ],
)
def test_feeds_that_do_not_fit_are_named(given: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(UninaError, match=reason):
        HostEngine(loadable_bytes(network())).run(given)


def test_options_that_do_not_fit_are_named() -> None:
    with pytest.raises(UninaError, match="rounding"):
        HostEngine(loadable_bytes(network()), rounding="up")
    with pytest.raises(UninaError, match="pointwise"):
        HostEngine(loadable_bytes(network()), pointwise="fp16")
    for threads in (0, -1, 100_000):
        with pytest.raises(UninaError, match="threads"):
            HostEngine(loadable_bytes(network()), threads=threads)


def test_a_float16_output_has_no_scale_and_comes_as_float16() -> None:
    n = network()
    weights = np.full((2, 3, 1, 1), 0.1, np.float16)
    n.float_conv("sum", "real", weights, np.array([0.5, -1e6], np.float32))
    n.outputs.append("real")
    engine = HostEngine(loadable_bytes(n))
    assert engine.outputs[-1] == ("real", (1, 2, 5, 7), None)
    found = engine.run(feeds())["real"]
    assert found.dtype == np.float16
    exact = feeds()["left"].astype(float) + feeds()["right"]  # of scale 0.5; "sum" rounds it to whole numbers
    np.testing.assert_allclose(found[0, 0], 0.1 * (exact / 2).sum(axis=1)[0] + 0.5, atol=0.25)
    assert (found[0, 1] == -65504).all()


def test_an_input_may_be_an_output() -> None:
    n = network()
    n.outputs.append("left")
    assert (HostEngine(loadable_bytes(n)).run(feeds())["left"] == feeds()["left"]).all()
