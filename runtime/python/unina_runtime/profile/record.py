"""Runs a command beside tegrastats and joins what both say by time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from unina_runtime.profile.latency import Latencies, latencies_in, read_latencies
from unina_runtime.profile.machine import alert_devices, alerts, event_counts, machine_facts
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.recording import LOG, PROC, TEGRASTATS, Recording
from unina_runtime.profile.sampler import ProcSampler, Sampler, Tegrastats, find_tegrastats
from unina_runtime.profile.series import stamped_seconds
from unina_runtime.profile.tegrastats import parse_line
from unina_runtime.profile.whole_file import read_text

TICK_S = 0.2
MOST_OUTPUT = 64 << 20
"""bytes of a command's output in which its figures are looked for"""
STAMP_S = 1
"""What the stamps of a log are rounded to."""


@dataclass(frozen=True)
class Job:
    """What is to be recorded."""

    command: tuple[str, ...]
    interval_ms: int
    log: Path | None = None
    """of a tegrastats that somebody else runs"""
    latency: tuple[Path, ...] = ()
    """files that the command writes"""


class Signals:
    """Ctrl-C and its like end the command, never the recording: the first is handed on, the second kills."""

    def __init__(self) -> None:
        self.count = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number if self.count == 1 else signal.SIGKILL)

    @contextmanager
    def held(self) -> Iterator["Signals"]:
        """They come here, until the recording is made."""
        former = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def record(job: Job, signals: Signals) -> Recording:
    """Raises CannotSay only where the command or tegrastats cannot be started."""
    facts, devices, events = machine_facts(), alert_devices(), event_counts()
    sampler = None if job.log else _sampler(job.interval_ms)
    log_begin = job.log.stat().st_size if job.log and job.log.exists() else 0
    if sampler is not None:
        sampler.start()
    held: list[tuple[float, tuple[str, ...]]] = []
    notes: list[str] = []
    began, clock = datetime.now(UTC), time.monotonic()
    try:
        command = _Command(job.command)
        signals.process = command.process
        if signals.count:  # it came before there was a command to hand it to
            signals(signal.SIGINT, None)
        while not command.ended(TICK_S):
            if names := alerts(devices):
                held.append((time.monotonic() - clock, tuple(names)))
        seconds = time.monotonic() - clock
        output = command.output()
    finally:
        signals.process = None
        if sampler is not None:
            sampler.stop()
    if sampler is not None:
        lines = [(at - clock, line) for at, line in sampler.lines]
        source = PROC if isinstance(sampler, ProcSampler) else TEGRASTATS
        notes += [sampler.trouble] if sampler.trouble else []
    else:
        lines, note = _lines_of_log(job, log_begin, began, seconds)
        source = LOG
        notes += [note] if note else []
    latencies = list(_latencies(job, output, began, notes))
    after = event_counts()
    return Recording(
        job.command,
        began,
        seconds,
        command.process.returncode,
        signals.count > 0,
        source,
        tuple(lines),
        facts,
        tuple(held),
        {name: count - events.get(name, 0) for name, count in after.items()},
        tuple(latencies),
        tuple(notes),
    )


def _sampler(interval_ms: int) -> Sampler:
    program = find_tegrastats()
    if program is None:
        print("unina-profile: no tegrastats here: recording load and memory, but no power or heat", file=sys.stderr)
        return ProcSampler(interval_ms)
    return Tegrastats(program, interval_ms)


class _Command:
    """The command in a session of its own, so that Ctrl-C comes to us; what it prints is passed on and kept."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self.process = subprocess.Popen(list(command), stdout=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            raise CannotSay(f"{command[0]}: cannot be started: {error.strerror}") from error
        self._kept: list[bytes] = []
        self._bytes = 0
        self._reader = threading.Thread(target=self._pass_on, daemon=True)
        self._reader.start()

    def ended(self, wait_s: float) -> bool:
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def output(self) -> str:
        """Of the command; what it left running may print on."""
        self._reader.join(1.0)
        return b"".join(self._kept).decode("utf-8", "replace") if self._bytes <= MOST_OUTPUT else ""

    def _pass_on(self) -> None:
        assert self.process.stdout is not None
        out = sys.__stdout__.fileno() if sys.__stdout__ is not None else -1
        while piece := os.read(self.process.stdout.fileno(), 1 << 16):
            with suppress(OSError):  # nobody reads it: that is no reason to end the command
                os.write(out, piece)
            self._bytes += len(piece)
            if self._bytes <= MOST_OUTPUT:
                self._kept.append(piece)


def _lines_of_log(job: Job, begin: int, began: datetime, seconds: float) -> tuple[list[tuple[float, str]], str]:
    """Those of the command's time by their stamps; without stamps, those that were written meanwhile."""
    assert job.log is not None
    try:
        text = read_text(job.log)
    except CannotSay as error:
        return [], str(error)
    told = [line for line in text.splitlines() if not parse_line(line).empty]
    if not told:
        return [], f"{job.log}: no line has a field of tegrastats"
    stamps = [parse_line(line).when for line in told]
    if any(stamp is None for stamp in stamps):
        with job.log.open("rb") as file:
            file.seek(begin)
            new = file.read().decode("utf-8", "replace").splitlines()
        fresh = [line for line in new if not parse_line(line).empty]
        step = job.interval_ms / 1000
        note = "" if fresh else f"{job.log}: has no stamps, and no line was written while the command ran"
        return [(index * step, line) for index, line in enumerate(fresh)], note
    local = began.astimezone().replace(tzinfo=None)
    first, last = local - timedelta(seconds=STAMP_S), local + timedelta(seconds=seconds + STAMP_S)
    chosen = [(stamp, line) for stamp, line in zip(stamps, told, strict=True) if stamp and first <= stamp <= last]
    if not chosen:
        return [], (
            f"{job.log}: no line is of the command's time ({local:%m-%d-%Y %H:%M:%S} and {seconds:.0f} s, local); "
            f"its lines are of {stamps[0]} to {stamps[-1]}"
        )
    offset = (chosen[0][0] - local).total_seconds()
    at = stamped_seconds([stamp for stamp, _ in chosen], job.interval_ms / 1000)
    return [(offset + second, line) for second, (_, line) in zip(at, chosen, strict=True)], ""


def _latencies(job: Job, output: str, began: datetime, notes: list[str]) -> Iterator[Latencies]:
    """What the command printed or wrote; a file that cannot be used is noted and loses nothing else."""
    try:
        printed = latencies_in(output, " ".join(job.command)[:120])
        if printed is not None:
            yield printed
    except CannotSay as error:
        notes.append(str(error))
    for path in job.latency:
        try:
            if path.exists() and path.stat().st_mtime < began.timestamp() - STAMP_S:
                raise CannotSay(f"{path}: is older than the run; the command did not write it")
            yield read_latencies(path)
        except CannotSay as error:
            notes.append(str(error))
