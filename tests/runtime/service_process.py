"""Starts `unina-detector serve` for a test, as systemd would: with a notification socket, and ended by SIGTERM."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from programs import PROGRAMS, run

PATIENCE_S = 20.0  # of a test that waits for something; reached only where the promise is broken


def make_frames(folder: Path, count: int = 4, size: tuple[int, int] = (72, 128)) -> Path:
    """Pictures of noise, which the tiny bundle sees objects in."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    return folder


def until(what: Callable[[], Any], why: str) -> Any:
    """Waits until `what` returns something true, and returns it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s: {why}")


class ServiceProcess:
    """The service with its sockets in `folder`."""

    def __init__(self, folder: Path, *arguments: object, environment: dict[str, str] | None = None) -> None:
        self.socket, self.ring, self.control = (folder / name for name in ("d.sock", "d.ring", "c.sock"))
        self.notifications: list[str] = []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.setblocking(False)
        self._log = (folder / "log").open("w+")
        places = ["--socket", self.socket, "--ring", self.ring, "--control", self.control, "--status-ms", 50]
        command = [str(PROGRAMS / "unina-detector"), "serve", *map(str, [*places, *arguments])]
        self.process = subprocess.Popen(
            command,
            stderr=self._log,
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), **(environment or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notify.close()
        self._log.close()

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    def told(self, text: str) -> bool:
        """Whether systemd was told a line that begins with this, so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.notifications += self._notify.recv(4096).decode().split("\n")
        return any(line.startswith(text) for line in self.notifications)

    def wait_told(self, text: str) -> None:
        until(lambda: self.told(text) or self._ended(), f"{text}; log:\n{self.log}")
        assert self.told(text), self.log

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def wait_ready(self) -> Self:
        self.wait_told("READY=1")
        return self

    def forget(self) -> None:
        self.told("")
        self.notifications.clear()

    def connect(self) -> socket.socket:
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader.settimeout(PATIENCE_S)
        reader.connect(str(self.socket))
        return reader

    def messages(self, reader: socket.socket, count: int) -> Iterator[dict[str, Any]]:
        for _ in range(count):
            packet = reader.recv(1 << 20)
            assert packet.endswith(b"\n") and packet.count(b"\n") == 1
            yield json.loads(packet)

    def ctl(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return run("unina-detector", "ctl", *arguments, "--control", self.control)

    def ask(self, request: bytes) -> bytes:
        """What ctl does, without the cost of a process."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(self.control))
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def answers(self) -> bool:
        """Whether ask() can be called: the socket's file is there a moment before anybody listens."""
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return bool(self.ask(b"status\n"))
        return False

    def status(self) -> dict[str, Any]:
        head, _, body = self.ask(b"status\n").partition(b"\n")
        assert head == b"ok %d" % len(body)
        status: dict[str, Any] = json.loads(body)
        return status

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)
