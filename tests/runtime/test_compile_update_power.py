"""Power may fail at any moment of an update: every boot after it serves, the old model or the new, whole."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_compile_power import KILLED
from update_car import Car, Patient

CUTS = 5


def forked(car: Car, words: tuple[object, ...], before: Callable[[], None] = lambda: None) -> int:
    """Process of a run, in which `before` has been called."""
    process = os.fork()
    if process == 0:
        code = 99
        try:
            before()
            code = car.machine.run(*words).returncode
        finally:
            os._exit(code)
    return process


def ended(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def end_at(where: Any, call: str, number: int) -> None:
    """Lets this process end at the n-th call from now on."""
    real, left = getattr(where, call), [number]

    def counted(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os._exit(KILLED)
        return real(*arguments, **options)

    setattr(where, call, counted)


def boot(car: Car) -> Path:
    """What the next boot serves, which is whole: its copy of the bundle is verified here once more."""
    car.machine.boot()
    report = car.machine.good("--boot")
    served = Path(report["served"])
    assert served == car.machine.serving
    car.machine.good("--dry-run", "--bundle", served / "bundle")
    return served


CALLS = {"rename": Path, "fsync": os, "symlink_to": Path, "unlink": Path, "rmtree": shutil}


@pytest.mark.parametrize("call", CALLS)
def test_cut_at_every_change_of_the_disk_while_a_bundle_is_installed(tmp_path: Path, call: str) -> None:
    car = Car(tmp_path)
    old = boot(car)
    seeds = range(1, 60)
    for number in seeds:
        new = car.bundle(1)
        code = ended(forked(car, ("install", new), partial(end_at, CALLS[call], call, number)))
        assert code in (0, KILLED)
        car.machine.boot()
        car.machine.run("--boot")  # exit code 2 while a folder that was put there by hand steps aside
        assert car.machine.serving == old
        place = car.machine.bundle.path
        if place.exists():
            car.machine.good("--dry-run", "--bundle", place)
        if code == 0:
            break
    assert code == 0 and number > 1
    assert json.loads((place / "manifest.json").read_text()) == json.loads((new / "manifest.json").read_text())


@pytest.mark.parametrize("call", CALLS)
def test_cut_at_every_change_of_the_disk_while_a_model_is_tried_out(tmp_path: Path, call: str) -> None:
    car = Car(tmp_path)
    old = boot(car)
    car.machine.good("install", car.bundle(1))
    car.sockets.mkdir()
    with Patient(car.sockets / "c.sock", car.machine.links / "detector"):
        for number in range(1, 60):
            words = ("update", *car.control)
            code = ended(forked(car, words, partial(end_at, CALLS[call], call, number)))
            assert code in (0, KILLED)
            served = boot(car)
            if code == 0:
                break
            (car.machine.state / "trial" / "detector").unlink(missing_ok=True)  # or the third cut ends it
    assert number > 1 and served != old and car.accepted() == served.name
    assert not list(car.machine.state.glob(".work-*"))


@pytest.mark.parametrize(
    ("seed", "cuts"),
    [(0, CUTS), (1, CUTS), *(pytest.param(seed, 20, marks=pytest.mark.long) for seed in range(2, 7))],
)
def test_cut_at_random_moments_every_boot_reaches_a_detector_that_detects(tmp_path: Path, seed: int, cuts: int) -> None:
    car = Car(tmp_path)
    draw = random.Random(seed)
    served, killed = boot(car), 0
    for number in range(1, cuts + 1):
        new = car.bundle(number)
        with car.serve().wait_ready() as service:
            assert service.status()["model"] == str(served)
            began = time.monotonic()
            process = forked(car, ("install", new))
            end = began + draw.uniform(0, 3)
            while time.monotonic() < end:
                if os.waitpid(process, os.WNOHANG)[0]:
                    process = forked(car, ("update", *car.control))
                    break
                time.sleep(0.001)
            time.sleep(max(0.0, end - time.monotonic()))
            os.kill(process, signal.SIGKILL)
            killed += ended(process) == -signal.SIGKILL
            service.process.kill()
        former, served = served, boot(car)
        assert served == former or (served / "bundle" / "manifest.json").read_bytes() in {
            (car.bundle(one) / "manifest.json").read_bytes() for one in range(1, number + 1)
        }
    assert killed > 0
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(cuts))
        car.update()
        assert len(list(service.messages(service.connect(), 3))) == 3
