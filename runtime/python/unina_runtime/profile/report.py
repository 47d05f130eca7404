"""`unina-profile report`: what a recording says, on one page, beside an earlier one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unina_runtime.profile.findings import Findings, find, quantiles, to_json
from unina_runtime.profile.latency import Latencies
from unina_runtime.profile.number import number, numbers
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.page import data_of
from unina_runtime.profile.recording import recording_of
from unina_runtime.profile.regression import MOST, UNCLEAR, Comparison, compare
from unina_runtime.profile.whole_file import parse_json, read_text

TOOL = "unina-profile report"
TOLERANCE = 0.02


@dataclass(frozen=True)
class Baseline:
    """An earlier run."""

    origin: str
    figures: Mapping[str, float]
    title: str
    """what its times are of"""
    samples_ms: tuple[float, ...]


def read_baseline(path: Path) -> Baseline:
    """An earlier report, or a recording. Raises CannotSay."""
    text = read_text(path)
    inside = data_of(text)
    document = parse_json(inside if inside is not None else text, str(path))
    if not isinstance(document, dict) or "tool" not in document:
        raise CannotSay(f"{path}: neither a report of unina-profile nor a recording")
    if document["tool"] != TOOL:
        found = find(recording_of(document, str(path)))
        return Baseline(path.name, found.figures(), *_times(found))
    try:
        if document["schema"] != 1:
            raise CannotSay(f"{path}: schema {document['schema']}; this program reads 1")
        samples = tuple(map(number, document["samples_ms"]))
        return Baseline(path.name, numbers(document["figures"]), str(document["times_of"]), samples)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotSay(f"{path}: its figures cannot be read ({type(error).__name__}: {error})") from error


def judge(found: Findings, baseline: Baseline, tolerance: float) -> Comparison:
    """The verdict on the times of the main stage."""
    title, samples = _times(found)
    if not title or not baseline.title:
        which = "this run" if not title else baseline.origin
        return Comparison(UNCLEAR, f"{which} has no times", tolerance)
    if title != baseline.title:
        why = f"times of {title} now, of {baseline.title} in {baseline.origin}: they cannot be compared"
        return Comparison(UNCLEAR, why, tolerance)
    if not samples or not baseline.samples_ms:
        which = "this run" if not samples else baseline.origin
        why = f"{which} has percentiles alone; times of every frame are those of unina-bench --json --samples, of "
        why += "unina-detector's messages and of trtexec --exportTimes"
        return Comparison(UNCLEAR, why, tolerance)
    return compare(baseline.samples_ms, samples, tolerance)


def document(found: Findings, baseline: Baseline | None, comparison: Comparison | None) -> dict[str, Any]:
    """For programs; `samples` are in the page alone."""
    told: dict[str, Any] = {"schema": 1, "tool": TOOL, **to_json(found)}
    if baseline is not None and comparison is not None:
        told["baseline"] = {"file": baseline.origin, "figures": dict(baseline.figures)}
        told["comparison"] = comparison.to_json()
    return told


def with_samples(told: Mapping[str, Any], found: Findings) -> dict[str, Any]:
    """The document with what a later comparison needs."""
    title, samples = _times(found)
    skipped = max(0, len(samples) - MOST) // 2
    return {**told, "times_of": title, "samples_ms": samples[skipped : skipped + MOST]}


def _times(found: Findings) -> tuple[str, tuple[float, ...]]:
    main = found.main
    return (f"{main[0].kind}, {main[0].main}", main[1].samples_ms) if main else ("", ())


def percentile_rows(latencies: Sequence[Latencies]) -> list[list[object]]:
    """One row a stage."""
    rows: list[list[object]] = []
    for one in latencies:
        for name, stage in one.stages.items():
            told = quantiles(stage)
            count = len(stage.samples_ms) or "told by the program"
            rows.append([f"{one.title}: {name}", *(told.get(key) for key in ("p50", "p95", "p99", "mean")), count])
    return rows
