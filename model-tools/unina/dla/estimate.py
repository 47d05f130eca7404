"""Latency of a network on one Orin DLA: per step the longer of arithmetic and DRAM traffic (docs/estimator.md).

Nobody publishes such a model for Orin. The form and its constants were fitted on NVIDIA's figures
(Deep-Learning-Accelerator-SW README, JetPack 5.1.1) by `model-tools/estimator/fit.py`. The engine's other pieces follow
the open NVDLA (channels in atoms of 32 bytes, pooling and element-wise work in processors of their own).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from unina.dla.constants import ORIN, DlaConstants
from unina.dla.network import Network
from unina.dla.platforms import MAXN, PowerMode
from unina.dla.rules.general import MAX_BATCH
from unina.dla.step import Convolution, Map, NotEstimated, Plan, Step
from unina.dla.steps import plan

Precision = Literal["int8", "fp16"]
BYTES: dict[Precision, int] = {"int8": 1, "fp16": 2}

UNCERTAINTY = 0.15
"""Half the width of the band around an estimate, for ordinary convolutions in INT8; always printed with it.

It holds every published figure of such a network with the network left out of the fit, and of the choice of form, too.
"""
WIDER = {"grouped": 0.20, "depthwise": 0.25, "SiLU": 0.25, "sparse": 0.35, "FP16": 0.50}
"""The same with work that rests on one published network (or, sparse, on a poor fit): by hand, wider than any error."""
CLOCKS = "clocks"
"""In `Estimate.wide_for` where what is not known of a power mode decides the band (`PowerMode.uncertainty`)."""
SPARSE_PEAK = 2
"""Times the dense multipliers: NVIDIA's sparse TOPS (105 for two DLAs) are twice its dense ones."""
RARE = 0.05
"""Part of the time below which such work does not widen the band."""


@dataclass(frozen=True)
class LayerEstimate:
    """One step of the DLA: an operator with all that is fused into it."""

    name: str
    """of the operator that gives the step its name"""
    kind: str
    """such as "Conv 3×3/2 + Relu" """
    shape: tuple[int, ...]
    """of the tensor that it writes"""
    precision: Precision
    macs: int
    """multiplications that the network asks for, without those on padding channels"""
    dram_bytes: int
    cycles: float
    """of the multipliers or of the other processors"""
    compute_ms: float
    dram_ms: float
    latency_ms: float
    """the longer of the two, and the gap to the next layer; 0 for a concat, whose inputs are written in place"""
    roofline_ms: float
    """what no such layer can go below: all multipliers busy without padding, or its bytes at full bandwidth"""

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
    missing: tuple[NotEstimated, ...]
    """operators that the DLA does not run: their time is not in the sum"""
    mode: PowerMode
    precision: Precision
    batch: int
    sparse: bool
    uncertainty: float
    """half the width of the band, as part of the latency; says nothing of a network that is not all on the DLA"""
    wide_for: tuple[str, ...]
    """what makes the band wider than that of ordinary INT8 convolutions: kinds of work, or `CLOCKS`"""

    @property
    def complete(self) -> bool:
        """Whether the sum is the whole network's, and not the DLA's part only."""
        return not self.missing

    @property
    def latency_ms(self) -> float:
        """The sum over all layers: one image, milliseconds."""
        return sum(layer.latency_ms for layer in self.layers)

    @property
    def band_ms(self) -> tuple[float, float] | None:
        """None of a part: nobody knows what the rest takes."""
        if not self.complete:
            return None
        return self.latency_ms * (1 - self.uncertainty), self.latency_ms * (1 + self.uncertainty)

    @property
    def roofline_share(self) -> float:
        """Part of the estimate that the multipliers or the memory could not do without."""
        return sum(layer.roofline_ms for layer in self.layers) / self.latency_ms if self.latency_ms else 0.0

    @property
    def macs(self) -> int:
        """The sum over all layers: multiplications of one image, without padding."""
        return sum(layer.macs for layer in self.layers)

    @property
    def dram_bytes(self) -> int:
        """The sum over all layers: bytes read from and written to memory for one image."""
        return sum(layer.dram_bytes for layer in self.layers)

    @property
    def tera_ops(self) -> float:
        """Effective INT8 TOPS: two operations a multiplication that the network asks for."""
        return 2 * self.macs / self.latency_ms / 1e9 if self.latency_ms else 0.0

    def __str__(self) -> str:
        if not self.complete:
            return f"{self.latency_ms:.2f} ms, the DLA's part only, on one DLA at {self.mode.name}"
        return f"{self.latency_ms:.2f} ms ±{self.uncertainty:.0%} on one DLA at {self.mode.name}"


