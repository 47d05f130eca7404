"""A deploy graph while it is being written: steps that can still be changed, and the ONNX that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from unina.dla.graph import Shape

Array = npt.NDArray[Any]
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True, eq=False)
class Step:
    """One ONNX node; `constants` are its inputs behind those that are computed ("" among them: left out)."""

    op: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    """role → values, in the order of the inputs"""

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """Of a Conv: O×(I/groups)×k_h×k_w."""
        return self.constants["weight"]

    @property
    def bias(self) -> npt.NDArray[np.float32]:
        """Of a Conv: O."""
        return self.constants["bias"]


@dataclass(frozen=True, eq=False)
class DeployNetwork:
    """A network of one picture as input, 1×C×H×W."""

    input: str
    shape: Shape
    """of the input"""
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]

    def to_onnx(self) -> onnx.ModelProto:
        """Float32, opset 17. Raises what onnx raises where shapes do not fit."""
        nodes, tensors = [], []
        for step in self.steps:
            inputs = list(step.inputs)
            for role, values in step.constants.items():
                inputs.append(f"{step.output}.{role}" if values.size else "")
                if values.size:
                    tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), inputs[-1]))
            nodes.append(helper.make_node(step.op, inputs, [step.output], step.name, **step.attributes))
        images = helper.make_tensor_value_info(self.input, TensorProto.FLOAT, self.shape)
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs]
        graph = helper.make_graph(nodes, "deploy", [images], outputs, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        del model.graph.output[:]
        model.graph.output.extend(inferred.graph.output)
        onnx.checker.check_model(model, full_check=True)
        return model


def conv_step(
    name: str,
    x: str,
    output: str,
    weight: Array,
    bias: Array,
    *,
    strides: tuple[int, ...] = (1, 1),
    pads: tuple[int, ...] = (0, 0, 0, 0),
    dilations: tuple[int, ...] = (1, 1),
    group: int = 1,
) -> Step:
    """A convolution; `weight` O×(I/group)×k_h×k_w, `bias` O."""
    attributes = {
        "kernel_shape": list(weight.shape[2:]),
        "strides": list(strides),
        "pads": list(pads),
        "dilations": list(dilations),
        "group": group,
    }
    constants = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    return Step("Conv", name, (x,), output, attributes, constants)


def channel_step(name: str, x: str, output: str, scale: Array, shift: Array) -> Step:
    """`scale · x + shift`, one of each a channel: a depthwise convolution of 1×1."""
    return conv_step(name, x, output, scale.reshape(-1, 1, 1, 1), shift, group=scale.size)


def select_step(name: str, x: str, output: str, channels: int, chosen: Sequence[int]) -> Step:
    """The chosen ones of x's `channels`, in their order: a convolution of 1×1 that selects."""
    return conv_step(name, x, output, np.eye(channels)[list(chosen)][:, :, None, None], np.zeros(len(chosen)))


def nearest_step(name: str, x: str, output: str, factor: tuple[int, int]) -> Step:
    """Every cell repeated `factor` times, in height and width."""
    return _resize_step(name, x, output, factor, mode="nearest", nearest_mode="floor", corner="asymmetric")


def bilinear_step(name: str, x: str, output: str, factor: tuple[int, int], corner: str) -> Step:
    """Interpolation; `corner`: ONNX's coordinate_transformation_mode."""
    return _resize_step(name, x, output, factor, mode="linear", corner=corner)


def _resize_step(name: str, x: str, output: str, factor: tuple[int, int], corner: str, **attributes: str) -> Step:
    constants = {"roi": np.array([], np.float32), "scales": np.array([1, 1, *factor], np.float32)}
    return Step("Resize", name, (x,), output, {"coordinate_transformation_mode": corner, **attributes}, constants)
