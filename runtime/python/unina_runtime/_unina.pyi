"""Types of the compiled module; the public face is `unina_runtime`."""

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
import numpy.typing as npt

from unina_runtime.picture import Picture

class UninaError(ValueError):
    """A line that says what is wrong, where, and what to do."""

class Placement:
    """Where the resized picture lies inside the network's input (docs/bundle.md, "Letterbox")."""

    def __init__(self, *, left: int, top: int, width: int, height: int, source_width: int, source_height: int) -> None:
        """All in pixels. Raises UninaError for a side below 1."""

    @staticmethod
    def fit(source_width: int, source_height: int, input_width: int, input_height: int) -> Placement:
        """The largest picture of the source's shape that fits into the input, centred."""

    @property
    def left(self) -> int:
        """Columns of the input before the picture."""

    @property
    def top(self) -> int:
        """Rows of the input above the picture."""

    @property
    def width(self) -> int:
        """Of the resized picture."""

    @property
    def height(self) -> int:
        """Of the resized picture."""

    @property
    def source_width(self) -> int:
        """Of the picture before it was resized."""

    @property
    def source_height(self) -> int:
        """Of the picture before it was resized."""

    def to_input(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """N×4 boxes from source to input pixels; nothing is clipped. Raises UninaError for another shape."""

    def to_source(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """N×4 boxes from input to source pixels, clipped to the source picture. Raises UninaError for another shape."""

def letterbox(
    image: Picture, height: int, width: int, *, value: int = 128, color: str = "rgb", pixel_format: str = "bgr"
) -> tuple[npt.NDArray[np.uint8], Placement]: ...
def decode(
    class_maps: Sequence[npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8]],
    box_maps: Sequence[npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8]],
    *,
    strides: Sequence[int],
    reg_max: int,
    thresholds: Sequence[float],
    max_detections: int,
    scales: Sequence[tuple[float, float]] | None,
    placement: Placement | None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32]]: ...

class Bundle:
    """A `.unina` directory, verified."""

    def __init__(self, path: str) -> None: ...
    @property
    def manifest_json(self) -> str: ...
    def read(self, name: str) -> bytes: ...

class Detector:
    """As many accelerators as DLA cores are named; a call takes one that is free."""

    def __init__(
        self,
        path: str,
        accelerator: str,
        score_threshold: float | None,
        *,
        threads: int,
        dla: str,
        dla_loadables: Sequence[str],
        dla_timeout_ms: int,
        engine: str,
        engine_on: str,
        preprocess: str,
        deterministic_semaphores: bool,
    ) -> None: ...
    def detect(
        self, image: Picture, pixel_format: str
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32]]: ...
    @property
    def times(self) -> dict[str, float]: ...
    @property
    def manifest_json(self) -> str: ...
    @property
    def accelerator(self) -> str: ...
    @property
    def accelerator_reason(self) -> str: ...
    @property
    def at_a_time(self) -> int: ...

class Network:
    """One accelerator, one picture at a time."""

    def __init__(
        self,
        path: str,
        accelerator: str,
        *,
        threads: int,
        dla: int,
        dla_loadable: str,
        dla_timeout_ms: int,
        engine: str,
        engine_on: str,
    ) -> None: ...
    def run(self, image: Picture, pixel_format: str) -> dict[str, npt.NDArray[np.float32]]: ...
    @property
    def times(self) -> dict[str, float]: ...
    @property
    def manifest_json(self) -> str: ...
    @property
    def accelerator(self) -> str: ...
    @property
    def accelerator_reason(self) -> str: ...

class HostEngine:
    """The integer engine of a `host.loadable` (docs/integer-semantics.md).

    Args:
        source: a path, or the file's bytes.
        threads: that compute, the caller's among them; the result is the same for every number.
        rounding: "half-away" or "half-even" instead of the loadable's own.
        pointwise: between accumulator and int8, "fp32", or "fp19" to emulate what is known of the DLA's arithmetic.

    Raises:
        UninaError: the loadable is damaged, or larger than this engine takes.
    """

    def __init__(
        self,
        source: str | PathLike[str] | bytes,
        threads: int = 1,
        rounding: str | None = None,
        pointwise: str = "fp32",
    ) -> None: ...
    @property
    def inputs(self) -> list[tuple[str, tuple[int, int, int, int], float]]:
        """Name, shape (1, C, H, W) and scale of every input; real = scale · int8."""

    @property
    def outputs(self) -> list[tuple[str, tuple[int, int, int, int], float | None]]:
        """Name, shape (1, C, H, W) and scale of every output; real = scale · int8. None: the output is float16."""

    def run(
        self, feeds: Mapping[str, npt.NDArray[np.int8]]
    ) -> dict[str, npt.NDArray[np.int8] | npt.NDArray[np.float16]]:
        """int8 1×C×H×W for every input gives int8, or float16 without a scale, 1×C×H×W for every output."""

    def infer(self) -> None:
        """Runs on what the last `run` left in the input buffers: for timing."""

class MappedRing:
    """The ring of detections in a mapped file (unina/detection_ring.h)."""

    def __init__(self, memory: object) -> None: ...
    @property
    def written(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def classes(self) -> list[str]: ...
    def read(self, n: int) -> bytes | None:
        """The slot of message n, whole, or None where it is not written yet or overwritten."""
