"""What modellers call the operators that exporters leave behind, and what to build instead.

A pattern names its nodes; the check then gives the pattern's advice instead of the rule's.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from unina.dla.network import Network, Node

Advice = Mapping[Node, str]
LARGEST_WINDOW = 8
LARGEST_KERNEL = 32
LARGEST_STRIDE = 8
_ATTENTION = "attention over tokens: use convolutions, or leave these layers to the GPU on purpose"
SEARCH_STEPS = 8
"""Operators from a squeeze to its gate."""


def advice(network: Network) -> Advice:
    """The nodes that belong to a known pattern, with the fix in the modeller's words; the first pattern wins."""
    found: dict[Node, str] = {}
    for pattern in PATTERNS:
        for node, text in pattern(network):
            found.setdefault(node, text)
    return found


def _of(network: Network, *names: str) -> Iterator[Node]:
    return (node for node in network.nodes if node.op in names)


def _producer(network: Network, node: Node, index: int = 0) -> Node | None:
    return network.producers.get(node.inputs[index]) if index < len(node.inputs) else None


def _readers(network: Network, node: Node, *names: str) -> list[Node]:
    return [reader for reader in network.consumers.get(node.outputs[0], ()) if not names or reader.op in names]


def _gates(network: Network, op: str) -> Iterator[tuple[Node, Node]]:
    """Pairs of a gate function `op` and the Mul that applies it to the gate's own input."""
    for gate in _of(network, op):
        for product in _readers(network, gate, "Mul"):
            if gate.inputs[0] in product.inputs:
                yield gate, product


def _silu(network: Network) -> Iterator[tuple[Node, str]]:
    text = "SiLU: use ReLU"
    for pair in _gates(network, "Sigmoid"):
        yield from ((node, text) for node in pair)
    yield from ((node, text) for node in _of(network, "Swish"))


def _hard_swish(network: Network) -> Iterator[tuple[Node, str]]:
    text = "HardSwish: use ReLU"
    yield from ((node, text) for node in _of(network, "HardSwish"))
    for pair in _gates(network, "HardSigmoid"):
        yield from ((node, text) for node in pair)
    for clip in _of(network, "Clip"):  # x · clip(x + 3, 0, 6) / 6
        shift = _producer(network, clip)
        for product in _readers(network, clip, "Mul", "Div"):
            last = [product, *_readers(network, product, "Mul", "Div")]
            if shift and shift.op == "Add" and any(shift.inputs[0] in node.inputs for node in last):
                yield from ((node, text) for node in (shift, clip, *last[:2]))


def _mish(network: Network) -> Iterator[tuple[Node, str]]:
    for tanh in _of(network, "Tanh"):
        inner = _producer(network, tanh)
        if inner and inner.op == "Softplus":
            yield from ((node, "Mish: use ReLU") for node in (inner, tanh))


def _gelu(network: Network) -> Iterator[tuple[Node, str]]:
    text = "GELU: use ReLU"
    yield from ((node, text) for node in _of(network, "Gelu"))
    for erf in _of(network, "Erf"):
        inner = _producer(network, erf)
        for node in (erf, inner, *_readers(network, erf, "Add")):
            if node is not None and node.op in {"Erf", "Div", "Mul", "Add"}:
                yield node, text


def _layer_norm(network: Network) -> Iterator[tuple[Node, str]]:
    text = "LayerNorm: use BatchNorm, which folds into the convolution before it"
    yield from ((node, text) for node in _of(network, "LayerNormalization", "RMSNormalization"))
    for root in _of(network, "Sqrt"):  # sqrt(mean((x − mean(x))²) + ε)
        shifted = _producer(network, root)
        mean = _producer(network, shifted) if shifted and shifted.op == "Add" else None
        if shifted is None or mean is None or mean.op != "ReduceMean":
            continue
        square = _producer(network, mean)
        centred = _producer(network, square) if square else None
        first = _producer(network, centred, 1) if centred and centred.op == "Sub" else None
        chain = [root, shifted, mean, square, centred, first, *_readers(network, root, "Div", "Mul", "Reciprocal")]
        yield from ((node, text) for node in chain if node is not None)


