"""Rules of 2:4 structured sparsity: which convolutions gain from it. Breaking one costs speed, nothing else."""

import numpy as np

from unina.dla.rules.convolution import reads_hwc4
from unina.dla.rules.operators import CONVOLUTION
from unina.dla.rules.rule import DLA_SOFTWARE, Certainty, Check, Effect, Rule, Site

MAX_WEIGHTS = 256 * 1024
KERNELS_MODULO_64 = {0, 1, 2, 4, 8, 16, 32}


def _asked(check: Check) -> Check:
    return lambda site: check(site) if site.context.sparse else None


def _precision(site: Site) -> str | None:
    return "built in FP16" if site.context.precision != "int8" else None


def _format(site: Site) -> str | None:
    return "it reads a picture in HWC4" if reads_hwc4(site) else None


def _channels(site: Site) -> str | None:
    """Of a kernel: of one group."""
    shape = site.shape(1)
    return f"{shape[1]} input channels" if shape is not None and len(shape) > 1 and shape[1] <= 64 else None


def _kernels(site: Site) -> str | None:
    shape = site.shape(1)
    return f"{shape[0]} kernels" if shape and shape[0] % 64 not in KERNELS_MODULO_64 else None


def _size(site: Site) -> str | None:
    shape = site.shape(1)
    count = int(np.prod(shape)) if shape else 0
    return f"{count} weights" if count > MAX_WEIGHTS else None


def _pattern(site: Site) -> str | None:
    """Two of four neighbours along the channels are zero, in all kernels."""
    weight = site.constant(1)
    if weight is None or weight.ndim != 4:
        return None
    channels = weight.shape[1] // 4 * 4
    fours = weight[:, :channels].reshape(weight.shape[0], -1, 4, *weight.shape[2:])
    full = int((np.count_nonzero(fours, axis=2) > 2).sum())
    return f"{full} of {fours.size // 4} groups of four have more than two weights" if full else None


def _row(name: str, condition: str, limit: str, fix: str, check: Check) -> Rule:
    return Rule(
        f"sparsity-{name}",
        "Structured sparsity",
        condition,
        limit,
        DLA_SOFTWARE,
        fix,
        CONVOLUTION,
        _asked(check),
        certainty=Certainty.READ,
        effect=Effect.DENSE,
    )


RULES = (
    _row("precision", "precision", "INT8 convolutions only", "build in INT8", _precision),
    _row("format", "input format", "not HWC", "let the first convolution be dense: it gains nothing", _format),
    _row("channels", "input channels", "> 64", "leave narrow layers dense", _channels),
    _row(
        "kernels",
        "kernels modulo 64",
        "0, 1, 2, 4, 8, 16 or 32",
        "make the width a multiple of 64, best of 128",
        _kernels,
    ),
    _row(
        "weights", "quantised weights", "≤ 256 K elements (“may be stricter”)", "leave the largest layers dense", _size
    ),
    _row(
        "pattern",
        "weights",
        "2 of 4 neighbours along the channels are zero",
        "prune 2:4 along the input channels",
        _pattern,
    ),
)
