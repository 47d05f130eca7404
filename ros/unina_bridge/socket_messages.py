"""Reads the detections socket, and connects again when the service goes or drops a slow reader."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

MOST_BYTES = 1 << 22


def messages(
    path: str, running: Callable[[], bool], report: Callable[[str], None], retry_s: float = 0.5, tick_s: float = 0.2
) -> Iterator[dict[str, Any]]:
    """Yields parsed messages as long as `running()`; `report` is told when the connection comes and goes."""
    connected: bool | None = None
    while running():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as reader:
            reader.settimeout(tick_s)
            try:
                reader.connect(path)
            except OSError as error:
                if connected is not False:
                    report(f"{path}: {error.strerror}; trying again")
                connected = False
                time.sleep(retry_s)
                continue
            report(f"{path}: connected")
            connected, received = True, False
            while running():
                try:
                    packet = reader.recv(MOST_BYTES)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if not packet:
                    break
                received = True
                yield json.loads(packet)
            if not received:  # a service that has no room for another reader closes at once
                time.sleep(retry_s)