def _squeeze_excite(network: Network) -> Iterator[tuple[Node, str]]:
    """A global average whose way forward ends in a product with what was averaged."""
    text = "squeeze-and-excitation: leave it out, or widen the block instead"
    for average in _global_averages(network):
        path: list[Node] = [average]
        while len(path) <= SEARCH_STEPS:
            readers = _readers(network, path[-1])
            products = [node for node in readers if node.op == "Mul" and average.inputs[0] in node.inputs]
            if products:
                yield from ((node, text) for node in path if node.op != "Conv")
                break
            if not readers:
                break
            path.append(readers[0])


def _global_averages(network: Network) -> Iterator[Node]:
    for node in _of(network, "GlobalAveragePool", "ReduceMean"):
        shape, out = network.shape(node.inputs[0]), network.shape(node.outputs[0])
        if shape and out and len(shape) == 4 and math.prod(out) == shape[0] * shape[1]:
            yield node


def _global_average(network: Network) -> Iterator[tuple[Node, str]]:
    for node in _global_averages(network):
        height, width = (network.shape(node.inputs[0]) or (1, 1, 1, 1))[2:]
        steps = (_steps(height), _steps(width))
        if max(height, width) <= LARGEST_WINDOW:
            yield node, f"global average: AveragePool of {height}×{width} does the same on the DLA"
        elif all(steps):
            length = max(map(len, steps))
            high, wide = ([*step, *[1] * (length - len(step))] for step in steps)
            windows = ", then ".join(f"{h}×{w}" for h, w in zip(high, wide, strict=True))
            yield node, f"global average of {height}×{width}: AveragePool {windows} does the same on the DLA"
        elif max(height, width) <= LARGEST_KERNEL:
            text = f"a depthwise convolution of {height}×{width} with weights 1/{height * width}"
            yield node, f"global average of {height}×{width}: {text}"
        else:
            yield node, f"global average of {height}×{width}: stride once more, until pooling windows up to 8×8 do"


def _steps(size: int) -> list[int]:
    """Windows up to 8 whose product is the size, the largest first; empty when a larger prime is in it."""
    steps: list[int] = []
    while size > 1:
        window = next((w for w in range(LARGEST_WINDOW, 1, -1) if size % w == 0), 0)
        if not window:
            return []
        steps.append(window)
        size //= window
    return steps or [1]


def _attention(network: Network) -> Iterator[tuple[Node, str]]:
    text = _ATTENTION
    for product in _of(network, "MatMul"):
        if any(name in network.constants for name in product.inputs):
            continue
        yield product, text
        yield from ((node, text) for node in _readers(network, product, "Softmax"))
    yield from ((node, text) for node in _of(network, "Attention", "MultiHeadAttention"))


def _channels_last(network: Network) -> Iterator[tuple[Node, str]]:
    text = "Linear over N×H×W×C: a 1×1 convolution over N×C×H×W does the same"
    for product in _of(network, "MatMul"):
        if product.inputs[1] in network.constants and len(network.shape(product.inputs[0]) or ()) == 4:
            biases = [node for node in _readers(network, product, "Add") if set(node.inputs) & set(network.constants)]
            yield from ((node, text) for node in (product, *biases))


def _tokens(network: Network) -> Iterator[tuple[Node, str]]:
    """What surrounds attention: all that works on tokens instead of maps."""
    if not any(set(node.inputs).isdisjoint(network.constants) for node in _of(network, "MatMul")):
        return
    for node in network.nodes:
        shapes = [network.shape(name) for name in (node.inputs[0], *node.outputs) if name]
        if any(shape is not None and len(shape) != 4 for shape in shapes):
            yield node, _ATTENTION


def _patches(network: Network) -> Iterator[tuple[Node, str]]:
    for node in _of(network, "Conv"):
        strides = node.attributes.get("strides", (1,))
        if max(strides, default=1) > LARGEST_STRIDE and tuple(strides) == tuple(
            node.attributes.get("kernel_shape", ())
        ):
            yield node, f"patches of {'×'.join(map(str, strides))}: convolutions in a row, each with a stride up to 8"


