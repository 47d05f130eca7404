"""Which tensors must share one INT8 scale on the DLA.

TensorRT's DLA layer restrictions ask for equal ranges on both inputs of an element-wise operation, on all inputs and
the output of a concat, and on both sides of a pooling; a nearest resize copies integers, so it ties too. A ReLU cuts
them: our own scale maps tie it as well, but nothing breaks where a ReLU that runs inside a convolution is not tied.
They tie the output of a maximum and a minimum, too, and leave the inputs of a product alone, which runs in FP16.
"""

from collections.abc import Iterable, Iterator, Sequence

from unina.dla.graph import Bilinear, Graph, Max, Min, Mul, Op, Relu
from unina.dla.network import Network, Node

ALL_EQUAL = frozenset({"Concat", "MaxPool", "AveragePool", "Resize"})
"""One scale for every input and the output."""
INPUTS_EQUAL = frozenset({"Add", "Sub", "Mul", "Max", "Min", "Sum"})
"""One scale for all inputs; the output has its own."""

Groups = tuple[tuple[str, ...], ...]


def tied_groups(graph: Graph) -> Groups:
    """Partitions all tensors of the graph into groups of equal scale, in the order of the graph."""
    pairs: list[tuple[str, str]] = []
    for op in graph.ops:
        pairs += _graph_ties(op)
    return _groups(graph.shapes, pairs)


def _graph_ties(op: Op) -> Iterator[tuple[str, str]]:
    match op:
        case Relu() | Max() | Min():
            yield from ((name, op.output) for name in op.inputs)
        case Mul() | Bilinear():
            pass
        case _:
            yield from ties(type(op).__name__, op.inputs, op.output)


def network_groups(network: Network) -> Groups:
    """The same for all that a network reads and computes, with the ties that the DLA itself asks for."""
    names = (*network.inputs, *(name for node in network.nodes for name in node.outputs if name))
    return _groups(names, (pair for node in network.nodes for pair in node_ties(network, node)))


def ties(op: str, inputs: Sequence[str], output: str) -> Iterator[tuple[str, str]]:
    """Pairs of tensors of one operator (ONNX name; no constants among the inputs) that must have equal scales."""
    if op in ALL_EQUAL:
        for name in inputs:
            yield name, output
    elif op in INPUTS_EQUAL:
        for name in inputs[1:]:
            yield inputs[0], name


def node_ties(network: Network, node: Node) -> tuple[tuple[str, str], ...]:
    """The ties of a node of any network; shapes, indices and constants have no scale and are left out."""
    if node.op == "Resize" and node.attributes.get("mode", "nearest") != "nearest":
        return ()
    inputs = [name for name in node.inputs if is_activation(network, name)]
    return tuple(ties(node.op, inputs, node.outputs[0]))


def is_activation(network: Network, tensor: str) -> bool:
    """Whether the tensor is one that INT8 would quantise: computed or fed in, and of a float type (or unknown)."""
    kind = network.tensors.get(tensor)
    return kind is not None and tensor not in network.constants and (not kind.dtype or "float" in kind.dtype)


def _groups(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> Groups:
    """Union-find."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in pairs:
        parent[root(one)] = root(other)
    groups: dict[str, list[str]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    return tuple(tuple(group) for group in groups.values())
