"""Calls of trtexec: each with its log, none that outlives us, and what they leave behind read."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from unina_runtime.compile.versions import TensorRt, tensorrt_said
from unina_runtime.profile.outcome import CannotSay

PLACES = (Path("/usr/src/tensorrt/bin/trtexec"), Path("/usr/bin/trtexec"))
PR_SET_PDEATHSIG = 1
HELP_TIMEOUT_S = 120
MOST_SAID = 300


class RunFailed(Exception):
    """trtexec did not do what it was asked to; the text is why. The next run may."""


@dataclass
class Call:
    """One that runs."""

    process: subprocess.Popen[bytes]
    log: Path
    began: float

    def finish(self, timeout_s: float) -> None:
        """Raises RunFailed unless it ends well in time."""
        try:
            code = self.process.wait(max(0.1, timeout_s - (time.monotonic() - self.began)))
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise RunFailed(f"not done after {timeout_s:g} s (--timeout)") from error
        self.kill()  # what it may have left
        if code:
            raise RunFailed(f"{_ended(code)}: {why_of(self.log)}")

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def find_trtexec(named: str | None) -> Path:
    """Raises CannotSay."""
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise CannotSay(f"{named}: no such program; name TensorRT's trtexec")
        return Path(found).resolve()
    on_path = shutil.which("trtexec")
    for path in (*([Path(on_path)] if on_path else []), *PLACES):
        if os.access(path, os.X_OK):
            return path.resolve()
    raise CannotSay(f"no trtexec: not in PATH, nor {PLACES[0]}; install TensorRT's, or name it with --trtexec PATH")


def version_of(trtexec: Path) -> TensorRt:
    """From its greeting. Raises CannotSay."""
    try:
        done = subprocess.run(
            [str(trtexec), "--help"],
            capture_output=True,
            text=True,
            timeout=HELP_TIMEOUT_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotSay(f"{trtexec} --help: {error}") from error
    version = tensorrt_said(done.stdout + done.stderr)
    if version is None:
        raise CannotSay(f"{trtexec} --help: no [TensorRT v…] in what it says; is it TensorRT's?")
    return version


def start(trtexec: Path, arguments: Sequence[str], folder: Path, log: str) -> Call:
    """In `folder`, its output into `log` there. It is killed with us, however we end."""
    path = folder / log
    with path.open("wb") as output:
        process = subprocess.Popen(
            [str(trtexec), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_us,  # noqa: PLW1509 (it only asks the kernel for a signal)
        )
    return Call(process, path, time.monotonic())


def why_of(log: Path) -> str:
    """What a log says of an error: its first [E], else its last line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "no log"
    told = [line for line in lines if "[E]" in line] or [line for line in lines if line.strip()][-1:]
    text = told[0] if told else "it said nothing"
    return "".join(char if char.isprintable() else "?" for char in text)[:MOST_SAID]


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _ended(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"ended by signal {-code}"
