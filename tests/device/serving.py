"""A device that serves: the names of things on it, and what its readers get."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from device_image import BUNDLE, FPS, ORDERS
from machine import BOOT_S, Machine

DETECTOR, COMPILER, UPDATER = "unina-detector.service", "unina-compile.service", "unina-update.service"
SOCKET, RING = "/run/unina-detector/detections.sock", "/run/unina-detector/detections.ring"
LOADABLES = "/var/lib/unina/loadables"
READER = "python3 -I /usr/lib/device/reader.py"


def wait_serving(machine: Machine, socket: str = SOCKET, seconds: float = BOOT_S) -> dict[str, Any]:
    """The first message that a reader gets, however long it takes to come."""
    message: dict[str, Any] = json.loads(machine.run(f"{READER} {socket} first {seconds:.0f}", seconds + 10))
    return message


def messages(machine: Machine, count: int, socket: str = SOCKET) -> list[dict[str, Any]]:
    """As a reader of the socket gets them."""
    text = machine.run(f"{READER} {socket} collect {count}", 60 + 4 * count / FPS)
    return [json.loads(line) for line in text.splitlines()]


def log_of(machine: Machine, unit: str) -> str:
    """What the unit said since the machine was switched on."""
    return machine.run(f"journalctl -b -o cat --no-pager -u {unit}")


def require_complete(found: list[dict[str, Any]], lost: int = 0) -> None:
    """No id twice, and not more than so many pictures that nobody got."""
    ids = [message["frame"] for message in found]
    assert all(after > before for before, after in pairwise(ids)), ids
    assert ids[-1] - ids[0] + 1 - len(ids) <= lost, ids


def picture(message: dict[str, Any]) -> str:
    """Name of the picture that a message is about."""
    return Path(message["source"]).name


def new_bundle(machine: Machine, name: str, kind: str) -> str:
    """Another bundle, good or hostile (guest/new_bundle.py), beside the device's own. Returns its path there."""
    path = f"/run/{name}.unina"
    machine.run(f"python3 -I /usr/lib/device/new_bundle.py {BUNDLE} {path} {kind}")
    return path


def install_newer(machine: Machine, kind: str = "newer", path: str = "") -> None:
    """As `scp` and `unina-compile install` on a car; unina-update takes it from there. `path`: one that is there."""
    path = path or new_bundle(machine, "newer", kind)
    machine.run(f"unina-compile install {path}")


def refused(machine: Machine, path: str) -> str:
    """The one line of an install that must be refused."""
    said = machine.ask(200, run=f"unina-compile install {path}", timeout=190)
    assert said["code"] == 1, said["out"]
    assert said["out"].startswith("unina-compile: ") and said["out"].count("\n") == 1, said["out"]
    return str(said["out"])


def order(machine: Machine, **orders: object) -> None:
    """Tells the stand-in of trtexec what to do."""
    machine.write(ORDERS, json.dumps(orders))


def wait_updated(machine: Machine, seconds: float = BOOT_S) -> str:
    """Until unina-update has ended; returns what it said. (It looks again when `install` has removed old bundles.)"""
    machine.until(lambda: "Starting unina-update" in machine.journal, "the update's start", seconds)
    idle = ("inactive", "failed")
    machine.until(lambda: machine.show(UPDATER, "ActiveState")["ActiveState"] in idle, "the update's end", seconds)
    return log_of(machine, UPDATER)