def estimate(
    network: Network,
    mode: PowerMode = MAXN,
    constants: DlaConstants = ORIN,
    *,
    precision: Precision = "int8",
    batch: int = 1,
    sparse: bool = False,
    fp16_layers: Collection[str] = (),
) -> Estimate:
    """Latency of one image on one DLA; operators that the DLA does not run are named in `missing` and cost nothing.

    Args:
        network: any; one that was exported for N images is estimated for one of them.
        precision: of all layers but `fp16_layers`, which are node names and run in FP16.
        batch: images that share one reading of the weights, which is all that a batch saves.
        sparse: the weights have 2 zeros in every 4 input channels wherever the DLA can use that.

    Silent fall-back to the GPU, the copies at the borders of the DLA and other users of the memory are not in it.
    Raises ValueError for a batch below 1 or above `MAX_BATCH`.
    """
    return estimate_plan(
        plan(network), mode, constants, precision=precision, batch=batch, sparse=sparse, fp16_layers=fp16_layers
    )


def estimate_plan(
    steps: Plan,
    mode: PowerMode = MAXN,
    constants: DlaConstants = ORIN,
    *,
    precision: Precision = "int8",
    batch: int = 1,
    sparse: bool = False,
    fp16_layers: Collection[str] = (),
) -> Estimate:
    """`estimate` for a network whose steps are known: many clocks or constants, one reading.

    Raises ValueError for a batch below 1 or above `MAX_BATCH`.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise ValueError(f"batch: {batch}: must be a whole number from 1 to {MAX_BATCH}")
    written: dict[str, Precision] = {}
    layers = []
    weight_of: dict[str, float] = {}
    for step in steps.steps:
        own: Precision = "fp16" if step.nodes[0] in fp16_layers else precision  # an activation in it is one pass more
        written[step.writes.name] = own
        layer = _layer(step, own, written, mode, constants, batch, sparse)
        layers.append(layer)
        for why in _unusual(step, own, sparse):
            weight_of[why] = weight_of.get(why, 0.0) + layer.latency_ms
    total = sum(layer.latency_ms for layer in layers)
    wide_for = tuple(why for why in WIDER if weight_of.get(why, 0.0) > RARE * total)
    uncertainty = max([UNCERTAINTY, *(WIDER[why] for why in wide_for)])
    if mode.uncertainty > uncertainty:
        uncertainty, wide_for = mode.uncertainty, (*wide_for, CLOCKS)
    return Estimate(tuple(layers), steps.missing, mode, precision, batch, sparse, uncertainty, wide_for)


def _unusual(step: Step, precision: Precision, sparse: bool) -> list[str]:
    """What about a step rests on one published network or none."""
    found = ["FP16"] if precision == "fp16" else []
    if step.convolution is not None and step.convolution.groups > 1:
        found.append("depthwise" if step.convolution.depthwise else "grouped")
    if step.smooth:
        found.append("SiLU")
    if sparse and step.convolution is not None and can_be_sparse(step.convolution, precision):
        found.append("sparse")
    return found


def _layer(
    step: Step,
    precision: Precision,
    written: dict[str, Precision],
    mode: PowerMode,
    constants: DlaConstants,
    batch: int,
    sparse: bool,
) -> LayerEstimate:
    macs = step.convolution.macs if step.convolution else 0
    if step.free:
        return LayerEstimate(step.name, step.kind, step.shape, precision, macs, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    tensors = [map_bytes(one, written.get(one.name, precision), constants) for one in (*step.reads, step.writes)]
    dram = float(sum(tensors) + step.constant_bytes)
    cycles = (step.passed + step.smooth) / constants.pass_per_cycle
    thin = False
    if step.convolution is not None:
        thin = sparse and can_be_sparse(step.convolution, precision)
        cycles += convolution_cycles(step.convolution, constants, precision, thin)
        weights = weight_bytes(step.convolution, constants, precision, thin)
        dram += weights / batch + read_again(tensors[0], weights, constants.buffer_bytes)
    compute_ms = cycles / mode.clock_mhz / 1e3
    dram_ms = dram / constants.bandwidth_gb_s / 1e6 * dram_slowdown(mode, constants)
    latency_ms = max(compute_ms, dram_ms) + constants.layer_us / 1e3
    roofline_ms = max(macs / peak_macs(precision, constants, sparse=thin) / mode.clock_mhz / 1e3, dram_ms)
    times = (compute_ms, dram_ms, latency_ms, roofline_ms)
    return LayerEstimate(step.name, step.kind, step.shape, precision, macs, round(dram), cycles, *times)


def convolution_cycles(work: Convolution, constants: DlaConstants, precision: Precision, sparse: bool) -> float:
    """Cycles of the multipliers for one image."""
    if precision == "fp16":
        return work.macs / constants.fp16_macs_per_cycle
    if work.depthwise:
        return work.cells * work.outputs * work.taps / 9 / constants.depthwise_per_cycle
    if work.inputs <= 4:
        return work.macs / constants.macs_per_cycle / constants.image_efficiency
    atom = constants.atom
    inner = rounded_up(work.inputs, atom) if work.groups == 1 else max(work.inputs // work.groups, atom)
    done = work.cells * inner * rounded_up(work.outputs, atom) * work.taps
    cycles = done / constants.macs_per_cycle / constants.efficiency
    return cycles / (constants.sparse_speed if sparse else 1.0)


def peak_macs(precision: Precision, constants: DlaConstants, *, sparse: bool = False) -> float:
    """Multiplications a cycle when all multipliers are busy; with 2:4 sparsity, those by zero count, too."""
    if precision == "fp16":
        return constants.fp16_macs_per_cycle
    return constants.macs_per_cycle * (SPARSE_PEAK if sparse else 1)


def bandwidth_gb_s(mode: PowerMode, constants: DlaConstants) -> float:
    """DRAM of one core at the clocks of a power mode."""
    return constants.bandwidth_gb_s / dram_slowdown(mode, constants)


def dram_slowdown(mode: PowerMode, constants: DlaConstants) -> float:
    """Time of DRAM traffic over that at the clocks which the bandwidth stands for."""
    share = constants.clock_share
    return (1 - share) * constants.emc_mhz / mode.emc_mhz + share * constants.clock_mhz / mode.clock_mhz


def can_be_sparse(work: Convolution, precision: Precision) -> bool:
    """Whether the DLA can skip zeros: the rules of sparsity (`unina.dla.steps.SPARSITY`), and INT8."""
    return precision == "int8" and work.skips_zeros


def weight_bytes(work: Convolution, constants: DlaConstants, precision: Precision, sparse: bool) -> float:
    """As stored: kernels padded to whole atoms."""
    size = BYTES[precision]
    kernels = rounded_up(work.outputs, constants.atom // size)
    return kernels * (work.inputs // work.groups) * work.taps * size * (constants.sparse_weights if sparse else 1.0)


def read_again(read: float, weights: float, buffer: float) -> float:
    """Bytes read more than once: when neither input nor weights fit, the cheaper of the two streams by repeatedly."""
    if min(read, weights) <= buffer:
        return 0.0
    return min((-(-weights // buffer) - 1) * read, (-(-read // buffer) - 1) * weights)


def map_bytes(one: Map, precision: Precision, constants: DlaConstants) -> int:
    """A tensor in memory: channels in whole atoms (CHW32, CHW16); the picture with 4 a pixel (HWC4), or 1."""
    size = BYTES[precision]
    channels = (1 if one.channels == 1 else 4) if one.picture else rounded_up(one.channels, constants.atom // size)
    return channels * one.cells * size


def rounded_up(channels: int, atom: int) -> int:
    """The next multiple of `atom`: what the DLA computes and stores for so many channels."""
    return -(-channels // atom) * atom
