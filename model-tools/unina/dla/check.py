"""Whether a network runs on the DLA: a verdict for every node, the regions that result, and what to change.

TensorRT's own parser decides what a node becomes: Gemm and MatMul by a constant are fully connected layers, batch
normalisation is a scale, Identity and Dropout vanish. The limits are those of `unina.dla.rules`; the device itself can
still refuse (the combination of layers, its compiler's memory), so this says what is known to fail, not what must work.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from unina.dla.check_partition import Partition, partition
from unina.dla.check_patterns import advice
from unina.dla.network import Network, NetworkError, Node
from unina.dla.rules import DISAPPEARING, Context, Effect, Fault, Rule, Site, faults, format_fault, loadables_fault


class Device(Enum):
    """Where a node runs."""

    DLA = "DLA"
    DLA_FP16 = "DLA in FP16"
    GPU = "not on the DLA"
    REMOVED = "vanishes"
    """TensorRT leaves nothing of it"""


@dataclass(frozen=True, eq=False)
class Verdict:
    """Of one node."""

    node: Node
    device: Device
    faults: tuple[Fault, ...]
    """what it breaks, the deciding rule first; what it runs in spite of comes last"""
    fix: str
    """in the modeller's words; "" when it is plain DLA"""

    @property
    def rule(self) -> Rule | None:
        """The rule that decided; None for a node that is plain DLA."""
        return self.faults[0].rule if self.device in {Device.DLA_FP16, Device.GPU} else None

    @property
    def notes(self) -> tuple[Fault, ...]:
        """What doesn't decide, but should be known."""
        return tuple(fault for fault in self.faults if fault.rule.effect in {Effect.NOTE, Effect.DENSE})


@dataclass(frozen=True)
class Fix:
    """One change, what it would win by itself, and what is left when it and all changes before it are made."""

    text: str
    rules: tuple[str, ...]
    device: Device
    """where its nodes are without it: the worst of them"""
    nodes: tuple[Node, ...]
    reformats_saved: int
    """by itself; negative when it would make an island"""
    nodes_left: int
    """that still fall back afterwards"""
    regions_left: int
    reformats_left: int


@dataclass(frozen=True, eq=False)
class Report:
    """The answer for a network."""

    network: Network
    context: Context
    verdicts: tuple[Verdict, ...]
    """of all nodes, in execution order"""
    partition: Partition
    fixes: tuple[Fix, ...]
    """the most winning first"""
    warnings: tuple[Fault, ...]
    """about the network as a whole"""

    def count(self, device: Device) -> int:
        """How many nodes run there."""
        return sum(verdict.device is device for verdict in self.verdicts)

    @property
    def on_dla(self) -> bool:
        """Whether nothing falls back, and nothing else keeps it from being built as it is meant to be."""
        return self.count(Device.GPU) == 0 and not self.warnings

    @cached_property
    def precision_changes(self) -> int:
        """Tensors that pass between an INT8 and an FP16 layer of the DLA."""
        device = {verdict.node: verdict.device for verdict in self.verdicts}
        crossings = set()
        for node in self.network.nodes:
            for name in node.inputs:
                before = self.network.producers.get(name)
                if before and {device[before], device[node]} == {Device.DLA, Device.DLA_FP16}:
                    crossings.add(name)
        return len(crossings)


def check(network: Network, context: Context | None = None) -> Report:
    """Judges every node, cuts the network into regions and ranks what to change.

    Raises:
        NetworkError: attributes or constants of a node that its operator cannot have.
    """
    context = context or Context()
    known = advice(network)
    verdicts = tuple(_judged(Site(node, network, context), known.get(node)) for node in network.nodes)
    on_dla = {v.node for v in verdicts if v.device in {Device.DLA, Device.DLA_FP16}}
    removed = {v.node for v in verdicts if v.device is Device.REMOVED}
    cut = partition(network, on_dla, removed)
    warnings = tuple(_warnings(network, context, cut))
    return Report(network, context, verdicts, cut, _fixes(network, verdicts, on_dla, removed, cut), warnings)


def _warnings(network: Network, context: Context, cut: Partition) -> Iterator[Fault]:
    loadables = loadables_fault(len(cut.regions), context.trt)
    if loadables:
        yield loadables
    if context.input_format is None:
        return
    for name in network.inputs:
        for reader in network.consumers.get(name, ()):
            channels = ((network.shape(name) or ()) + (1, 1))[1]
            fault = format_fault("input", context.precision, context.input_format, channels, reader.op)
            if fault:
                yield replace(fault, found=f"{name}: {fault.found}")


def _judged(site: Site, pattern: str | None) -> Verdict:
    try:
        return _verdict(site, pattern)
    except (IndexError, OverflowError, TypeError, ValueError) as error:  # lists of a wrong length, values of no sense
        where = f"node {site.node.name} ({site.node.op})"
        raise NetworkError(f"{where}: its attributes or constants make no sense: {error}") from error


def _verdict(site: Site, pattern: str | None) -> Verdict:
    if site.node.op in DISAPPEARING and not site.context.trt.without_dla:
        return Verdict(site.node, Device.REMOVED, (), "")
    if site.node.op in {"QuantizeLinear", "DequantizeLinear"}:
        found = faults(site)
        device = Device.GPU if found and found[0].rule.effect is Effect.GPU else Device.REMOVED
        return Verdict(site.node, device, found, found[0].rule.fix if device is Device.GPU else "")
    found = faults(site)
    effect = found[0].rule.effect if found else None
    if effect is Effect.GPU:
        build = found[0].rule.id in {"version", "typed-precision"}  # no other operator would help
        return Verdict(site.node, Device.GPU, found, found[0].rule.fix if build else pattern or found[0].rule.fix)
    if effect is Effect.FP16:
        return Verdict(site.node, Device.DLA_FP16, found, pattern or found[0].rule.fix)
    return Verdict(site.node, Device.DLA, found, "")


def _fixes(
    network: Network, verdicts: Sequence[Verdict], on_dla: set[Node], removed: set[Node], now: Partition
) -> tuple[Fix, ...]:
    """Changes that keep nodes on the DLA before those that keep them in INT8; what saves most reformats first."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.fix:
            groups.setdefault(verdict.fix, []).append(verdict)
    ranked = []
    for text, members in groups.items():
        gained = {verdict.node for verdict in members if verdict.device is Device.GPU}
        alone = partition(network, on_dla | gained, removed) if gained else now
        ranked.append((not gained, len(alone.reformats) - len(now.reformats), -len(members), text, gained))
    found, have, state = [], set(on_dla), now
    for _, more_reformats, _, text, gained in sorted(ranked, key=lambda row: row[:4]):
        have |= gained
        state = partition(network, have, removed) if gained else state
        members = groups[text]
        found.append(
            Fix(
                text,
                tuple(dict.fromkeys(verdict.rule.id for verdict in members if verdict.rule)),
                Device.GPU if gained else Device.DLA_FP16,
                tuple(verdict.node for verdict in members),
                -more_reformats,
                len(network.nodes) - len(removed) - len(have),
                len(state.regions),
                len(state.reformats),
            )
        )
    return tuple(found)
