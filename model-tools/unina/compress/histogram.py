"""TensorRT's entropy calibration: the clipping threshold whose INT8 distribution loses least information.

Source: S. Migacz, "8-bit Inference with TensorRT", GTC 2017 (session S7310), the slides "Entropy Calibration,
pseudocode". For every candidate i from 128 to 2048 bins, the reference distribution P is the first i bins with all
outliers added to the last; Q is the same i bins without outliers, merged into 128 levels and spread evenly again over
the bins that were not empty. The candidate with the smallest Kullback-Leibler divergence of P from Q is taken.

Four choices of ours: the threshold is the upper edge of bin i (the slides say half a bin more, so that "no clipping"
would exceed amax); exact zeros are not counted, since zero is zero at every threshold and behind a ReLU it would
outweigh all else; the outliers go to the last bin of the i that is not empty (an empty one would make the
divergence infinite, and one far outlier over a narrow bulk would then forbid all clipping); and a candidate holds 95 %
of the values or more: where the bulk lies far from zero, as class logits do, a range with a single filled bin has no
divergence at all and would clip everything to one value.
"""

import numpy as np
import numpy.typing as npt

BINS = 2048
LEVELS = 128
LEAST_INSIDE = 0.95

Counts = npt.NDArray[np.int64]


def count_magnitudes(values: npt.NDArray[np.float32], amax: float) -> Counts:
    """Histogram of |values|, an array of any shape, without exact zeros: `BINS` equal bins over [0, amax]."""
    magnitudes = np.abs(values[values != 0])
    # bincount is several times faster than np.histogram; amax itself belongs to the last bin
    bins = np.minimum((magnitudes * (BINS / amax)).astype(np.int64), BINS - 1)
    return np.bincount(bins, minlength=BINS)


def entropy_threshold(counts: Counts, amax: float) -> float:
    """The threshold in (0, amax] that minimises the divergence.

    Args:
        counts: `BINS` counts over [0, amax], not all zero.
        amax: the largest magnitude, upper edge of the last bin.

    Raises:
        ValueError: another number of bins, or no count.
    """
    if counts.shape != (BINS,) or counts.sum() == 0:
        raise ValueError(f"a histogram of {BINS} bins with at least one count is needed")
    candidates = np.arange(LEVELS, BINS + 1)
    return float(candidates[np.argmin(divergences(counts))] * amax / BINS)


def divergences(counts: Counts) -> npt.NDArray[np.float64]:
    """KL(P ‖ Q) of the candidates 128 … 2048; infinite where too much of the distribution lies outside.

    Within a level Q is one constant, so Σ P·log Q needs only the level sums of P: differences of running totals,
    taken for all candidates at once.
    """
    c = counts.astype(np.float64)
    total = c.sum()
    running = np.concatenate([[0.0], np.cumsum(c)])
    filled = np.concatenate([[0], np.cumsum(counts > 0)])
    running_entropy = np.concatenate([[0.0], np.cumsum(_x_log_x(c))])  # Σ c·log c of the first bins

    i = np.arange(LEVELS, BINS + 1)
    first = -(-np.arange(LEVELS + 1) * i[:, None] // LEVELS)  # candidate × level: first bin of each level, and the end
    level_sum = np.diff(running[first], axis=1)
    level_filled = np.diff(filled[first], axis=1)
    inside = running[i]
    outliers = total - inside

    # the last filled bin below i, which takes the outliers; -1 where there is none
    top = np.maximum.accumulate(np.where(counts > 0, np.arange(BINS), -1))[i - 1]
    last = c[top]
    p_log_p = (running_entropy[i] - _x_log_x(last) + _x_log_x(last + outliers)) / total - np.log(total)
    # Σ P·log Q, with Q = level_sum / level_filled / inside on the filled bins of the level
    p_level = level_sum.copy()
    p_level[np.arange(len(i)), top * LEVELS // i] += outliers
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q = np.log(level_sum / level_filled) - np.log(inside)[:, None]
        p_log_q = np.where(p_level > 0, p_level * log_q, 0.0).sum(axis=1) / total
    return np.where(inside >= LEAST_INSIDE * total, p_log_p - p_log_q, np.inf)


def _x_log_x(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)
