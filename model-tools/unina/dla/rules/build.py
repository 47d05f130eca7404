"""Rules of building and loading: memory pools, loadables, and the formats of what goes in and comes out.

No network breaks them; build settings do. Each check takes those settings and returns the fault, or None.
"""

from dataclasses import dataclass

from unina.dla.rules.rule import BASE_HEADER, GUIDE, PAGE, Certainty, Effect, Fault, Rule, Versions
from unina.dla.tensorrt import TensorRt

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

POOLS: dict[str, int] = {"dlaSRAM": MIB, "dlaLocalDRAM": GIB, "dlaGlobalDRAM": 512 * MIB}
"""Memory pools by their trtexec names, with their defaults in bytes; the SRAM's is also all that a core of Orin has."""
SMALLEST_POOL = 4 * KIB
LOADABLES_PER_CORE = 16
LOADABLES_PER_CORE_OLD = 4
"""before TensorRT 8.5"""


def _build(
    id: str,  # noqa: A002 - the field's name
    layer: str,
    condition: str,
    limit: str,
    source: str,
    fix: str,
    *,
    trt: Versions | None = None,
    certainty: Certainty = Certainty.READ,
    effect: Effect = Effect.BUILD,
) -> Rule:
    return Rule(id, layer, condition, limit, source, fix, trt=trt or Versions(), certainty=certainty, effect=effect)


POOL_POWER = _build(
    "pool-power",
    "memory pools",
    "size of each pool",
    "a power of two, at least 4 KiB",
    GUIDE,
    "round to a power of two",
)
POOL_SRAM = _build(
    "pool-sram",
    "memory pools",
    "managed SRAM",
    "at most 1 MiB a core on Orin; default 1 MiB (the 8.5.3 guide's text: 0.5 MiB)",
    f"{GUIDE}; NvInfer.h, release/10.3",
    "--memPoolSize=dlaSRAM:1",
)
POOL_DRAM = _build(
    "pool-dram",
    "memory pools",
    "DRAM",
    "by default 1 GiB local and 512 MiB global, for each loadable",
    "NvInfer.h, release/10.3",
    "raise the limit when the compiler runs out, to a power of two",
    effect=Effect.NOTE,
)
LOADABLES = _build(
    "loadables",
    "loadables",
    "loaded at a time",
    f"≤ {LOADABLES_PER_CORE} a core",
    GUIDE,
    "fewer regions: make the network run on the DLA as a whole",
    trt=Versions(since=TensorRt(8, 5)),
)
LOADABLES_OLD = _build(
    "loadables-old",
    "loadables",
    "loaded at a time",
    f"≤ {LOADABLES_PER_CORE_OLD} a core",
    "TensorRT 8.0–8.4 developer guides",
    "fewer regions, or a newer TensorRT",
    trt=Versions(before=TensorRt(8, 5)),
)
STANDALONE = _build(
    "standalone",
    "fallback",
    "GPU fallback",
    "forbidden in standalone mode; otherwise layers fall back silently",
    f"{GUIDE}; sampleOptions.cpp",
    "build with --buildDLAStandalone and without --allowGPUFallback: then it fails instead of falling back",
)
ONE_LOADABLE = _build(
    "cudla-one-loadable",
    "cuDLA",
    "loadables of a device handle",
    "one, loaded once in its life",
    "cudla.h 1.5",
    "a handle for each loadable",
)
FORMAT = _build(
    "format",
    "kDLA_LINEAR, kDLA_HWC4, kCHW16, kCHW32",
    "formats and types",
    "dla_linear and dla_hwc4 in FP16 and INT8, chw16 in FP16, chw32 in INT8; dla_hwc4 is for inputs only",
    BASE_HEADER,
    "int8:dla_hwc4 in, int8:chw32 out",
)
FORMAT_LINEAR = _build(
    "format-linear",
    "kDLA_LINEAR (dla_linear)",
    "stride of a row",
    "a multiple of 64 bytes: N·C·H·roundUp(W, 64 / element)",
    BASE_HEADER,
    "pad each row to 64 bytes",
)
FORMAT_HWC4 = _build(
    "format-hwc4",
    "kDLA_HWC4 (dla_hwc4)",
    "channels, first layer",
    "1, 3 or 4 channels, stored as 1, 4, 4; the first layer is a convolution in the precision of the input",
    BASE_HEADER,
    "let a convolution read the picture, or use dla_linear",
)
FORMAT_HWC4_ROW = _build(
    "format-hwc4-row",
    "kDLA_HWC4 (dla_hwc4)",
    "stride of a row",
    "a multiple of 64 bytes on Orin (32 on Xavier): N·H·roundUp(W, 64 / C' / element)·C'",
    BASE_HEADER,
    "pad each row to 64 bytes",
)
FORMAT_CHW16 = _build(
    "format-chw16",
    "kCHW16 (chw16)",
    "FP16 only; layout",
    "N·ceil(C / 16)·H·W·16: channels padded to 32 bytes",
    BASE_HEADER,
    "pad the channels to 16",
)
FORMAT_CHW32 = _build(
    "format-chw32",
    "kCHW32 (chw32)",
    "INT8 only; layout",
    "N·ceil(C / 32)·H·W·32: channels padded to 32 bytes",
    BASE_HEADER,
    "pad the channels to 32",
)
CUDA_GRAPH = _build(
    "cuda-graph",
    "I/O formats",
    "CUDA graph around a DLA",
    "not allowed",
    f"{PAGE}; sampleOptions.cpp",
    "submit to a stream instead",
    certainty=Certainty.EXCERPT,
)

