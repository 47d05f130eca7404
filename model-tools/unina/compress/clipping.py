"""Two plainer choices of the clipping threshold, from the histogram of magnitudes: percentile and squared error.

Percentile calibration is described by Wu et al., arXiv 2004.09602; the squared error is what rounding and clipping cost
together, tried for every eighth bin.
"""

import numpy as np
import numpy.typing as npt

from unina.compress.histogram import BINS, LEVELS, Counts

PERCENTILE = 99.99
"""Per cent of the values that are not clipped; at 99.9 small cones went under (docs/quantisation.md)."""
STRIDE = 8
"""Bins between two candidates of the squared error: 241 candidates."""


def percentile_threshold(counts: Counts, amax: float, percentile: float = PERCENTILE) -> float:
    """The smallest edge of a bin below which `percentile` per cent of the values that are not zero lie, in (0, amax].

    Raises ValueError for a histogram without a value, or a percentile outside (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile {percentile}: must lie in (0, 100]")
    running = np.cumsum(_checked(counts))
    enough = running >= running[-1] * (percentile / 100) * (1 - 1e-12)  # 100 % must not fail by a rounding
    return float((np.argmax(enough) + 1) * amax / BINS)


def squared_error_threshold(counts: Counts, amax: float) -> float:
    """The threshold in (0, amax] at which INT8 loses least: Σ (x − s·clamp(round(x / s)))² with s = threshold / 127.

    A value stands for the middle of its bin. Raises ValueError for a histogram without a value.
    """
    weights = _checked(counts).astype(np.float64)
    middles = np.arange(BINS) + 0.5
    edges = np.arange(LEVELS, BINS + 1, STRIDE).astype(np.float64)
    scales = edges[:, None] / 127
    kept = scales * np.minimum(np.rint(middles / scales), 127)
    errors: npt.NDArray[np.float64] = ((middles - kept) ** 2) @ weights
    return float(edges[np.argmin(errors)] * amax / BINS)


def _checked(counts: Counts) -> Counts:
    if counts.shape != (BINS,) or counts.sum() == 0:
        raise ValueError(f"a histogram of {BINS} bins with at least one count is needed")
    return counts