def _decoding(network: Network) -> Iterator[tuple[Node, str]]:
    """All that works on what is not a map any more, and on whose results no convolution follows."""
    text = "decoding at the end: let the network end at its raw maps, do the rest on the host"
    tail: set[Node] = set()
    for node in reversed(network.nodes):
        readers = {reader for name in node.outputs for reader in network.consumers.get(name, ())}
        if node.op not in {"Conv", "ConvTranspose", "Gemm", "MatMul"} and readers <= tail:
            tail.add(node)
    flat: set[str] = set()
    for node in network.nodes:
        shapes = [network.shape(name) for name in node.outputs if name]
        if not flat.isdisjoint(node.inputs) or any(shape is not None and len(shape) != 4 for shape in shapes):
            flat.update(node.outputs)
            if node in tail:
                yield node, text


def _resize(network: Network) -> Iterator[tuple[Node, str]]:
    for node in _of(network, "Resize"):
        shape, out = network.shape(node.inputs[0]), network.shape(node.outputs[0])
        given = len(node.inputs) > 3 and node.inputs[3]
        if not given or not shape or not out or len(shape) != 4 or len(out) != 4:
            continue
        if all(big % small == 0 for big, small in zip(out[2:], shape[2:], strict=True)):
            factors = f"{out[2] // shape[2]}×{out[3] // shape[3]}"
            yield node, f"Resize by sizes: export scales {factors}, with nn.Upsample(scale_factor=…)"
        else:
            sizes = f"{shape[2]}×{shape[3]} to {out[2]}×{out[3]}"
            yield node, f"Resize by sizes, {sizes}: choose sizes whose ratio is whole, and export scales"


def _shuffles(network: Network) -> Iterator[tuple[Node, str]]:
    """Reshape to more than four dimensions, Transpose, Reshape back."""
    for turn in _of(network, "Transpose"):
        first = _producer(network, turn)
        lasts = _readers(network, turn, "Reshape")
        if first is None or first.op != "Reshape" or not lasts:
            continue
        shape, out, inner = (network.shape(name) for name in (first.inputs[0], lasts[0].outputs[0], first.outputs[0]))
        if not shape or not out or not inner or len(shape) != 4 or len(out) != 4 or len(inner) <= 4:
            continue
        text = (
            "channel shuffle: a 1×1 convolution with a permuted identity does the same"
            if shape == out
            else "pixel shuffle: ConvTranspose with kernel = stride"
        )
        yield from ((node, text) for node in (first, turn, lasts[0]))
    for node in _of(network, "DepthToSpace"):
        yield node, "pixel shuffle: ConvTranspose with kernel = stride"
    for node in _of(network, "SpaceToDepth"):
        yield node, "space to depth: a strided convolution with kernel = stride"


def _split(network: Network) -> Iterator[tuple[Node, str]]:
    for node in _of(network, "Split"):
        before = _producer(network, node)
        if before is not None and before.op in {"Conv", "Relu", "Mul"}:
            yield node, "split of channels (C2f, CSP): two convolutions instead of one and a split"


def _flatten(network: Network) -> Iterator[tuple[Node, str]]:
    for node in _of(network, "Flatten", "Reshape", "Squeeze"):
        shape, out = network.shape(node.inputs[0]), network.shape(node.outputs[0])
        flat = shape is not None and out is not None and len(shape) == 4 and len(out) == 2
        if shape and flat and any(reader.op in {"Gemm", "MatMul"} for reader in _readers(network, node)):
            window = f"{shape[2]}×{shape[3]}"
            yield node, f"Flatten before Linear: a convolution of {window} without padding does the same"


def _pad(network: Network) -> Iterator[tuple[Node, str]]:
    for node in _of(network, "Pad"):
        if any(reader.op in {"Conv", "MaxPool", "AveragePool"} for reader in _readers(network, node)):
            yield node, "Pad: give the padding to the convolution or pooling behind it"


PATTERNS: tuple[Callable[[Network], Iterator[tuple[Node, str]]], ...] = (
    _squeeze_excite,
    _silu,
    _hard_swish,
    _mish,
    _gelu,
    _layer_norm,
    _attention,
    _channels_last,
    _global_average,
    _resize,
    _shuffles,
    _split,
    _flatten,
    _pad,
    _patches,
    _decoding,
    _tokens,
)
