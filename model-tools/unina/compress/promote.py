"""The smallest set of convolutions that must run in FP16 for the detector to keep its accuracy.

Steps come in the order of what they buy a millisecond (`Sensitivity.order`). The first 1, 2, 4, … of them are tried
until that is accurate enough; then every step of it is taken back that is not needed, the last first, and every single
layer. What is left is enough, and without any one of its layers it is not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One set and what was measured of it."""

    layers: tuple[str, ...]
    drop: float
    """points of mAP50-95 against FP32; negative: better than FP32"""


@dataclass(frozen=True)
class Promotion:
    """The set that was chosen, and how it was found."""

    chosen: Trial
    trials: tuple[Trial, ...]
    """in the order in which they were measured; the first is that of no layer"""


class NotReached(ValueError):
    """No set meets the drop."""

    def __init__(self, max_drop: float, trials: Sequence[Trial]) -> None:
        self.best = min(trials, key=lambda trial: (trial.drop, len(trial.layers)))
        self.trials = tuple(trials)
        layers = ", ".join(self.best.layers) or "none"
        super().__init__(
            f"no set of layers in FP16 meets a drop of {max_drop:g} points of mAP50-95: the best of {len(trials)} sets "
            f"that were tried loses {self.best.drop:.2f}, with {len(self.best.layers)} in FP16 ({layers})"
        )


def smallest_set(
    steps: Sequence[tuple[str, ...]],
    drop_of: Callable[[tuple[str, ...]], float],
    max_drop: float,
) -> Promotion:
    """Finds the set.

    Args:
        steps: layers to promote together, the best step first.
        drop_of: measures a set: points of mAP50-95 that it loses against FP32.
        max_drop: points that may be lost.

    Raises:
        NotReached: not even with all of them.
    """
    trials: dict[frozenset[str], Trial] = {}

    def enough(layers: tuple[str, ...]) -> bool:
        key = frozenset(layers)
        if key not in trials:
            trials[key] = Trial(layers, drop_of(layers))
        return trials[key].drop <= max_drop

    count = 0
    while not enough(chosen := tuple(name for step in steps[:count] for name in step)):
        if count == len(steps):
            raise NotReached(max_drop, tuple(trials.values()))
        count = min(max(1, 2 * count), len(steps))
    before: tuple[str, ...] | None = None
    while chosen != before:  # again, since a layer may have been needed only to make up for another
        before = chosen
        for unneeded in (*reversed(steps[:count]), *((name,) for name in reversed(before))):
            without = tuple(name for name in chosen if name not in unneeded)
            if without != chosen and enough(without):
                chosen = without
    return Promotion(trials[frozenset(chosen)], tuple(trials.values()))
