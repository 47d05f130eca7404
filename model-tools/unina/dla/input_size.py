"""A fully convolutional network at another input size, without exporting it again."""

from dataclasses import replace

from unina.dla.network import Network, TensorType

ANY_SIZE = frozenset(
    {
        *("Conv", "ConvTranspose", "BatchNormalization", "MaxPool", "AveragePool", "Concat", "Identity", "Dropout"),
        *("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "QuantizeLinear", "DequantizeLinear", "Resize"),
        *("Add", "Sum", "Sub", "Mul", "Max", "Min", "Div"),
    }
)
"""Operators whose output grows with their input. Resize: by scales."""


def at_size(network: Network, height: int, width: int) -> Network:
    """The network for another input size: all maps grow with the input.

    Raises:
        ValueError: not one picture as input, an operator that is tied to the size, a map that would not come out whole.
    """
    shape = network.shape(network.inputs[0])
    if len(network.inputs) != 1 or shape is None or len(shape) != 4:
        raise ValueError("the network takes something else than one N×C×H×W picture: its size can't be changed")
    for node in network.nodes:
        if node.op not in ANY_SIZE or (node.op == "Resize" and len(node.inputs) > 3 and node.inputs[3]):
            raise ValueError(
                f"node {node.name} ({node.op}) is tied to the input size: export the network at {width}×{height}"
            )
    tensors: dict[str, TensorType] = {}
    for name, kind in network.tensors.items():
        if kind.shape is None or len(kind.shape) != 4:
            raise ValueError(f"tensor {name} is not known to be N×C×H×W: export the network at {width}×{height}")
        images, channels, rows, columns = kind.shape
        if rows * height % shape[2] or columns * width % shape[3]:
            raise ValueError(f"{width}×{height}: {name} would not have whole rows and columns")
        tensors[name] = replace(kind, shape=(images, channels, rows * height // shape[2], columns * width // shape[3]))
    return replace(network, tensors=tensors)
