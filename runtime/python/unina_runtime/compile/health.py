"""Watches a serving detector through its control socket (docs/service.md) while it tries a new model out."""

import json
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unina_runtime.compile.outcome import CannotSay

PAUSE_S = 0.1
ANSWER_S = 5.0
MOST_ANSWER = 1 << 20
LONGEST = 10
"""times trial_s: if the source was lost for most of it, nothing can be said"""


@dataclass(frozen=True)
class Seen:
    """What a detector says of itself."""

    process: int
    model: str
    frames: int
    refused: int
    """reloads"""
    delivering: bool
    """whether its source is"""


@dataclass(frozen=True)
class Verdict:
    """`good` is None where nothing can be said."""

    good: bool | None
    why: str = ""


@dataclass(frozen=True)
class Limits:
    """Seconds, by compile.toml."""

    trial_s: float
    starve_s: float
    takeover_s: float


def ask(control: Path) -> Seen | None:
    """The detector's status; None if nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(str(control))
            size = struct.calcsize("3i")
            process, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
            connection.sendall(b"status\n")
            answer = b""
            while len(answer) < MOST_ANSWER and (piece := connection.recv(1 << 16)):
                answer += piece
        head, _, body = answer.partition(b"\n")
        if head != b"ok %d" % len(body):
            return None
        said = json.loads(body)
        delivering = said["state"] != "source lost"
        return Seen(process, said["model"], said["frames"], said["reloads_refused"], delivering)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def wait_for(control: Path, models: set[str], patience_s: float) -> Seen:
    """The detector, as soon as it serves one of these models. Raises CannotSay."""
    end = time.monotonic() + patience_s
    while True:
        seen = ask(control)
        if seen is not None and seen.model in models and seen.frames > 0:
            return seen
        if time.monotonic() >= end:
            break
        time.sleep(PAUSE_S)
    if seen is None:
        raise CannotSay(f"{control}: no detector answers, so nothing can be tried out; systemctl start unina-detector")
    if seen.model not in models:
        raise CannotSay(f"{control}: the detector serves {seen.model or 'no model of ours'}, not {' or '.join(models)}")
    raise CannotSay(f"{control}: the detector has published no picture, so nothing can be tried out; see its status")


def watch(control: Path, before: Seen, model: str, limits: Limits, tell: Callable[[str], None]) -> Verdict:
    """Judges a model that the detector has just been offered."""
    began = last = answered = moved = time.monotonic()
    taken, frames, healthy = False, 0, 0.0
    while healthy < limits.trial_s:
        time.sleep(PAUSE_S)
        now = time.monotonic()
        passed, last = now - last, now
        seen = ask(control)
        if seen is None:
            if not _lives(before.process):
                return Verdict(False, "the detector ended with it")
            if now - answered > limits.starve_s + ANSWER_S:
                return Verdict(False, f"the detector has not answered for {now - answered:.0f} s with it")
            continue
        answered = now
        if seen.process != before.process:
            return Verdict(False, "the detector ended with it, and was started again")
        if not taken:
            if seen.refused > before.refused:
                return Verdict(False, "the detector refuses it; its log says why")
            if now - began > limits.takeover_s:
                return Verdict(False, f"the detector has not taken it over within {limits.takeover_s:g} s (takeover_s)")
            taken, frames, moved = seen.model == model, seen.frames, now
            continue
        if seen.model != model:
            return Verdict(None, f"the detector was given {seen.model} meanwhile")
        if seen.frames > frames or not seen.delivering:
            healthy += passed if seen.delivering else 0.0
            frames, moved = seen.frames, now
            tell(f"{healthy:.0f} of {limits.trial_s:g} s")
        if now - moved > limits.starve_s:
            return Verdict(False, f"no picture was published for {now - moved:.0f} s with it (starve_s)")
        if now - began > LONGEST * (limits.trial_s + limits.takeover_s):
            return Verdict(None, "the source was lost for most of the trial")
    return Verdict(True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True
