"""The `quantise:` part of a training spec: training on in the integers of the device."""

from dataclasses import dataclass
from typing import Literal

from unina.train.ranges import check_range


@dataclass(frozen=True)
class QuantiseSpec:
    """Quantisation-aware training of a detector that `train.init_from` names (docs/quantisation.md)."""

    scales: Literal["learned", "observed"] = "learned"
    """learned: the scales train along with the weights; observed: they stay as the first crops show them"""

    crops: int = 256
    """training crops whose largest magnitudes give the first scales; rounded up to whole batches"""

    scale_rate: float = 10.0
    """learning rate of the scales, which are trained as logarithms, in multiples of train.lr"""

    rounding: Literal["half-away", "half-even"] = "half-away"
    """as the engine's: half-away as the DLA, half-even as the GPU"""

    def __post_init__(self) -> None:
        check_range("quantise.crops", self.crops, 1, 1e6)
        check_range("quantise.scale_rate", self.scale_rate, 0, 1e4)
