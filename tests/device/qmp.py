"""What a running QEMU is told besides: to stand still, and to write down what it is at."""

import json
import socket
import time
from pathlib import Path
from typing import Any, Self


def connected(path: Path, seconds: float = 30) -> socket.socket:
    """A connection to one of QEMU's sockets, which is there a moment after it started. Raises ConnectionError."""
    end = time.monotonic() + seconds
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(path))
            return line
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            if time.monotonic() > end:
                raise ConnectionError(f"{path}: QEMU does not listen") from None
            time.sleep(0.02)


class Qmp:
    """A connection to `-qmp unix:PATH,server=on,wait=off`."""

    def __init__(self, path: Path) -> None:
        self._socket = connected(path)
        self._socket.settimeout(120)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()  # the greeting
        self.do("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Raises RuntimeError where QEMU would not."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while line := self._lines.readline():
            said: dict[str, Any] = json.loads(line)
            if "error" in said:
                raise RuntimeError(f"QEMU: {command}: {said['error']['desc']}")
            if "return" in said:  # all else are events
                return dict(said["return"])
        raise RuntimeError(f"QEMU: {command}: ended")
