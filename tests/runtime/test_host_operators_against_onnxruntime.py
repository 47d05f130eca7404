"""Operators of version 3 equal ONNX Runtime's on the same whole numbers, in float: every sum there is exact."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # counts only before onnxruntime starts

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loadable_writer import Network, loadable_bytes
from onnx import TensorProto
from random_networks import CHANNELS, add_pool, small_pair
from reference import round_half_away

from unina_runtime import HostEngine

sys.path.insert(0, str(Path(__file__).parents[2] / "runtime" / "bench"))
from onnx_graphs import GraphWriter, values, window_attributes


def onnx_values(network: Network, feeds: dict[str, np.ndarray], kind: str, **attributes: Any) -> np.ndarray:
    """What ONNX Runtime makes of the stored integers as float32, unrounded; resizes take `factor` as their scales."""
    graph = GraphWriter()
    (op,) = network.ops
    inputs = list(op["inputs"])
    if kind == "Resize":
        inputs += ["", graph.constant("factors", np.array([1, 1, *op["factor"]], np.float32))]
    graph.node(kind, inputs, op["output"], **attributes)
    real = TensorProto.FLOAT
    model = graph.model(values(network, network.inputs, real), values(network, [op["output"]], real))
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {name: value.astype(np.float32) for name, value in feeds.items()})
    return result


def engine_values(network: Network, feeds: dict[str, np.ndarray], rounding: str) -> np.ndarray:
    network.outputs = [network.ops[0]["output"]]
    return HostEngine(loadable_bytes(network), 2, rounding).run(feeds)[network.outputs[0]]


def rounded(real: np.ndarray, rounding: str) -> np.ndarray:
    return np.clip(np.rint(real) if rounding == "half-even" else round_half_away(real), -128, 127).astype(np.int8)


def picture(draw: st.DrawFn, network: Network, names: list[str], channels: int | None = None) -> dict[str, np.ndarray]:
    """Inputs of one shape, whole numbers over all of int8."""
    shape = (channels or draw(st.sampled_from(CHANNELS)), *small_pair(draw, 1, 17))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {network.input(name, *shape): rng.integers(-128, 128, (1, *shape)).astype(np.int8) for name in names}


thorough = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", ["max", "min"])
@thorough
@given(data=st.data())
def test_no_value_of_max_and_min_differs(kind: str, data: st.DataObject) -> None:
    network = Network()
    feeds = data.draw(st.composite(picture)(network, ["a", "b"]))
    network.extreme(kind, "a", "b", "c")
    expected = onnx_values(network, feeds, kind.capitalize())
    np.testing.assert_array_equal(engine_values(network, feeds, "half-away"), expected)


@thorough
@given(data=st.data())
def test_no_value_of_depth_to_space_differs(data: st.DataObject) -> None:
    network = Network()
    block = data.draw(st.integers(1, 4))
    channels = data.draw(st.sampled_from(CHANNELS))
    feeds = data.draw(st.composite(picture)(network, ["x"], channels * block * block))
    network.depth_to_space("x", "y", (block, block))
    expected = onnx_values(network, feeds, "DepthToSpace", blocksize=block, mode="DCR")
    np.testing.assert_array_equal(engine_values(network, feeds, "half-away"), expected)


@pytest.mark.parametrize("corner", ["half_pixel", "asymmetric"])
@thorough
@given(data=st.data())
def test_no_value_of_a_bilinear_enlargement_by_1_2_or_4_differs(corner: str, data: st.DataObject) -> None:
    network = Network()
    feeds = data.draw(st.composite(picture)(network, ["x"]))
    factor = data.draw(st.tuples(*[st.sampled_from([1, 2, 4])] * 2))
    network.bilinear("x", "y", factor, corner=corner)
    real = onnx_values(network, feeds, "Resize", mode="linear", coordinate_transformation_mode=corner)
    assert (real * 64 == np.rint(real * 64)).all()  # exact
    for rounding in ("half-away", "half-even"):
        np.testing.assert_array_equal(engine_values(network, feeds, rounding), rounded(real, rounding))


@thorough
@given(data=st.data())
def test_no_value_of_a_mean_differs_but_for_ties(data: st.DataObject) -> None:
    network = Network()
    feeds = data.draw(st.composite(picture)(network, ["x"]))
    if not data.draw(st.composite(add_pool)(network, "x", "y", "avgpool")):
        return
    real = onnx_values(network, feeds, "AveragePool", count_include_pad=0, **window_attributes(network.ops[0]))
    decided = np.abs(real - np.floor(real) - 0.5) > 1e-4  # its means may be off by a rounding
    for rounding in ("half-away", "half-even"):
        found = engine_values(network, feeds, rounding)
        np.testing.assert_array_equal(found[decided], rounded(real, rounding)[decided])
        assert (np.abs(found - real) <= 0.5 + 1e-4).all()


@pytest.mark.parametrize("broadcast", [False, True])
@thorough
@given(data=st.data())
def test_no_value_of_a_product_differs(broadcast: bool, data: st.DataObject) -> None:
    network = Network()
    feeds = data.draw(st.composite(picture)(network, ["a"] if broadcast else ["a", "b"]))
    if broadcast:
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        channels = network.shape("a")[0]
        feeds[network.input("b", channels, 1, 1)] = rng.integers(-128, 128, (1, channels, 1, 1)).astype(np.int8)
    network.mul("a", "b", "c", scale=2.0 ** data.draw(st.integers(0, 8)))
    real = onnx_values(network, feeds, "Mul") / network.scale("c")  # exact: a power of two
    for rounding in ("half-away", "half-even"):
        np.testing.assert_array_equal(engine_values(network, feeds, rounding), rounded(real, rounding))
