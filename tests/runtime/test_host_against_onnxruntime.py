"""With ties to even, convolutions equal ONNX Runtime's QLinearConv in every value."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # counts only before onnxruntime starts

import platform
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loadable_writer import Network, loadable_bytes
from random_networks import SCALES, add_conv, small_pair

from unina_runtime import HostEngine

sys.path.insert(0, str(Path(__file__).parents[2] / "runtime" / "bench"))
from onnx_graphs import integer_graph


def onnxruntime_does_not_saturate() -> bool:
    """Its x86 kernels without VNNI sum pairs of products in 16 bits that saturate."""
    if platform.machine() == "aarch64":
        return True
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx512_vnni" in flags or "avx_vnni" in flags


pytestmark = pytest.mark.skipif(
    not onnxruntime_does_not_saturate(),
    reason="NOT COMPARED with ONNX Runtime: this CPU has no VNNI, so its QLinearConv may saturate in between",
)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Network, dict[str, np.ndarray]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    network = Network(rounding="half-even")
    channels = draw(st.sampled_from([1, 3, 4, 8, 16, 30, 32, 64, 96]))
    network.input("x", channels, *small_pair(draw, 1, 17), draw(st.sampled_from(SCALES)))
    for i in range(draw(st.integers(1, 3))):
        add_conv(draw, rng, network, network.tensors[-1]["name"], f"t{i}")
    network.outputs = [op["output"] for op in network.ops]
    # ONNX Runtime keeps biases in a range where its own sums cannot wrap.
    for op in network.ops:
        op["bias"] = np.clip(op["bias"], -(2**24), 2**24).astype(np.int32)
    return network, {"x": rng.integers(-128, 128, (1, *network.shape("x"))).astype(np.int8)}


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(convolutions())
def test_no_value_differs_from_qlinearconv(case: tuple[Network, dict[str, np.ndarray]]) -> None:
    network, feeds = case
    if not network.ops:
        return
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    expected = {}
    # Its kernels for uint8 are others than those for int8.
    for activations, element, zero in (("int8", np.int8, 0), ("uint8", np.uint8, 128)):
        model = integer_graph(network, activations)
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        stored = {name: (value.astype(np.int16) + zero).astype(element) for name, value in feeds.items()}
        expected[activations] = [value.astype(np.int16) - zero for value in session.run(network.outputs, stored)]
    for threads in (1, 2):
        result = HostEngine(loadable_bytes(network), threads=threads).run(feeds)
        for activations, outputs in expected.items():
            for name, value in zip(network.outputs, outputs, strict=True):
                assert (result[name] != value).sum() == 0, f"{name}, {activations}"
