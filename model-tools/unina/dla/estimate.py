"""Latency of a deploy graph on one Orin DLA, everything INT8: per layer the longer of arithmetic and DRAM traffic.

Nobody publishes such a model for Orin. The form and its constants were fitted on NVIDIA's figures for five networks
(Deep-Learning-Accelerator-SW README, JetPack 5.1.1): 3 % mean and 9 % worst on those, about 12 % and 18 % when form and
constants are chosen without the network they are tried on. The engine's other pieces follow the open NVDLA (channels in
atoms of 32 bytes, pooling and element-wise work in processors of their own).
"""

import math
from dataclasses import dataclass, replace

from unina.dla.graph import Add, Concat, Conv, Graph, Op, Shape

UNCERTAINTY = 0.15
"""Half the width of the band around every estimate; it is part of the estimate and always printed with it."""


@dataclass(frozen=True)
class PowerMode:
    """Clocks of a power mode (nvpmodel); those of the DLA core and of the memory are all that the estimate needs."""

    name: str
    clock_mhz: float
    emc_mhz: float


POWER_MODES: dict[str, PowerMode] = {
    mode.name: mode
    for mode in (
        PowerMode("MAXN", 1600.0, 3200.0),
        PowerMode("50W", 1404.0, 3200.0),  # from the ratio of NVIDIA's TOPS figures
        PowerMode("30W", 1369.6, 3200.0),
        PowerMode("15W", 614.4, 2133.0),
    )
}
"""Jetson AGX Orin 64 GB."""
MAXN = POWER_MODES["MAXN"]


@dataclass(frozen=True)
class DlaConstants:
    """What one DLA core of Orin does in a cycle; each value with where it comes from."""

    macs_per_cycle: float = 8192.0
    """dense INT8: 105 TOPS sparse for two cores at 1.6 GHz (NVIDIA)"""
    efficiency: float = 0.862
    """part of them that a convolution reaches, channels rounded up; fitted, 0.85–0.89 with any network left out"""
    image_efficiency: float = 0.5
    """the same for the first layer, whose channels (3, stored as 4) fill no atom; set by hand, agrees with a trace"""
    stride_cost: float = 4 / 3
    """a strided convolution larger than 1×1 takes a third more; fitted"""
    atom: int = 32
    """channels are stored and computed in groups of this many bytes (NVDLA)"""
    depthwise_per_cycle: float = 5.3
    """outputs of a depthwise 3×3; rests on one network"""
    pass_per_cycle: float = 64.0
    """elements through the pooling, resize and element-wise processors; set by hand"""
    bandwidth_gb_s: float = 49.5
    """DRAM, one core, memory at 3200 MHz; fitted, 49–51.5 with any network left out"""
    emc_mhz: float = 3200.0
    """memory clock that the bandwidth stands for"""
    buffer_bytes: int = 192 * 1024
    """of weights or input held while the other streams by; 128–256 KiB fit about as well"""
    layer_us: float = 0.7
    """between two layers; NVIDIA's layer trace, and 0–2 fit equally"""


ORIN = DlaConstants()


@dataclass(frozen=True)
class LayerEstimate:
    """One step of the DLA: an operator with all that is fused into it."""

    name: str
    """of the operator that gives the step its name"""
    kind: str
    """such as "Conv 3×3/2 + Relu" """
    shape: Shape
    """of the tensor that it writes"""
    macs: int
    """multiplications that the network asks for, without those on padding channels"""
    dram_bytes: int
    compute_ms: float
    dram_ms: float
    latency_ms: float
    """the longer of the two, and the gap to the next layer; 0 for a concat, whose inputs are written in place"""

    @property
    def bound(self) -> str:
        """What the step waits for: "compute", "memory", or "-" when it costs nothing."""
        if not self.latency_ms:
            return "-"
        return "compute" if self.compute_ms >= self.dram_ms else "memory"


