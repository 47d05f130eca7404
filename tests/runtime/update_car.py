"""A machine whose detector serves while its model is updated, without systemd: the test starts what a unit would."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from compile_machine import Machine, compilable, make_machine
from frame_ring import FrameRing
from programs import PROGRAMS
from service_process import ServiceProcess, make_frames, until
from tiny_bundle import TinyBundle

from unina_runtime import Detector


def with_selftest(bundle: TinyBundle, blind: bool = False) -> TinyBundle:
    """Gives it a picture and what it finds there; `blind`: and lets it find nothing any more."""
    picture = np.random.default_rng(7).integers(0, 256, (72, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(bundle.path / "selftest.png"), picture)
    bundle.seal()
    found = Detector(str(bundle.path), accelerator="host").detect(picture)
    assert len(found) > 0
    expected = [
        {"class_id": int(number), "box": [float(side) for side in box]}
        for number, box in zip(found.classes, found.boxes, strict=True)
    ]
    bundle.manifest["selftest"] = {"picture": "selftest.png", "expected": expected}
    if blind:
        bundle.manifest["thresholds"] = [0.99999, 0.99999]
    bundle.seal()
    return bundle


class Steps:
    """Gives a service its next picture when the one before was published, so that none is lost to a busy machine."""

    def __init__(self, service: ServiceProcess, ring: FrameRing) -> None:
        self.published, self.silent = list[dict[str, Any]](), 0
        self._service, self._ring, self._stop = service, ring, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        picture = np.full((72, 128, 3), 200, np.uint8)
        until(lambda: (self._ring.put(picture), self._service.told("READY=1"))[1], "the first picture")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        picture = np.full((72, 128, 3), 200, np.uint8)
        with self._service.connect() as reader:
            while not self._stop.is_set():
                self._ring.put(picture)
                try:
                    self.published.append(json.loads(reader.recv(1 << 20)))
                except TimeoutError:
                    self.silent += 1

    @property
    def lost(self) -> int:
        """Pictures that were given and not published; ids that came twice or out of turn are an error."""
        ids = [message["frame"] for message in self.published]
        assert len(ids) > 1 and all(a < b for a, b in pairwise(ids))
        first, last = self.published[0], self.published[-1]
        dropped = last["drops"] - first["drops"]
        assert ids[-1] - ids[0] + 1 == len(ids) + dropped, "every picture is published, or counted as dropped"
        return int(dropped + last["gaps"] - first["gaps"]) + self.silent


class Car:
    """A machine, and what its detector would be started with."""

    def __init__(self, folder: Path, dla: bool = False) -> None:
        self.machine: Machine = make_machine(folder)
        if not dla:
            self.machine.l4t(None)
        with_selftest(self.machine.bundle)
        self.frames = make_frames(folder / "frames")
        self.sockets = folder / "sockets"
        self.configure()

    def configure(self, **keys: object) -> None:
        limits = {"trial_s": 1, "starve_s": 10, "takeover_s": 60, "detector": str(PROGRAMS / "unina-detector")}
        self.machine.policy(**{**limits, **keys})

    def bundle(self, seed: int, blind: bool = False) -> Path:
        """A newer bundle, somewhere."""
        path = self.machine.folder / f"new-{seed}.unina"
        if not path.exists():
            with_selftest(compilable(path, seed), blind)
        return path

    def untested(self, seed: int) -> Path:
        """One without a self-test, which takes its time on a busy machine."""
        return compilable(self.machine.folder / f"untested-{seed}.unina", seed).path

    @contextmanager
    def step(self) -> Iterator[tuple[ServiceProcess, Steps]]:
        """Serves pictures one after the other."""
        ring = self.machine.folder / "frames.ring"
        with FrameRing(ring, 72, 128) as frames, self.serve(f"frames:{ring}") as service:
            with Steps(service, frames) as steps:
                yield service, steps
            assert service.stop() == 0

    def serve(self, source: str = "") -> ServiceProcess:
        """As the unit starts the detector, once `unina-compile --boot` has run."""
        shutil.rmtree(self.sockets, ignore_errors=True)
        self.sockets.mkdir()
        source = source or f"images:{self.frames}?fps=50&loop=1"
        flags = ("--config", self.machine.folder / "detector.toml", "--model", self.machine.links / "detector")
        return ServiceProcess(self.sockets, *flags, "--source", source)

    @property
    def control(self) -> tuple[str, Path]:
        return "--control", self.sockets / "c.sock"

    def update(self) -> dict[str, Any]:
        """`unina-compile update`, which must end well."""
        return self.machine.good("update", *self.control)

    def update_badly(self, code: int = 1) -> str:
        """The same where it must not; returns the reason."""
        return self.machine.bad(code, "update", *self.control)

    def accepted(self, instance: str = "detector") -> str:
        """What the next boot would serve."""
        return (self.machine.state / "current" / instance).resolve(strict=True).name


class Patient:
    """Stands in for a detector that does whatever it is told and never fails: answers at a control socket."""

    def __init__(self, path: Path, link: Path) -> None:
        self.link, self.frames, self.delivering, self.offered = link, 0, True, set[str]()
        self.starves_with: Path | None = None
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(16)
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _starves(self, bundle: Path) -> bool:
        if self.starves_with is None or not bundle.exists():
            return False
        return (bundle / "manifest.json").read_bytes() == (self.starves_with / "manifest.json").read_bytes()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                model = str(self.link.resolve())
                self.frames += self.delivering and not self._starves(Path(model) / "bundle")
                self.offered.add(Path(model).name)
                state = "running" if self.delivering else "source lost"
                said = {"model": model, "frames": self.frames, "reloads_refused": 0, "state": state}
                body = json.dumps(said).encode()
                try:
                    connection.recv(4096)
                    connection.sendall(b"ok %d\n" % len(body) + body)
                except OSError:
                    continue  # who asked was killed
