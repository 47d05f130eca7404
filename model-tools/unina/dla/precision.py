"""What runs in FP16: convolutions that were chosen ("promoted"), and what the DLA never computes in INT8.

The host engine, the Q/DQ graph and the manifest all ask this one function (docs/integer-semantics.md).
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from unina.dla.graph import Activation, Conv, Graph, Mul


def smooth_layers(graph: Graph) -> tuple[str, ...]:
    """The operators that run in FP16 whatever is chosen, in the order of the graph: sigmoids, tanhs and products."""
    return tuple(op.name for op in graph.ops if isinstance(op, Activation | Mul))


def float16_tensors(graph: Graph, promoted: Collection[str]) -> frozenset[str]:
    """The tensors that are stored as FP16 and need no scale; every other tensor is int8.

    What a promoted convolution writes, after its fused ReLU, is float16 when only promoted convolutions read it, or
    nothing does (an output of the graph). An INT8 operator among its readers makes it int8 for all of them. So is what
    lies between the sigmoid and the product of a SiLU.

    Args:
        promoted: names of convolutions, as in layer_precisions.txt.

    Raises:
        ValueError: a name that is no convolution of the graph.
    """
    convolutions = {op.name: op for op in graph.ops if isinstance(op, Conv)}
    for name in promoted:
        if name not in convolutions:
            raise ValueError(f"{name!r} is to run in FP16, but the graph has no convolution of that name")
    found = {gate.output for gate in graph.gates.values()}
    for name in promoted:
        op = convolutions[name]
        relu = graph.fused_relu(op)
        output = op.output if relu is None else relu.output
        if all(isinstance(reader, Conv) and reader.name in promoted for reader in graph.consumers[output]):
            found.add(output)
    return frozenset(found)


def reads_picture(graph: Graph, op: Conv) -> bool:
    """Whether this is a convolution of the network's input: the DLA computes it in the precision of that, INT8 HWC4.

    Source: TensorRT 8.5.3 developer guide, DLA FAQ; not seen on a device.
    """
    return op.inputs[0] in graph.inputs


def float16_weight(op: Conv) -> npt.NDArray[np.float16]:
    """The weights of a convolution in FP16, rounded half to even: O×(I/groups)×k_h×k_w.

    Raises:
        ValueError: a weight is too large for FP16; the text names the layer.
    """
    with np.errstate(over="ignore"):
        weight = op.weight.astype(np.float16)
    if not np.isfinite(weight).all():
        largest = float(np.abs(op.weight).max())
        raise ValueError(f"{op.name}: a weight of {largest:g} has no place in FP16 (65504 at most); leave it in INT8")
    return weight
