"""A convolution in FP16 on the host engine is ONNX Runtime's float convolution, within what FP16 resolves."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # counts only before onnxruntime starts

import numpy as np
import onnxruntime as ort
import pytest
from loadable_writer import Network, loadable_bytes
from onnx import TensorProto, helper, numpy_helper

from unina_runtime import HostEngine

HALF_STEP = 2.0**-11
"""Of FP16, relative: what rounding a value costs at most."""


def float_model(network: Network) -> bytes:
    """The convolutions in float32, with the weights as they are."""
    nodes, constants = [], []
    for i, op in enumerate(network.ops):
        for kind in ("weights", "bias"):
            constants.append(numpy_helper.from_array(op[kind].astype(np.float32), f"{kind}{i}"))
        window = {"strides": op["stride"], "pads": op["pads"], "dilations": op["dilation"], "group": op["groups"]}
        nodes.append(helper.make_node("Conv", [*op["inputs"], f"weights{i}", f"bias{i}"], [op["output"]], **window))
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *network.shape(name)]) for name in names]
        for names in (network.inputs, network.outputs)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "network", *values, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("seed", range(6))
def test_a_promoted_convolution_differs_by_half_a_step_of_fp16(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth, outputs = int(rng.integers(1, 100)), int(rng.integers(1, 80))
    kernel = (1, 1) if seed < 4 else (3, 2)
    n = Network()
    n.input("x", depth, 13, 17, 0.25)  # int8 · 0.25 is exact in FP16
    weights = rng.normal(0, 1 / np.sqrt(depth), (outputs, depth, *kernel)).astype(np.float16)
    bias = rng.normal(0, 1, outputs).astype(np.float32)
    n.float_conv("x", "y", weights, bias)
    n.outputs = ["y"]
    q = rng.integers(-128, 128, (1, depth, 13, 17)).astype(np.int8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(float_model(n), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["y"], {"x": q.astype(np.float32) * np.float32(0.25)})
    found = HostEngine(loadable_bytes(n)).run({"x": q})["y"]
    # Both sum in float32, in different orders: a little beside the largest value, which is what cancels.
    np.testing.assert_allclose(found, expected, rtol=HALF_STEP, atol=1e-5 * np.abs(expected).max())
