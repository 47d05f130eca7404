"""Soak: at full speed, with readers that come, dawdle and go, neither memory nor descriptors grow and p99 stays.

UNINA_SOAK_MINUTES says how long (30 for a release; 3 where nothing is said, as `make test-long` does). Prints what it
measured (`pytest -s`).
"""

import contextlib
import os
import random
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from frame_ring import FrameRing
from service_process import ServiceProcess, until
from tiny_bundle import TinyBundle

MINUTES = float(os.environ.get("UNINA_SOAK_MINUTES", "3"))
SIZE = (720, 1280)
# Growth after the warm-up, in KiB. glibc's arenas and the stacks of threads move by some hundred KiB; a message that
# leaks its 2 KiB is beyond this after 2000 pictures, one of a picture's 2.6 MiB after the second.
MOST_GROWTH_KIB = 4096
WARM_UP = 1 / 6  # of the time
# The machine's own noise is in p99; a drift that matters in 30 minutes doubles it.
MOST_P99_RATIO = 2.0


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Readers:
    """Three that keep up, and threads whose readers come and go: some read, some never do."""

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self._stop = threading.Event()
        self.received = [0, 0, 0]
        targets = [lambda i=i: self._keep_up(i) for i in range(3)] + [
            lambda i=i: self._come_and_go(i) for i in range(3)
        ]
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _keep_up(self, number: int) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError), self._service.connect() as reader:
                reader.settimeout(1.0)
                while not self._stop.is_set() and reader.recv(1 << 20):
                    self.received[number] += 1

    def _come_and_go(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self._stop.wait(rng.uniform(0, 0.3)):
            with contextlib.suppress(OSError), self._service.connect() as reader:
                if rng.random() < 0.5:  # never reads: is disconnected as soon as its buffer is full
                    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    self._stop.wait(rng.uniform(0, 2))
                else:
                    for _ in range(rng.randrange(20)):
                        reader.recv(1 << 20)
            with contextlib.suppress(OSError):
                self._service.ask(rng.choice([b"metrics\n", b"status\n", b"snapshot\n", b"nonsense\n"]))


@pytest.mark.long
def test_nothing_grows_and_p99_does_not_drift(tmp_path: Path, bundle: TinyBundle) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(4)]
    source = f"frames:{tmp_path / 'frames.ring'}"
    with (
        FrameRing(tmp_path / "frames.ring", *SIZE) as ring,
        ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source, "--log-level", "error") as service,
    ):
        stop = threading.Event()

        def produce() -> None:
            number = 0
            while not stop.is_set():
                ring.put(pictures[number % len(pictures)])
                number += 1
                time.sleep(0.0005)  # the interpreter is the readers', too

        producing = threading.Thread(target=produce, daemon=True)
        producing.start()
        service.wait_ready()
        readers = Readers(service)
        pid, begin = service.process.pid, time.monotonic()
        seconds = 60 * MINUTES
        samples: list[tuple[float, int, int, float]] = []  # time, KiB, descriptors, p99 of the last 512 pictures
        while (now := time.monotonic() - begin) < seconds:
            assert service.process.poll() is None, service.log
            service.told("")  # as systemd: reads its notifications
            service.notifications.clear()
            p99 = service.status()["stages"]["total"]["p99_ms"]
            samples.append((now, rss_kib(pid), descriptors(pid), p99))
            time.sleep(min(1.0, seconds / 60))
        readers.stop()
        status = service.status()
        until(lambda: service.status()["readers"] == 0, "all readers left")
        stop.set()
        producing.join()
        warm = [sample for sample in samples if sample[0] > WARM_UP * seconds]
        third = len(warm) // 3
        memory = [float(np.median([s[1] for s in part])) for part in (warm[:third], warm[-third:])]
        open_files = [max(s[2] for s in part) for part in (warm[:third], warm[-third:])]
        p99 = [float(np.median([s[3] for s in part])) for part in (warm[:third], warm[-third:])]
        print(
            f"\nsoak of {MINUTES:g} min: {status['frames']} pictures ({status['frames'] / seconds:.0f} a second), "
            f"{status['readers_dropped']} readers dropped; first and last third after the warm-up: "
            f"RSS {memory[0] / 1024:.2f} and {memory[1] / 1024:.2f} MiB, descriptors at most "
            f"{open_files[0]} and {open_files[1]}, p99 of a picture {p99[0]:.2f} and {p99[1]:.2f} ms"
        )
        assert min(readers.received) > 0 and status["readers_dropped"] > 0
        assert memory[1] - memory[0] < MOST_GROWTH_KIB
        assert open_files[1] <= open_files[0] + 3
        assert p99[1] < MOST_P99_RATIO * p99[0]
        assert service.stop() == 0
