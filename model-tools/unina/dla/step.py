"""What the DLA does in one step, as plain counts of work: the form in which a network is estimated."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Map:
    """A tensor of one image: `cells` positions of `channels` values."""

    name: str
    channels: int
    cells: int
    picture: bool = False
    """of the network's inputs, with at most 4 channels: stored as 4 a pixel (HWC4) or 1"""


@dataclass(frozen=True)
class Convolution:
    """What the multipliers have to do for one image."""

    inputs: int
    outputs: int
    taps: int
    """weights of a kernel in one plane, 9 of a 3×3"""
    groups: int
    cells: int
    """at which the kernel is laid on: of the output, or of the input when transposed"""
    strided: bool
    """with a stride, and larger than 1×1"""
    skips_zeros: bool = False
    """in INT8, when 2 of 4 weights are zero"""

    @property
    def weights(self) -> int:
        """How many it holds."""
        return self.inputs // self.groups * self.outputs * self.taps

    @property
    def macs(self) -> int:
        """Multiplications of one image, without those on padding channels."""
        return self.cells * self.weights

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups > 1 and self.groups == self.inputs == self.outputs


@dataclass(frozen=True)
class Step:
    """One operator and what the DLA runs inside it."""

    name: str
    """of the operator that gives the step its name"""
    kind: str
    """such as "Conv 3×3/2 + Relu" """
    nodes: tuple[str, ...]
    """all operators in it"""
    reads: tuple[Map, ...]
    writes: Map
    shape: tuple[int, ...]
    """of the tensor that it writes"""
    convolution: Convolution | None = None
    passed: int = 0
    """elements through the processors for pooling, resizing and point-wise work"""
    smooth: int = 0
    """elements through the look-up table, after the convolution"""
    constant_bytes: int = 0
    """of per-element constants, 4 bytes each"""
    free: bool = False
    """costs neither time nor traffic: a concat, a change of shape that moves nothing"""


@dataclass(frozen=True)
class NotEstimated:
    """An operator without an estimate, and why."""

    name: str
    op: str
    why: str


@dataclass(frozen=True)
class Plan:
    """All steps of a network, for one image."""

    steps: tuple[Step, ...]
    missing: tuple[NotEstimated, ...]
