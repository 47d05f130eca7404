"""What `unina-profile record` writes: the lines as they came, so that nothing is lost that a later reader may want."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from unina_runtime.profile.latency import Latencies
from unina_runtime.profile.number import number, numbers
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.series import Series, read_lines, series_of
from unina_runtime.profile.tegrastats import parse_line
from unina_runtime.profile.whole_file import parse_json, read_text

TOOL = "unina-profile record"
TEGRASTATS, PROC, LOG = "tegrastats", "/proc", "a log"


@dataclass(frozen=True)
class Recording:
    """One run."""

    command: tuple[str, ...]
    began: datetime | None
    """None of a log without stamps"""
    seconds: float
    exit_code: int | None
    """None where nothing was run; negative: the signal that ended it"""
    stopped: bool
    """whether it was ended by Ctrl-C"""
    source: str
    """TEGRASTATS, PROC (a PC: load and memory only) or LOG"""
    lines: tuple[tuple[float, str], ...]
    """seconds since the command was started, and the line"""
    machine: Mapping[str, Any] = field(default_factory=dict)
    alerts: tuple[tuple[float, tuple[str, ...]], ...] = ()
    """when Linux said that parts of the chip were held back, and which"""
    events: Mapping[str, int] = field(default_factory=dict)
    """over-current events while it ran"""
    latencies: tuple[Latencies, ...] = ()
    notes: tuple[str, ...] = ()
    """what a reader of the figures must know, such as that lines are missing"""

    def series(self) -> Series:
        """The lines as columns."""
        samples = [(at, parse_line(line)) for at, line in self.lines]
        told = [(at, sample) for at, sample in samples if not sample.empty]
        return series_of([sample for _, sample in told], [at for at, _ in told], len(samples) - len(told))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "schema": 1,
            "tool": TOOL,
            "command": list(self.command),
            "began": None if self.began is None else self.began.isoformat(),
            "seconds": self.seconds,
            "exit_code": self.exit_code,
            "stopped": self.stopped,
            "source": self.source,
            "machine": dict(self.machine),
            "alerts": [[at, list(names)] for at, names in self.alerts],
            "events": dict(self.events),
            "notes": list(self.notes),
            "latencies": [one.to_json() for one in self.latencies],
            "lines": [[round(at, 4), line] for at, line in self.lines],
        }


def recording_of(told: Mapping[str, Any], origin: str) -> Recording:
    """The inverse of `to_json`. Raises CannotSay."""
    try:
        if told["tool"] != TOOL or told["schema"] != 1:
            raise CannotSay(f"{origin}: schema {told['schema']} of {told['tool']}: this program reads 1 of {TOOL}")
        began = told["began"]
        return Recording(
            command=tuple(map(str, told["command"])),
            began=None if began is None else datetime.fromisoformat(began),
            seconds=number(told["seconds"]),
            exit_code=None if told["exit_code"] is None else int(number(told["exit_code"])),
            stopped=bool(told["stopped"]),
            source=str(told["source"]),
            lines=tuple((number(at), str(line)) for at, line in told["lines"]),
            machine=_machine(told["machine"]),
            alerts=tuple((number(at), tuple(map(str, names))) for at, names in told["alerts"]),
            events={name: int(count) for name, count in numbers(told["events"]).items()},
            latencies=tuple(map(Latencies.from_json, told["latencies"])),
            notes=tuple(map(str, told["notes"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotSay(
            f"{origin}: not what {TOOL} writes ({type(error).__name__}: {error}); was it changed by hand?"
        ) from error


def _machine(told: Mapping[str, Any]) -> dict[str, Any]:
    trips = numbers(told.get("trips_celsius", {}))
    return {**{str(name): str(value) for name, value in told.items()}, "trips_celsius": trips}


def read_recording(path: Path, interval_s: float) -> Recording:
    """A recording, or tegrastats' own log. Raises CannotSay."""
    text = read_text(path)
    if text.lstrip().startswith("{"):
        document = parse_json(text, str(path))
        return recording_of(document, str(path))
    lines = text.splitlines()
    series = read_lines(lines, interval_s)
    if len(series.seconds) == 0:
        raise CannotSay(f"{path}: neither a recording of {TOOL} nor a log of tegrastats: no line has one of its fields")
    told = [line for line in lines if not parse_line(line).empty]
    notes = (f"{path}: {series.skipped} lines are none of tegrastats'",) if series.skipped else ()
    lines_at = tuple(zip(map(float, series.seconds), told, strict=True))
    return Recording((), parse_line(told[0]).when, series.span_s, None, False, LOG, lines_at, notes=notes)
