"""Is one run slower than another, or did the frames just fall so?

Frames that follow each other are alike, so that a test that takes them for independent is sure too soon. Therefore the
moving block bootstrap (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", 1989): blocks of
neighbouring frames are drawn anew, as long as the autocorrelation of the frames reaches. Beside it the rank test of
Mann and Whitney (1947, normal approximation with ties), on frames that far apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unina_runtime.profile.series import Floats

SLOWER, FASTER, SAME, UNCLEAR = "slower", "faster", "no change", "can't say"
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p99": 0.99}
"""What is judged; each interval is one of 97.5 %, so that both hold together with 95 %."""
TAIL = 0.0125
RESAMPLES = 600
MOST = 8_000
"""frames of a run that are drawn from: of more, the ones in the middle"""
LEAST = 40
"""frames, and ten blocks: with fewer nothing is said"""
LEAST_BLOCKS = 10
SEED = 0


@dataclass(frozen=True)
class Ratio:
    """A quantile of the new run over that of the earlier one."""

    quantile: str
    earlier_ms: float
    now_ms: float
    ratio: float
    low: float
    high: float
    """ends of its interval"""
    slower: float
    """share of the draws in which it is slower by more than the tolerance: the confidence in a regression"""
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Two runs."""

    verdict: str
    why: str
    tolerance: float
    ratios: tuple[Ratio, ...] = ()
    p_value: float | None = None
    """of Mann and Whitney, two-sided"""
    superiority: float | None = None
    """how often a frame of the new run is slower than one of the earlier"""
    block: tuple[int, int] = (1, 1)
    """frames in a block of the earlier and of the new run"""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def compare(earlier_ms: Sequence[float], now_ms: Sequence[float], tolerance: float) -> Comparison:
    """Judges p50 and p99. `tolerance`: a change that does not matter, such as 0.02."""
    old, new = _middle(earlier_ms), _middle(now_ms)
    blocks = (block_length(old), block_length(new))
    for name, run, block in (("earlier", old, blocks[0]), ("new", new, blocks[1])):
        if len(run) < LEAST or len(run) < LEAST_BLOCKS * block:
            need = max(LEAST, LEAST_BLOCKS * block)
            why = f"the {name} run has {len(run)} frames, alike over {block}: {need} are needed"
            return Comparison(UNCLEAR, why, tolerance)
    generator = np.random.default_rng(SEED)
    levels = list(QUANTILES.values())
    draws = _drawn(new, blocks[1], levels, generator) / _drawn(old, blocks[0], levels, generator)
    ratios = tuple(
        _ratio(name, old, new, draws[:, index], level, tolerance)
        for index, (name, level) in enumerate(QUANTILES.items())
    )
    step = max(blocks)
    p_value, superiority = mann_whitney(old[::step], new[::step])
    verdict, why = _verdict(ratios, tolerance)
    return Comparison(verdict, why, tolerance, ratios, p_value, superiority, blocks)


def block_length(values: Floats) -> int:
    """The lag from which on the autocorrelation is no more than chance would make it (2/√n), at most n/4."""
    count = len(values)
    centred = values - values.mean() if count else values
    power = float(centred @ centred)
    if count < 4 or power <= 0:
        return 1
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum), size)[: count // 4 + 1] / power
    below = np.nonzero(correlation < 2 / math.sqrt(count))[0]
    return int(below[0]) if len(below) else count // 4


def mann_whitney(earlier: Floats, now: Floats) -> tuple[float, float]:
    """Two-sided p-value, and how often one of `now` is larger than one of `earlier` (ties count half)."""
    n, m = len(earlier), len(now)
    both = np.concatenate([earlier, now])
    _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    u = float(ranks[n:].sum()) - m * (m + 1) / 2
    total = n + m
    ties = float((counts.astype(np.float64) ** 3 - counts).sum())
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0, 0.5
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2)), u / (n * m)


def _middle(values: Sequence[float]) -> Floats:
    told = np.asarray(values, np.float64)
    skipped = max(0, len(told) - MOST) // 2
    return told[skipped : skipped + MOST]


def _drawn(values: Floats, block: int, levels: Sequence[float], generator: np.random.Generator) -> Floats:
    """Quantiles of RESAMPLES runs put together from blocks: RESAMPLES × levels."""
    count = len(values)
    blocks = math.ceil(count / block)
    drawn = np.empty((RESAMPLES, len(levels)))
    within = np.arange(block)
    for index in range(RESAMPLES):
        starts = generator.integers(0, count - block + 1, blocks)
        run = values[(starts[:, None] + within).ravel()[:count]]
        drawn[index] = np.quantile(run, levels)
    return np.maximum(drawn, 1e-9)


def _ratio(name: str, old: Floats, new: Floats, draws: Floats, level: float, tolerance: float) -> Ratio:
    earlier, now = float(np.quantile(old, level)), float(np.quantile(new, level))
    low, high = (float(end) for end in np.quantile(draws, (TAIL, 1 - TAIL)))
    if low > 1 + tolerance:
        verdict = SLOWER
    elif high < 1 - tolerance:
        verdict = FASTER
    elif low >= 1 - tolerance and high <= 1 + tolerance:
        verdict = SAME
    else:
        verdict = UNCLEAR
    slower = float((draws > 1 + tolerance).mean())
    return Ratio(name, earlier, now, now / max(earlier, 1e-9), low, high, slower, verdict)


def _verdict(ratios: Sequence[Ratio], tolerance: float) -> tuple[str, str]:
    """Slower in one is slower; else what cannot be said of one cannot be said."""
    for verdict in (SLOWER, UNCLEAR, FASTER, SAME):
        named = [one for one in ratios if one.verdict == verdict]
        if named:
            words = ", ".join(
                f"{one.quantile} ×{one.ratio:.3f} ({one.low:.3f} to {one.high:.3f})" for one in (named or ratios)
            )
            return verdict, f"{words}; {tolerance:.0%} does not matter"
    return UNCLEAR, "nothing was compared"
