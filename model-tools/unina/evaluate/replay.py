"""What a Jetson answered to test vectors, compared with every mode of the host engine's arithmetic."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unina.evaluate.arithmetic import EVERY_MODE
from unina.evaluate.band import CAVEAT
from unina.evaluate.surface import LINEAR, Int8, Surface
from unina.evaluate.vectors import INDEX, RETURNED, SCHEMA, VectorBundle, sha256

MOST_JSON_BYTES_A_VALUE = 64
"""trtexec writes about five."""


class ReplayError(ValueError):
    """Nothing can be said: a file is missing, damaged or of another bundle; the text names it."""


@dataclass(frozen=True)
class Tolerance:
    """When an output agrees."""

    steps: int = 1
    """of int8 that a value may differ by"""
    share: float = 0.999
    """of the values of each output that must"""


@dataclass(frozen=True)
class Agreement:
    """One output, over all vectors, beside one mode."""

    differences: dict[int, int]
    """returned − expected, in steps of int8 → values"""

    @property
    def values(self) -> int:
        """Compared."""
        return sum(self.differences.values())

    @property
    def largest(self) -> int:
        """Difference, steps."""
        return max(abs(step) for step in self.differences)

    def within(self, steps: int) -> float:
        """Share of the values that differ by no more."""
        return sum(count for step, count in self.differences.items() if abs(step) <= steps) / self.values

    def to_json(self, tolerance: Tolerance) -> dict[str, Any]:
        """As plain values."""
        return {
            "values": self.values,
            "largest": self.largest,
            "equal": self.within(0),
            "within_tolerance": self.within(tolerance.steps),
            "differences": {str(step): count for step, count in sorted(self.differences.items())},
        }


@dataclass(frozen=True)
class Comparison:
    """What came back, beside every mode."""

    vectors: int
    tolerance: Tolerance
    modes: dict[str, dict[str, Agreement]]
    """mode → output"""

    @property
    def best(self) -> str:
        """The mode with the largest share of equal values over all outputs; of several the first."""

        def equal(mode: str) -> int:
            return sum(agreement.differences.get(0, 0) for agreement in self.modes[mode].values())

        return max(self.modes, key=equal)

    @property
    def agrees(self) -> bool:
        """Whether every output lies within the tolerance of the best mode."""
        best = self.modes[self.best].values()
        return all(one.within(self.tolerance.steps) >= self.tolerance.share for one in best)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        modes = {
            mode: {name: one.to_json(self.tolerance) for name, one in outputs.items()}
            for mode, outputs in self.modes.items()
        }
        tolerance = {"steps": self.tolerance.steps, "share": self.tolerance.share}
        return {
            "agrees": self.agrees,
            "best": self.best,
            "vectors": self.vectors,
            "tolerance": tolerance,
            "modes": modes,
            "caveat": CAVEAT,
        }


def compare(bundle: VectorBundle, folder: Path, tolerance: Tolerance = Tolerance()) -> Comparison:
    """Compares what stands in a folder of `write_vectors` with what the bundle answers in every mode.

    Args:
        bundle: that the vectors were made of.
        folder: with `returned.json` (trtexec --exportOutput) or `returned/NAME.FORMAT.bin` in every vector's folder.
        tolerance: when an output agrees.

    Raises:
        ReplayError: something is missing, damaged or of another bundle.
    """
    index = _read_index(bundle, folder)
    engines = {str(mode): bundle.maps(mode) for mode in EVERY_MODE}
    counts: dict[str, dict[str, Counter[int]]] = {
        mode: {output.name: Counter() for output in bundle.outputs} for mode in engines
    }
    for vector in index:
        values = _input(bundle.input, folder, vector)
        returned = read_returned(folder / vector["folder"], bundle.outputs)
        for mode, engine in engines.items():
            for name, expected in engine(values).items():
                steps = returned[name].astype(np.int16) - expected
                found, times = np.unique(steps, return_counts=True)
                counts[mode][name].update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    modes = {mode: {name: Agreement(dict(one)) for name, one in outputs.items()} for mode, outputs in counts.items()}
    return Comparison(len(index), tolerance, modes)


def read_returned(folder: Path, outputs: Sequence[Surface]) -> dict[str, Int8]:
    """What came back for one vector, int8 C×H×W an output. Raises ReplayError naming the file."""
    exported, raw = folder / f"{RETURNED}.json", folder / RETURNED
    if exported.is_file() and raw.is_dir():
        raise ReplayError(f"{folder}: holds both {RETURNED}.json and {RETURNED}/; remove the one that is not meant")
    if exported.is_file():
        return _exported(exported, outputs)
    if raw.is_dir():
        return {output.name: _raw(raw, output) for output in outputs}
    raise ReplayError(f"{folder}: nothing came back: no {RETURNED}.json (trtexec), no {RETURNED}/ (raw buffers)")


def _read_index(bundle: VectorBundle, folder: Path) -> list[dict[str, Any]]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_bytes())
        schema, loadable, vectors = index["schema"], index["loadable_sha256"], index["vectors"]
        known = [(str(one["folder"]), one["inputs"][bundle.input.name]) for one in vectors]
        complete = all(isinstance(entry["file"], str) and isinstance(entry["sha256"], str) for _, entry in known)
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}; name the folder that unina-dla vectors wrote") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReplayError(f"{path}: not an index of test vectors ({type(error).__name__}: {error})") from error
    if schema != SCHEMA or not known or not complete:
        raise ReplayError(f"{path}: not an index of test vectors of schema {SCHEMA}")
    if loadable != sha256(bundle.loadable):
        raise ReplayError(f"{path}: made of another bundle than {bundle.path}")
    return [{"folder": name, **entry} for name, entry in known]


def _input(surface: Surface, folder: Path, vector: dict[str, Any]) -> Int8:
    path = folder / vector["file"]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}") from error
    if sha256(content) != vector["sha256"]:
        raise ReplayError(f"{path}: is not what {INDEX} says; write the vectors again")
    return surface.unpack(content)


def _raw(folder: Path, output: Surface) -> Int8:
    """A buffer in the bundle's format or, if it is named so, linear."""
    linear = Surface(output.name, output.role, output.shape, LINEAR, output.scale_bits)
    found = [surface for surface in {output, linear} if (folder / surface.file_name).is_file()]
    if len(found) != 1:
        have = "both" if found else "neither"
        raise ReplayError(f"{folder}: holds {have} of {output.file_name} and {linear.file_name}; expected one of them")
    path = folder / found[0].file_name
    try:
        return found[0].unpack(path.read_bytes())
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ReplayError(f"{path}: {error}") from error


