"""Times of a run, from whatever wrote them: the kind of a file is told by what is in it.

Kinds: `unina-bench --json` (with --samples every frame), `unina-detector ctl status --json`, the messages of
unina-detector (JSON lines, docs/service.md), and `trtexec --exportTimes`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unina_runtime.profile.number import number, numbers
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.whole_file import parse_json, read_text

BENCH, STATUS, MESSAGES, TRTEXEC = "unina-bench", "unina-detector status", "unina-detector messages", "trtexec"
STAMPS = ("captured_ns", "submitted_ns", "done_ns", "captured_realtime_ns")
"""of a message"""
MOST_SAMPLES = 200_000
"""of a stage that are kept; of more every second, third, … one is"""


@dataclass(frozen=True)
class Stage:
    """How long one step took, image by image, or in percentiles only."""

    samples_ms: tuple[float, ...] = ()
    told_ms: Mapping[str, float] | None = None
    """p50, p95, p99, mean as the program itself told them, where it gives no samples"""


@dataclass(frozen=True)
class Latencies:
    """What one file tells."""

    kind: str
    title: str
    stages: Mapping[str, Stage]
    images_per_second: float | None
    main: str
    """the stage that a verdict is about"""
    at_s: tuple[float, ...] = ()
    """when each sample of the stages was done, in Unix time; empty where the file does not say"""

    def __post_init__(self) -> None:
        if self.main not in self.stages:
            raise ValueError(f"there is no stage {self.main!r}")
        if self.at_s and len(self.at_s) != len(self.stages[self.main].samples_ms):
            raise ValueError(
                f"{self.main}: {len(self.at_s)} stamps for {len(self.stages[self.main].samples_ms)} frames"
            )

    def to_json(self) -> dict[str, Any]:
        """As plain values; `from_json` reads them."""
        stages = {
            name: {"samples_ms": list(stage.samples_ms)} if stage.samples_ms else {"told_ms": dict(stage.told_ms or {})}
            for name, stage in self.stages.items()
        }
        told = {"kind": self.kind, "title": self.title, "images_per_second": self.images_per_second}
        return {**told, "main": self.main, "stages": stages, "at_s": list(self.at_s)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Latencies":
        """The inverse; raises KeyError, TypeError or ValueError for what is not."""
        stages = {
            str(name): Stage(tuple(map(number, one.get("samples_ms", ()))), numbers(one.get("told_ms", {})))
            for name, one in told["stages"].items()
        }
        speed, main, at = told["images_per_second"], str(told["main"]), tuple(map(number, told.get("at_s", ())))
        return cls(
            *(str(told["kind"]), str(told["title"]), stages),
            *(None if speed is None else number(speed), main, at),
        )


def read_latencies(path: Path) -> Latencies:
    """Raises CannotSay."""
    text = read_text(path)
    found = latencies_in(text, path.name)
    if found is None:
        parse_json(text, str(path))
        raise CannotSay(f"{path}: no times of unina-bench --json, unina-detector or trtexec --exportTimes in it")
    return found


def latencies_in(text: str, title: str) -> Latencies | None:
    """None of a text that is none of the kinds. Raises CannotSay for one of a kind that has no use."""
    try:
        first, _, rest = text.strip().partition("\n")
        document = json.loads(first) if rest.lstrip().startswith('{"') and first.startswith("{") else json.loads(text)
    except (ValueError, RecursionError):
        return None
    try:
        if isinstance(document, dict) and "captured_ns" in document:
            return _messages(text, title)
        if isinstance(document, dict) and isinstance(document.get("stages"), dict):
            return _stages(document, title)
        if isinstance(document, list) and document and isinstance(document[0], dict) and "latencyMs" in document[0]:
            return _trtexec(document, title)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotSay(f"{title}: its times cannot be used: {type(error).__name__}: {error}") from error
    return None


def _stages(document: Mapping[str, Any], title: str) -> Latencies:
    bench = "frames_per_second" in document
    speed = document["frames_per_second"] if bench else document.get("fps")
    stages = {}
    for name, told in document["stages"].items():
        samples = _samples(told.get("samples_ms", ()))
        figures = {
            key[:-3]: number(value) for key, value in told.items() if key.endswith("_ms") and key != "samples_ms"
        }
        stages[str(name)] = Stage(samples, None if samples else figures)
    words = (document.get(key, "") for key in ("bundle", "accelerator"))
    return Latencies(
        *(BENCH if bench else STATUS, " on ".join(filter(None, map(str, words))) or title, stages),
        *(None if speed is None else number(speed), "total" if "total" in stages else next(iter(stages), "")),
    )


def _messages(text: str, title: str) -> Latencies:
    """Lines that were cut, as the last one of a log may be, are left out."""
    stamps: list[list[int]] = []
    for line in text.splitlines():
        try:
            told = json.loads(line)
            stamps.append([int(told[key]) for key in STAMPS])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    if not stamps:
        raise CannotSay(f"{title}: no message has {', '.join(STAMPS)}")
    captured, submitted, done, real = zip(*stamps, strict=True)
    total = [(end - begin) / 1e6 for begin, end in zip(captured, done, strict=True)]
    stages = {
        "wait": Stage(_samples([(b - a) / 1e6 for a, b in zip(captured, submitted, strict=True)])),
        "detector": Stage(_samples([(b - a) / 1e6 for a, b in zip(submitted, done, strict=True)])),
        "total": Stage(_samples(total)),
    }
    span_s = (done[-1] - done[0]) / 1e9
    speed = (len(done) - 1) / span_s if span_s > 0 else None
    at = [begin / 1e9 + ms / 1e3 for begin, ms in zip(real, total, strict=True)]
    return Latencies(MESSAGES, title, stages, speed, "total", _thin(at))


def _trtexec(document: Sequence[Mapping[str, Any]], title: str) -> Latencies:
    """One entry an inference of a whole batch; speeds are inferences a second."""
    keys = {"latency": "latencyMs", "compute": "computeMs", "to the device": "h2dMs", "from the device": "d2hMs"}
    stages = {
        name: Stage(_samples([entry[key] for entry in document]))
        for name, key in keys.items()
        if all(key in entry for entry in document)
    }
    first, last = document[0], document[-1]
    begin = first.get("startH2dMs", first.get("startInMs", first.get("startComputeMs", 0.0)))
    end = last.get("endD2hMs", last.get("endOutMs", last.get("endComputeMs", 0.0)))
    span_s = (number(end) - number(begin)) / 1e3
    return Latencies(TRTEXEC, title, stages, len(document) / span_s if span_s > 0 else None, "latency")


def _samples(values: Sequence[object]) -> tuple[float, ...]:
    """Raises TypeError or ValueError for what is no time."""
    return _thin([number(value) for value in values])


def _thin(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(values[:: max(1, math.ceil(len(values) / MOST_SAMPLES))])
