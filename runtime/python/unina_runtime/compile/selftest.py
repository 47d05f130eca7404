"""A new model must find, in the picture that its bundle brings along, what the manifest says is there."""

import json
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from unina_runtime.compile.manifest import Manifest, Seen, shown
from unina_runtime.compile.outcome import CannotSay, Refused
from unina_runtime.compile.store import ACCELERATORS, BUNDLE, HOST, PAYLOADS, Made

LEAST_IOU = 0.5
"""of a box with the expected one; a DLA's differ from the host engine's by a pixel or two"""
MOST_DLA_MS = 60000
"""that unina-detector takes for a limit"""
MOST_SAID = 300
LEAST_FOUND = 0.5
"""of the expected: it is a sign of life, no measure of accuracy"""


def require_selftest(entry: Path, made: Made, manifest: Manifest, program: str, timeout_s: float) -> str:
    """Runs the model in a process of its own, beside the one that serves; returns what it found, for people.

    Raises:
        Refused: it ends, hangs, or does not find what it must.
        CannotSay: there is no such program.
    """
    test = manifest.selftest
    if test is None:
        return "the bundle has no self-test picture"
    with tempfile.TemporaryDirectory(prefix="unina-selftest-") as name:
        shutil.copy(entry / BUNDLE / test.picture, Path(name) / f"picture{Path(test.picture).suffix}")
        command = [program, *_model(entry, made, timeout_s), "--source", f"images:{name}"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise Refused(f"self-test: not done after {timeout_s:g} s (takeover_s)") from error
        except OSError as error:
            raise CannotSay(
                f"{program}: cannot be run: {error.strerror}; name it in compile.toml (detector)"
            ) from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise Refused(f"self-test: {_ended(done.returncode)}" + (f": {shown(said[0], MOST_SAID)}" if said else ""))
    found = _found(done.stdout)
    hits = _hits(test.expected, found)
    text = f"finds {hits} of {len(test.expected)} objects in {shown(test.picture)}"
    if hits < LEAST_FOUND * len(test.expected):
        raise Refused(f"self-test: {text}")
    return text


def _model(entry: Path, made: Made, timeout_s: float) -> list[str]:
    accelerator = ACCELERATORS.get(made.core, "cudla-hybrid")
    flags = ["--bundle", str(entry / BUNDLE), "--accelerator", accelerator]
    payload = str(entry / PAYLOADS[made.core])
    if made.core == HOST:
        return flags
    if accelerator == "tensorrt":
        return [*flags, "--engine", payload, "--engine-on", "gpu"]
    # Beside the model that serves, the DLA may take longer than the detector would allow it.
    patience = ["--dla-timeout-ms", str(min(MOST_DLA_MS, round(timeout_s * 1000)))]
    return [*flags, "--dla", made.core.removeprefix("dla"), "--dla-loadable", payload, *patience]


def _ended(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def _found(output: str) -> list[Seen]:
    try:
        document: Any = json.loads(output)
        return [
            Seen(int(one["class_id"]), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
            for one in document["detections"]
            for box in [one["box"]]
        ]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise Refused("self-test: no line of detections") from error


def _hits(expected: tuple[Seen, ...], found: list[Seen]) -> int:
    """How many are found; each detection is taken for one object alone."""
    left, hits = list(found), 0
    for one in expected:
        near = [other for other in left if other.class_id == one.class_id and iou(other.box, one.box) >= LEAST_IOU]
        if near:
            left.remove(max(near, key=lambda other: iou(other.box, one.box)))
            hits += 1
    return hits


def iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)