RULES = (
    POOL_POWER,
    POOL_SRAM,
    POOL_DRAM,
    LOADABLES,
    LOADABLES_OLD,
    STANDALONE,
    ONE_LOADABLE,
    FORMAT,
    FORMAT_LINEAR,
    FORMAT_HWC4,
    FORMAT_HWC4_ROW,
    FORMAT_CHW16,
    FORMAT_CHW32,
    CUDA_GRAPH,
)


@dataclass(frozen=True)
class Format:
    """One row of TensorRT's table of DLA formats."""

    name: str
    """as trtexec spells it"""
    types: frozenset[str]
    directions: frozenset[str]


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("dla_linear", frozenset({"fp16", "int8"}), frozenset({"input", "output"})),
        Format("dla_hwc4", frozenset({"fp16", "int8"}), frozenset({"input"})),
        Format("chw16", frozenset({"fp16"}), frozenset({"input", "output"})),
        Format("chw32", frozenset({"int8"}), frozenset({"input", "output"})),
    )
}


def pool_fault(pool: str, size_bytes: int) -> Fault | None:
    """Whether a pool ("dlaSRAM", "dlaLocalDRAM", "dlaGlobalDRAM") can have this size.

    Raises:
        KeyError: no such pool.
    """
    largest = POOLS[pool] if pool == "dlaSRAM" else None
    if size_bytes < SMALLEST_POOL or size_bytes & (size_bytes - 1):
        return Fault(POOL_POWER, f"{pool} of {size_bytes} bytes")
    if largest is not None and size_bytes > largest:
        return Fault(POOL_SRAM, f"{pool} of {size_bytes / MIB:g} MiB")
    return None


def loadables_fault(count: int, trt: TensorRt) -> Fault | None:
    """Whether one core can hold so many loadables at a time."""
    new = trt in LOADABLES.trt
    rule, most = (LOADABLES, LOADABLES_PER_CORE) if new else (LOADABLES_OLD, LOADABLES_PER_CORE_OLD)
    return Fault(rule, f"{count} loadables") if count > most else None


def standalone_fault(standalone: bool, gpu_fallback: bool) -> Fault | None:
    """Whether a build may fall back to the GPU."""
    return Fault(STANDALONE, "GPU fallback of a standalone loadable") if standalone and gpu_fallback else None


def format_fault(direction: str, kind: str, name: str, channels: int, reader: str = "Conv") -> Fault | None:
    """Whether a tensor can cross the DLA's border in this format.

    `direction` "input" or "output", `kind` "int8", "fp16" …, `name` as trtexec spells formats, `reader` the operator
    that reads an input.
    """
    row = FORMATS.get(name)
    if row is None or kind not in row.types or direction not in row.directions:
        return Fault(FORMAT, f"{direction} {kind}:{name}")
    if name == "dla_hwc4" and channels not in {1, 3, 4}:
        return Fault(FORMAT_HWC4, f"{channels} channels in dla_hwc4")
    if name == "dla_hwc4" and reader != "Conv":
        return Fault(FORMAT_HWC4, f"{reader} reads an input in dla_hwc4")
    return None
