"""Runs trtexec: nothing of our environment, limited memory, no more disk than there is, no longer than allowed."""

import ctypes
import os
import resource
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from unina_runtime.compile.manifest import shown
from unina_runtime.compile.outcome import CannotSay, DlaRefused, Refused
from unina_runtime.compile.versions import TensorRt, tensorrt_said

PR_SET_PDEATHSIG = 1
LOG_LINES = 40
"""of trtexec, kept for the one who asks why it failed"""
VERSION_TIMEOUT_S = 120
MOST_LOG_LINE = 1000
STATUS_S = 2.0


@dataclass(frozen=True)
class Limits:
    """What trtexec may use."""

    timeout_s: float
    memory_mb: int
    """private writable memory; what CUDA only reserves does not count. The unit's MemoryMax counts all"""
    output_mb: int
    """the largest file that it may write"""


@dataclass(frozen=True)
class Trtexec:
    """The program."""

    path: Path

    def require(self) -> None:
        """Raises CannotSay unless it is there."""
        if not os.access(self.path, os.X_OK) or not self.path.is_file():
            raise CannotSay(f"{self.path}: no such program; install TensorRT's trtexec, or name it with --trtexec PATH")

    def tensorrt(self, folder: Path) -> TensorRt:
        """The version of TensorRT, from its greeting. Raises CannotSay."""
        self.require()
        try:
            ended, log = self._run(("--help",), folder, Limits(VERSION_TIMEOUT_S, 4096, 16), lambda seconds: None)
        except OSError as error:
            why = f"{self.path}: cannot be run: {error.strerror}"
            raise CannotSay(f"{why}; install the trtexec of this machine's TensorRT anew") from error
        version = next(filter(None, map(tensorrt_said, log)), None)
        if version is None:
            raise CannotSay(
                f"{self.path} --help: no [TensorRT v…] ({ended or 'exit code 0'}); state it with --tensorrt-version"
            )
        return version

    def compile(
        self, arguments: Sequence[str], folder: Path, output: Path, limits: Limits, tick: Callable[[float], None]
    ) -> None:
        """Runs it in `folder`; `tick` is called with the seconds gone by now and then.

        Raises:
            DlaRefused: it ran and said no.
            Refused: it was stopped, or wrote nothing.
        """
        ended, log = self._run(arguments, folder, limits, tick)
        if ended:
            said = [line for line in log if line.lstrip("[").split("]", 1)[-1].strip().startswith("[E]")] or log[-1:]
            why = f"trtexec: {ended}" + (f": {shown_line(said[0])}" if said else "")
            # An exit code is its own decision; a signal or the time limit is ours or the kernel's, and may pass
            raise DlaRefused(why) if ended.startswith("exit code") else Refused(why)
        if not output.is_file() or output.is_symlink() or output.stat().st_size == 0:
            raise Refused(f"trtexec: exit code 0, but it wrote no {output.name}")

    def _run(
        self, arguments: Sequence[str], folder: Path, limits: Limits, tick: Callable[[float], None]
    ) -> tuple[str, list[str]]:
        """How it ended ("" for well), and the last lines of its log with the first one."""
        began = time.monotonic()
        process = subprocess.Popen(
            [str(self.path), *arguments],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _confine(limits),  # noqa: PLW1509 (there are no threads)
        )
        log = Log()
        late = False
        try:
            assert process.stdout is not None
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                while True:
                    left = limits.timeout_s - (time.monotonic() - began)
                    if left <= 0:
                        late = True
                        break
                    if not selector.select(min(left, STATUS_S)):
                        tick(time.monotonic() - began)
                        continue
                    piece = os.read(process.stdout.fileno(), 1 << 16)
                    if not piece:
                        break
                    log.add(piece)
            if not late:  # it may close its output and live on
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, limits.timeout_s - (time.monotonic() - began)))
                late = process.poll() is None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if late:
            return f"not done after {limits.timeout_s:g} s (timeout_s)", log.lines
        if process.returncode < 0:
            return f"ended by {_signal_name(-process.returncode, limits)}", log.lines
        return (f"exit code {process.returncode}" if process.returncode else ""), log.lines


class Log:
    """The first line and the last ones of an output of any length."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=LOG_LINES)
        self._rest = b""

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        *whole, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[:MOST_LOG_LINE]
        for line in whole:
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        text = line[:MOST_LOG_LINE].decode("utf-8", "replace")
        if not self._first:
            self._first.append(text)
        self._last.append(text)

    @property
    def lines(self) -> list[str]:
        """What is kept."""
        if self._rest:
            self._keep(self._rest)
            self._rest = b""
        return [*self._first, *self._last] if self._first != list(self._last)[:1] else list(self._last)


def shown_line(line: str) -> str:
    """A line of trtexec's in a message of ours."""
    return shown(line.strip())


def _confine(limits: Limits) -> None:
    """In the child, before trtexec: it dies with us, and cannot have more than its share."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for what, most in (
        (resource.RLIMIT_DATA, limits.memory_mb << 20),
        (resource.RLIMIT_FSIZE, limits.output_mb << 20),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))


def _signal_name(number: int, limits: Limits) -> str:
    if number == signal.SIGXFSZ:
        return f"SIGXFSZ: it wrote more than {limits.output_mb} MiB"
    if number == signal.SIGKILL:
        return "SIGKILL: out of memory, or killed"
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