@dataclass(frozen=True)
class Estimate:
    """A whole network on one DLA core, alone on the memory: per image, input and output in the DLA's own formats."""

    layers: tuple[LayerEstimate, ...]
    mode: PowerMode

    @property
    def latency_ms(self) -> float:
        return sum(layer.latency_ms for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def dram_bytes(self) -> int:
        return sum(layer.dram_bytes for layer in self.layers)

    def __str__(self) -> str:
        return f"{self.latency_ms:.2f} ms ±{UNCERTAINTY:.0%} on one DLA at {self.mode.name}"

    def table(self) -> str:
        """A row a layer in plain text, then the total."""
        head = f"{'layer':<44} {'kind':<26} {'output':>16} {'MMAC':>8} {'MB':>7} {'µs':>7}  bound\n"
        rows = [
            f"{layer.name[-44:]:<44} {layer.kind:<26} {'×'.join(map(str, layer.shape[1:])):>16} "
            f"{layer.macs / 1e6:8.1f} {layer.dram_bytes / 1e6:7.2f} {layer.latency_ms * 1e3:7.1f}  {layer.bound}\n"
            for layer in self.layers
        ]
        total = f"{self.macs / 1e9:.2f} GMAC, {self.dram_bytes / 1e6:.1f} MB, {self}"
        return head + "".join(rows) + total


@dataclass(frozen=True)
class _Step:
    """An operator and what the DLA runs inside it."""

    op: Op
    fused: tuple[Op, ...]
    reads: tuple[str, ...]
    writes: str

    @property
    def kind(self) -> str:
        text = type(self.op).__name__
        if isinstance(self.op, Conv):
            text += " {}×{}".format(*self.op.kernel) + (f"/{self.op.stride[0]}" if self.op.stride[0] > 1 else "")
        return " + ".join([text, *(type(op).__name__ for op in self.fused)])


def estimate(graph: Graph, mode: PowerMode = MAXN, constants: DlaConstants = ORIN, batch: int = 1) -> Estimate:
    """Latency of one image of a deploy graph, INT8 to its outputs, on one DLA.

    `batch` images share one reading of the weights, which is all that a batch saves. Silent fall-back to the GPU, the
    copies at the borders of the DLA and other users of the memory are not in the estimate.
    """
    if batch < 1:
        raise ValueError(f"batch: {batch}: must be at least 1")
    layers = tuple(_layer(step, graph, mode, constants, batch) for step in _steps(graph))
    return Estimate(layers, mode)


def _steps(graph: Graph) -> list[_Step]:
    """The graph as the DLA runs it: ReLU, and the add after a convolution without one, inside the step before."""
    adopted: dict[str, Add] = {}  # output of a convolution → the add that runs inside it
    for op in graph.ops:
        if isinstance(op, Add):
            writers = [before for before in graph.ops if isinstance(before, Conv) and before.output in op.inputs]
            alone = [conv for conv in writers if graph.consumers[conv.output] == (op,)]
            if alone and op.inputs[0] != op.inputs[1]:
                adopted[alone[-1].output] = op  # the last one written: the other operand is there by then
    inside = {id(add) for add in adopted.values()}
    steps, done = [], set[int]()
    for op in graph.ops:
        if id(op) in done or id(op) in inside:
            continue
        fused: list[Op] = []
        reads, last = list(op.inputs), op
        if op.output in adopted:
            last = adopted[op.output]
            fused.append(last)
            reads += [name for name in last.inputs if name != op.output]
        relu = graph.fused_relu(last)
        if relu is not None:
            last = relu
            fused.append(relu)
            done.add(id(relu))
        steps.append(_Step(op, tuple(fused), tuple(reads), last.output))
    return steps


def _layer(step: _Step, graph: Graph, mode: PowerMode, constants: DlaConstants, batch: int) -> LayerEstimate:
    op, shapes = step.op, graph.shapes
    shape = shapes[step.writes]
    if isinstance(op, Concat):
        return LayerEstimate(op.name, step.kind, shape, 0, 0, 0.0, 0.0, 0.0)
    tensors = [_tensor_bytes(shapes[name], name in graph.inputs, constants) for name in (*step.reads, step.writes)]
    dram = float(sum(tensors))
    macs = 0
    if isinstance(op, Conv):
        macs, cycles = _convolution(op, shapes[op.inputs[0]], shapes[op.output], constants)
        weights = _up(op.weight.shape[0], constants.atom) * op.weight[0].size  # a byte each
        dram += weights / batch + _read_again(tensors[0], weights, constants.buffer_bytes)
    else:
        # two operands of an add come in together, a pool or resize is driven by what it reads
        cycles = math.prod(shapes[op.inputs[0]]) / constants.pass_per_cycle
    compute_ms = cycles / mode.clock_mhz / 1e3
    dram_ms = dram / (constants.bandwidth_gb_s * mode.emc_mhz / constants.emc_mhz) / 1e6
    latency_ms = max(compute_ms, dram_ms) + constants.layer_us / 1e3
    return LayerEstimate(op.name, step.kind, shape, macs, round(dram), compute_ms, dram_ms, latency_ms)


def _convolution(op: Conv, source: Shape, target: Shape, constants: DlaConstants) -> tuple[int, float]:
    """Multiplications, and cycles of the arithmetic."""
    outputs, per_group, height, width = op.weight.shape
    channels, cells = source[1], target[2] * target[3]
    macs = cells * op.weight.size
    if op.groups == channels == outputs and op.groups > 1:
        return macs, cells * outputs / constants.depthwise_per_cycle
    if channels <= 4:
        return macs, macs / constants.macs_per_cycle / constants.image_efficiency
    inner = _up(channels, constants.atom) if op.groups == 1 else max(per_group, constants.atom)
    work = cells * inner * _up(outputs, constants.atom) * height * width
    cycles = work / constants.macs_per_cycle / constants.efficiency
    strided = op.stride != (1, 1) and op.kernel != (1, 1)
    return macs, cycles * (constants.stride_cost if strided else 1.0)


def _read_again(read: int, weights: int, buffer: int) -> int:
    """Bytes read more than once: when neither input nor weights fit, the cheaper of the two streams by repeatedly."""
    if min(read, weights) <= buffer:
        return 0
    return min((-(-weights // buffer) - 1) * read, (-(-read // buffer) - 1) * weights)


def _tensor_bytes(shape: Shape, is_input: bool, constants: DlaConstants) -> int:
    """INT8 in memory: channels in whole atoms (CHW32); the picture that comes in with 4 a pixel (HWC4)."""
    _, channels, height, width = shape
    return (4 if is_input and channels <= 4 else _up(channels, constants.atom)) * height * width


def _up(channels: int, atom: int) -> int:
    return -(-channels // atom) * atom


def at_size(graph: Graph, height: int, width: int) -> Graph:
    """The graph for another input size: all maps grow with the input.

    Raises ValueError unless the coarsest map comes out whole.
    """
    _, _, old_height, old_width = graph.shapes[graph.inputs[0]]
    shapes: dict[str, Shape] = {}
    for name, (batch, channels, rows, columns) in graph.shapes.items():
        if rows * height % old_height or columns * width % old_width:
            raise ValueError(f"{width}×{height}: {name} would not have whole rows and columns")
        shapes[name] = (batch, channels, rows * height // old_height, columns * width // old_width)
    return replace(graph, shapes=shapes)
