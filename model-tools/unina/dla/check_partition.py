"""How TensorRT cuts a network between DLA and GPU: regions that compile to one loadable each, and reformats between.

A region is a connected part of the network that the DLA can run without waiting for the GPU in between. Where a tensor
crosses between DLA and GPU its layout changes, which is a copy in DRAM; inputs and outputs of the network have the
DLA's own formats already (TensorRT developer guide, "GPU fallback mode" and "I/O formats on DLA").
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from unina.dla.network import Network, Node


@dataclass(frozen=True)
class Partition:
    """The regions in execution order, and the tensors that are reformatted between DLA and GPU."""

    regions: tuple[tuple[Node, ...], ...]
    reformats: tuple[str, ...]
    """a tensor once for each region that it is copied out of or into"""


def partition(network: Network, on_dla: Collection[Node], removed: Collection[Node] = ()) -> Partition:
    """Cuts the network; `on_dla` are the nodes that the DLA takes, `removed` those of which TensorRT leaves nothing."""
    source = _sources(network, removed)
    levels = _levels(network, on_dla, removed, source)
    parent: dict[Node, Node] = {node: node for node in network.nodes if node in on_dla}

    def root(node: Node) -> Node:
        while parent[node] is not node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    whole = len(parent) + len(removed) == len(network.nodes)
    for node in parent:
        for name in _reads(node, source):
            before = network.producers.get(name)
            if before in parent and levels[before] == levels[node] and _same_batch(network, before, node):
                parent[root(node)] = root(before)
    regions: dict[Node, list[Node]] = {}
    for node in parent:
        regions.setdefault(root(node), []).append(node)
    cut = tuple(tuple(nodes) for nodes in regions.values())
    if whole and len(cut) > 1 and _same_batch(network, *parent):
        cut = (tuple(parent),)  # nothing is left to the GPU: everything goes into one loadable
    return Partition(cut, _reformats(network, cut, on_dla, removed, source))


def _sources(network: Network, removed: Collection[Node]) -> Mapping[str, str]:
    """Outputs of removed nodes → the tensor that they hand through."""
    source: dict[str, str] = {}
    for node in network.nodes:
        if node in removed:
            source[node.outputs[0]] = source.get(node.inputs[0], node.inputs[0])
    return source


def _reads(node: Node, source: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.get(name, name) for name in node.inputs if name))


def _levels(
    network: Network, on_dla: Collection[Node], removed: Collection[Node], source: Mapping[str, str]
) -> Mapping[Node, int]:
    """How often a node has waited for the GPU after the DLA: regions of one level can't wait for each other."""
    levels: dict[Node, int] = {}
    for node in network.nodes:
        if node in removed:
            continue
        before = [network.producers[name] for name in _reads(node, source) if name in network.producers]
        dla = [levels[other] for other in before if other in on_dla]
        gpu = [levels[other] for other in before if other not in on_dla]
        if node in on_dla:
            levels[node] = max([0, *dla, *(level + 1 for level in gpu)])
        else:
            levels[node] = max([-1, *dla, *gpu])
    return levels


def _reformats(
    network: Network,
    regions: tuple[tuple[Node, ...], ...],
    on_dla: Collection[Node],
    removed: Collection[Node],
    source: Mapping[str, str],
) -> tuple[str, ...]:
    region_of = {node: index for index, nodes in enumerate(regions) for node in nodes}
    crossings: dict[tuple[str, int, str], None] = {}
    for node in network.nodes:
        if node in removed:
            continue
        for name in _reads(node, source):
            before = network.producers.get(name)
            if before is None or (before in on_dla) == (node in on_dla):
                continue
            if node in on_dla:
                crossings[name, region_of[node], "into"] = None
            else:
                crossings[name, region_of[before], "out of"] = None
    return tuple(name for name, _, _ in crossings)


def _batch(network: Network, node: Node) -> int | None:
    """None for what is no picture: only a proposed change could put it on the DLA, and would make it one."""
    shape = network.shape(node.outputs[0])
    return shape[0] if shape and len(shape) == 4 else None


def _same_batch(network: Network, *nodes: Node) -> bool:
    return len({_batch(network, node) for node in nodes} - {None}) <= 1