def _exported(path: Path, outputs: Sequence[Surface]) -> dict[str, Int8]:
    """trtexec's --exportOutput: a list of name, dimensions and values, the values in order N, C, H, W."""
    count = sum(int(np.prod(output.shape)) for output in outputs)
    try:
        if path.stat().st_size > MOST_JSON_BYTES_A_VALUE * (count + 1000):
            raise ReplayError(f"{path}: {path.stat().st_size} bytes are too many for {count} values")
        listed = json.loads(path.read_bytes())
        tensors = {one["name"]: one["values"] for one in listed}
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror}") from error
    except ReplayError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReplayError(
            f"{path}: not what trtexec --exportOutput of TensorRT 10 writes ({error}); older ones write int8 as "
            f"characters: return raw buffers in {RETURNED}/ instead"
        ) from error
    result = {}
    for output in outputs:
        if output.name not in tensors:
            raise ReplayError(f"{path}: has no output {output.name}; it has {', '.join(map(str, tensors)) or 'none'}")
        result[output.name] = _values(path, output, tensors[output.name])
    return result


def _values(path: Path, output: Surface, values: Any) -> Int8:
    expected = int(np.prod(output.shape))
    if not isinstance(values, list) or len(values) != expected:
        found = f"{len(values)} values" if isinstance(values, list) else type(values).__name__
        raise ReplayError(f"{path}: {output.name} has {found}; int8 {output.shape} has {expected}")
    try:
        wide = np.asarray(values, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise ReplayError(f"{path}: {output.name}: values that are no numbers ({error})") from error
    narrow = np.clip(np.nan_to_num(wide), -128, 127).astype(np.int8)
    if wide.shape != (expected,) or (narrow != wide).any():
        raise ReplayError(
            f"{path}: {output.name}: values that are no int8; build the engine with --outputIOFormats=int8:chw32, as "
            "unina-dla command --engine prints it"
        )
    return narrow.reshape(output.shape)
