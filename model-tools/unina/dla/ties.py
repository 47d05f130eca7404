"""Which tensors must share one INT8 scale on the DLA.

TensorRT's DLA layer restrictions ask for equal ranges on both inputs of an add, on all inputs and the output of a
concat, and on both sides of a pooling; a nearest resize copies integers and a ReLU cuts them, so they tie too.
"""

from collections.abc import Iterator

from unina.dla.graph import Add, Concat, Graph, MaxPool, Op, Relu, Resize


def tied_groups(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Partitions all tensors of the graph into groups of equal scale, in the order of the graph (union-find)."""
    parent = {name: name for name in graph.shapes}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for op in graph.ops:
        for one, other in _ties(op):
            parent[root(one)] = root(other)
    groups: dict[str, list[str]] = {}
    for name in graph.shapes:
        groups.setdefault(root(name), []).append(name)
    return tuple(tuple(group) for group in groups.values())


def _ties(op: Op) -> Iterator[tuple[str, str]]:
    match op:
        case Concat() | MaxPool() | Resize() | Relu():
            for name in op.inputs:
                yield name, op.output
        case Add():
            yield op.inputs[0], op.inputs[1]
