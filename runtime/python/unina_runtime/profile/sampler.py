"""Lines of tegrastats while a command runs; on a machine without it, lines of the same form from /proc."""

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from unina_runtime.profile.outcome import CannotSay

PATIENCE_S = 3.0
"""for tegrastats to end when it is told to"""
PROC = Path("/proc")
CPU = Path("/sys/devices/system/cpu")


class Sampler(Protocol):
    """Collects lines from `start` to `stop`."""

    lines: list[tuple[float, str]]
    """monotonic clock when the line came, and the line"""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    @property
    def trouble(self) -> str:
        """Why lines may be missing; "" for no reason."""
        ...


class Tegrastats:
    """The program itself. It is given a terminal, so that it writes line by line whatever its library buffers."""

    def __init__(self, program: str, interval_ms: int) -> None:
        self.lines: list[tuple[float, str]] = []
        self._command = [program, "--interval", str(interval_ms)]
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._terminal = -1
        self._trouble = ""

    def start(self) -> None:
        """Raises CannotSay."""
        self._terminal, end = os.openpty()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=end, stderr=end, start_new_session=True
            )
        except OSError as error:
            os.close(self._terminal)
            raise CannotSay(f"{self._command[0]}: cannot be started: {error.strerror}") from error
        finally:
            os.close(end)
        self._reader.start()

    def stop(self) -> None:
        process = self._process
        if process is None:
            return
        code = process.poll()
        if code is not None:
            last = self.lines[-1][1] if self.lines else "it said nothing"
            self._trouble = f"{self._command[0]} ended by itself with exit code {code} ({last[:200]})"
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._reader.join(PATIENCE_S)

    @property
    def trouble(self) -> str:
        return self._trouble

    def _read(self) -> None:
        rest = b""
        with suppress(OSError):  # of a terminal whose other end is gone
            while piece := os.read(self._terminal, 1 << 16):
                now = time.monotonic()
                *whole, rest = (rest + piece).split(b"\n")
                self.lines += [(now, line.decode("utf-8", "replace").strip()) for line in whole if line.strip()]
        os.close(self._terminal)


class ProcSampler:
    """Memory and load of the cores, which is all that a PC says without a program of its maker."""

    def __init__(self, interval_ms: int) -> None:
        self.lines: list[tuple[float, str]] = []
        self._interval_s = interval_ms / 1000
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_S)

    @property
    def trouble(self) -> str:
        return ""

    def _sample(self) -> None:
        before = busy_and_idle()
        due = time.monotonic()
        while True:
            due += self._interval_s
            ended = self._ended.wait(max(0.0, due - time.monotonic()))
            after = busy_and_idle()
            self.lines.append((time.monotonic(), proc_line(before, after)))
            before = after
            if ended:
                return


def busy_and_idle(proc: Path = PROC) -> dict[int, tuple[int, int]]:
    """Core → ticks that it worked and that it did not (proc(5), /proc/stat); those that are off are not there."""
    cores = {}
    for line in (proc / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields[:8]]
            idle = ticks[3] + ticks[4]
            cores[int(name[3:])] = (sum(ticks) - idle, idle)
    return cores


def proc_line(before: dict[int, tuple[int, int]], after: dict[int, tuple[int, int]], proc: Path = PROC) -> str:
    """In tegrastats' form."""
    told = {}
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        told[name] = int(value.split()[0]) // 1024
    cores = []
    for core in range(max([*before, *after], default=-1) + 1):
        if core not in before or core not in after:
            cores.append("off")
            continue
        busy = after[core][0] - before[core][0]
        ticks = busy + after[core][1] - before[core][1]
        cores.append(f"{round(100 * max(0, busy) / ticks) if ticks > 0 else 0}%{_clock(core)}")
    used, swap = told["MemTotal"] - told["MemAvailable"], told.get("SwapTotal", 0) - told.get("SwapFree", 0)
    return f"RAM {used}/{told['MemTotal']}MB SWAP {swap}/{told.get('SwapTotal', 0)}MB CPU [{','.join(cores)}]"


def _clock(core: int) -> str:
    try:
        return f"@{int((CPU / f'cpu{core}' / 'cpufreq' / 'scaling_cur_freq').read_text()) // 1000}"
    except (OSError, ValueError):
        return ""


def find_tegrastats() -> str | None:
    """Its path."""
    return shutil.which("tegrastats")
