"""A network as the DLA runs it: one step an operator, with what is fused into it, as plain counts of work.

What fuses follows the open NVDLA, whose convolution pipeline ends in a point-wise processor (scale, add, activation):
batch normalisation, scale and bias; one addition of two tensors, when the convolution itself has no activation; one
activation. SiLU (x · sigmoid(x)) is recognised and is one more pass. Concat costs nothing: what comes before it writes
in place. Everything else is a step of its own.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from unina.dla.network import Network, Node
from unina.dla.rules import Context, Site, operators, sparsity
from unina.dla.step import Convolution, Map, NotEstimated, Plan, Step

CONVOLUTIONS = operators.CONVOLUTION | operators.DECONVOLUTION | operators.FULLY_CONNECTED
"""The last two with constant second operand: 1×1 convolutions."""
SMOOTH = frozenset({"Sigmoid", "Tanh"})
"""By look-up table: one more pass over the elements."""
ACTIVATIONS = (operators.ACTIVATION | {"PRelu"}) - SMOOTH
"""Free inside the step before."""
TWO_TENSORS = operators.ELEMENTWISE | operators.COMPARISON
POOLS = operators.POOLING | operators.REDUCE_MAX | {"GlobalAveragePool"}
UNARY = operators.UNARY | {"LRN"}
COPIES = operators.SLICE | operators.SHUFFLE
NOTHING = operators.DISAPPEARING | {"QuantizeLinear", "DequantizeLinear", "Cast"}
"""What the network with its scales no longer has; Q/DQ only says where the scales are."""
SOFTMAX_PASSES = 3
"""Maximum, sum of the exponentials, division; by hand."""
SPARSITY = tuple(rule for rule in sparsity.RULES if rule.id not in {"sparsity-pattern", "sparsity-weights"})
"""What a convolution has to keep for the DLA to skip zeros. Without the pattern, which is asked for before it is there,
and the limit on weights, which the published gains contradict (docs/estimator.md, Where it is weak)."""
LARGEST_AVERAGE = 8
"""Window of average pooling; a global average over more is no pooling that TensorRT gives to the DLA."""


@dataclass(frozen=True)
class _Fused:
    """What runs inside a step after its operator."""

    nodes: tuple[Node, ...]
    labels: tuple[str, ...]
    reads: tuple[str, ...]
    """tensors beside those of the operator itself"""
    writes: str
    smooth: int
    """elements through the look-up table"""


class _Missing(Exception):
    """No estimate for this operator; the text says why."""


def plan(network: Network, elsewhere: Mapping[Node, str] | None = None) -> Plan:
    """The steps of a network in execution order, and the operators that can't be estimated. Never raises.

    `elsewhere`: nodes that are known not to run on the DLA, with the reason, beside those that have no estimate anyway.
    """
    return _Planner(network, elsewhere or {}).plan()


class _Planner:
    """Walks the nodes once; what a step has swallowed is in `inside`."""

    def __init__(self, network: Network, elsewhere: Mapping[Node, str]) -> None:
        self.network = network
        self.elsewhere = {node.outputs[0]: why for node, why in elsewhere.items()}
        self.alias: dict[str, str] = {}
        kept = []
        for node in network.nodes:
            if node.op in NOTHING and node.inputs[0] not in network.constants:
                self.alias.update((name, self.tensor(node.inputs[0])) for name in node.outputs[:1])
            else:
                kept.append(node)
        self.nodes = [replace(node, inputs=tuple(map(self.tensor, node.inputs))) for node in kept]
        self.outputs = {self.tensor(name) for name in network.outputs}
        self.images = max((shape[0] for name in network.inputs if (shape := network.shape(name))), default=1)
        self.readers: dict[str, list[Node]] = {}
        self.writer: dict[str, Node] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node)
            for name in node.outputs:
                self.writer[name] = node
        self.order = {name: place for place, node in enumerate(self.nodes) for name in node.outputs}
        self.inside: set[str] = set()  # first output of each node that a step before has swallowed

    def tensor(self, name: str) -> str:
        return self.alias.get(name, name)

    def plan(self) -> Plan:
        self.adopted = dict(self._adopted())
        steps: list[Step] = []
        missing: list[NotEstimated] = []
        for node in self.nodes:
            if node.outputs[0] in self.inside:
                continue
            try:
                if node.outputs[0] in self.elsewhere:
                    raise _Missing(self.elsewhere[node.outputs[0]])
                steps.append(self._step(node))
            except _Missing as error:
                missing.append(NotEstimated(node.name, node.op, str(error)))
        return Plan(tuple(steps), tuple(missing))

    def _step(self, node: Node) -> Step:
        for kind, build in _BUILDERS:
            if node.op in kind and self.operands(node):
                return build(self, node)
        raise _Missing("no estimate for this operator")

    # ---- what fuses

    def _adopted(self) -> Iterator[tuple[str, Node]]:
        """Output of a convolution, scale included → the addition that runs inside it."""
        for node in self.nodes:
            operands = self.operands(node)
            if node.outputs[0] in self.elsewhere or (
                node.op not in {"Add", "Sum"}
                or len(set(operands)) != 2
                or len({*map(self.network.shape, operands)}) != 1
            ):
                continue
            ends = [name for name in operands if self.sole_reader(name) is node and self._convolution_before(name)]
            if ends:  # the last one written: the other operand is there by then
                yield max(ends, key=self.order.__getitem__), node

    def _convolution_before(self, name: str) -> bool:
        while (node := self.writer.get(name)) is not None and self.is_scale(node):
            name = self.operands(node)[0]
        return node is not None and self.is_convolution(node)

    def is_convolution(self, node: Node) -> bool:
        return node.op in CONVOLUTIONS and len(node.inputs) > 1 and node.inputs[1] in self.network.constants

    def skips_zeros(self, node: Node) -> bool:
        site = Site(node, self.network, Context(sparse=True))
        return node.op in operators.CONVOLUTION and not any(rule.found(site) for rule in SPARSITY)

    def is_scale(self, node: Node) -> bool:
        """One tensor and constants: batch normalisation, or a product, sum or quotient with a constant."""
        if node.op == "BatchNormalization":
            return True
        return node.op in {"Add", "Sub", "Mul", "Div"} and len(self.operands(node)) == 1 and len(node.inputs) == 2

    def operands(self, node: Node) -> list[str]:
        return [name for name in node.inputs if name and name not in self.network.constants]

    def sole_reader(self, name: str) -> Node | None:
        """The node that alone reads a tensor, where it runs on the DLA."""
        readers = self.readers.get(name, [])
        alone = len(readers) == 1 and name not in self.outputs and readers[0].outputs[0] not in self.elsewhere
        return readers[0] if alone else None

    def _fused(self, node: Node) -> _Fused:
        name = node.outputs[0]
        nodes: list[Node] = []
        labels: list[str] = []
        reads: list[str] = []
        convolution = self.is_convolution(node)
        while convolution and (reader := self.sole_reader(name)) is not None and self.is_scale(reader):
            nodes.append(reader)
            labels.append(reader.op)
            name = reader.outputs[0]
        if convolution and name in self.adopted:
            add = self.adopted[name]
            nodes.append(add)
            labels.append(add.op)
            reads += [other for other in self.operands(add) if other != name]
            name = add.outputs[0]
        smooth = 0
        reader = self.sole_reader(name)
        if reader is not None and (reader.op in ACTIVATIONS or (convolution and reader.op in SMOOTH)):
            smooth = self.elements(name) if reader.op in SMOOTH else 0
            nodes.append(reader)
            labels.append(reader.op)
            name = reader.outputs[0]
        elif convolution and (pair := self._silu(name)) is not None:
            smooth = self.elements(name)
            nodes += pair
            labels.append("SiLU")
            name = pair[1].outputs[0]
        self.inside.update(one.outputs[0] for one in nodes)
        return _Fused(tuple(nodes), tuple(labels), tuple(reads), name, smooth)

    def _silu(self, name: str) -> list[Node] | None:
        """Sigmoid and product of x · sigmoid(x), when nothing else reads either."""
        readers = self.readers.get(name, [])
        gates = [node for node in readers if node.op == "Sigmoid"]
        if len(readers) != 2 or len(gates) != 1 or name in self.outputs or gates[0].outputs[0] in self.elsewhere:
            return None
        product = self.sole_reader(gates[0].outputs[0])
        if product is None or product.op != "Mul" or set(product.inputs) != {name, gates[0].outputs[0]}:
            return None
        return [gates[0], product]

    # ---- one step of each kind

    def convolution(self, node: Node) -> Step:
        if not self.is_convolution(node):
            raise _Missing("both operands are computed: the DLA multiplies by constant weights only")
        network, source = self.network, self.shape(node.inputs[0])
        weight, out = network.constants[node.inputs[1]].shape, self.shape(node.outputs[0])
        if node.op in {"Gemm", "MatMul"}:
            if len(weight) != 2 or (node.op == "Gemm" and node.attributes.get("transA")):
                raise _Missing("not a matrix of weights behind a tensor")
            inputs, outputs = (weight[1], weight[0]) if node.attributes.get("transB") else weight
            work = Convolution(inputs, outputs, 1, 1, math.prod(out) // outputs // self.images, False)
            text = node.op
        else:
            if not len(weight) == len(source) == len(out) == 4:
                raise _Missing(f"{len(weight) - 2}-D: the DLA convolves in two dimensions")
            groups, stride = int(node.attributes.get("group", 1)), node.attributes.get("strides", (1, 1))
            taps, transposed = weight[2] * weight[3], node.op == "ConvTranspose"
            cells = math.prod((source if transposed else out)[2:]) * max(1, out[0] // self.images)
            outputs = weight[1] * groups if transposed else weight[0]
            strided = taps > 1 and max(stride) > 1 and not transposed
            work = Convolution(source[1], outputs, taps, groups, cells, strided, self.skips_zeros(node))
            text = f"{'Deconv' if transposed else 'Conv'} {weight[2]}×{weight[3]}" + (
                "" if max(stride) < 2 else f"/{stride[0]}"
            )
            if work.depthwise:
                text += " depthwise"
            elif groups > 1:
                text += f" ×{groups} groups"
        fused = self._fused(node)
        return self.step(node, text, (node.inputs[0], *fused.reads), fused, convolution=work)

    def point_wise(self, node: Node) -> Step:
        constants = [self.network.constants[one] for one in node.inputs if one in self.network.constants]
        channels = max(self.shape(node.outputs[0])[1:2], default=1)
        # a constant a channel travels with the layer; one an element is read like a tensor, in four bytes
        constant_bytes = sum(4 * one.size for one in constants if one.size > channels)
        passed = self.elements(node.outputs[0])
        fused = self._fused(node)
        return self.step(node, node.op, self.operands(node), fused, passed=passed, constant_bytes=constant_bytes)

    def one_pass(self, node: Node) -> Step:
        """Driven by what it reads."""
        window = self.shape(node.inputs[0])[2:]
        if node.op == "GlobalAveragePool" and max(window, default=0) > LARGEST_AVERAGE:
            size = "×".join(map(str, window))
            raise _Missing(f"an average over {size}: TensorRT gives the DLA windows up to 8×8")
        reads = self.operands(node)[:1]
        return self.step(node, node.op, reads, passed=self.elements(reads[0]))

    def softmax(self, node: Node) -> Step:
        return self.step(node, node.op, node.inputs, passed=SOFTMAX_PASSES * self.elements(node.inputs[0]))

    def concat(self, node: Node) -> Step:
        axis, rank = int(node.attributes.get("axis", 1)), len(self.shape(node.outputs[0]))
        if rank != 4 or axis not in {1, -3}:
            raise _Missing(f"joins axis {axis} of {rank}-D tensors: the DLA joins channels of N×C×H×W only")
        return self.step(node, node.op, self.operands(node), free=True)

    def copy(self, node: Node) -> Step:
        """Reads and writes what comes out; the same values in the same order of a single cell stay where they are."""
        source = self.operands(node)[0]
        written = [self.map(name) for name in node.outputs if name]
        same = self.map(source).cells == 1 or self.shape(source) == self.shape(node.outputs[0])
        step = self.step(node, node.op, (source,), free=same and node.op not in {"Slice", "Split"})
        moved = replace(written[0], channels=sum(one.channels for one in written))
        return replace(step, reads=(replace(moved, name=source),), writes=moved)

    def step(
        self,
        node: Node,
        text: str,
        reads: Sequence[str],
        fused: _Fused | None = None,
        *,
        convolution: Convolution | None = None,
        passed: int = 0,
        constant_bytes: int = 0,
        free: bool = False,
    ) -> Step:
        fused = fused or _Fused((), (), (), node.outputs[0], 0)
        return Step(
            node.name,
            " + ".join([text, *fused.labels]),
            (node.name, *(one.name for one in fused.nodes)),
            tuple(map(self.map, reads)),
            self.map(fused.writes),
            self.shape(fused.writes),
            convolution,
            passed,
            fused.smooth,
            constant_bytes,
            free,
        )

    # ---- shapes

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self.network.shape(name)
        if shape is None:
            raise _Missing(f"the shape of {name} is not known before it runs")
        return shape

    def elements(self, name: str) -> int:
        return math.prod(self.shape(name)) // self.images

    def map(self, name: str) -> Map:
        """N×C×H×W and N×C with channels second, N×T×C of a transformer with channels last."""
        shape = self.shape(name)
        elements = math.prod(shape) // self.images
        channels = shape[1] if len(shape) in {2, 4} else shape[-1] if shape else 1
        picture = name in self.network.inputs and len(shape) == 4 and channels <= 4
        return Map(name, channels, max(1, elements // max(1, channels)), picture)


_BUILDERS: tuple[tuple[frozenset[str], Callable[[_Planner, Node], Step]], ...] = (
    (CONVOLUTIONS, _Planner.convolution),
    (frozenset({"BatchNormalization"}) | TWO_TENSORS | ACTIVATIONS, _Planner.point_wise),
    (POOLS | SMOOTH | UNARY | operators.RESIZE, _Planner.one_pass),
    (frozenset({"Softmax"}), _Planner.softmax),
    (frozenset({"Concat"}), _Planner.concat),
    (COPIES, _Planner.copy),
)
