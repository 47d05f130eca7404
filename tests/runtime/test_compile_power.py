"""Power may fail at any moment: `unina-compile` and its trtexec are killed, and what is left is whole or not there."""

import json
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from compile_machine import Machine, make_machine

CUTS = 5
KILLED = 137


def forked(machine: Machine, before: Callable[[], None]) -> int:
    """Process of a run, in which `before` has been called: a fork, since a new Python takes longer than the run."""
    process = os.fork()
    if process == 0:
        code = 99
        try:
            before()
            code = machine.run("--tensorrt-version", "10.3.0").returncode
        finally:
            os._exit(code)
    return process


def cut(machine: Machine, after_s: float) -> bool:
    """Runs it for so long. Returns whether it was killed, and not done before."""
    process = forked(machine, lambda: None)
    end = time.monotonic() + after_s
    while time.monotonic() < end:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def require_whole(machine: Machine, loadables: dict[str, bytes]) -> None:
    """Every entry is whole, and what serves is one of them."""
    for made in machine.state.glob("[!.]*/made.json"):
        document = json.loads(made.read_text())
        assert (made.parent / "loadable.bin").read_bytes() == loadables[document["bundle_sha256"][:32]], made
        for name, file in json.loads((made.parent / "bundle" / "manifest.json").read_text())["files"].items():
            assert (made.parent / "bundle" / name).stat().st_size == file["bytes"]
    for link in machine.state.glob("current/*"):
        assert (link.resolve(strict=True) / "made.json").exists()


def reference(machine: Machine, loadables: dict[str, bytes]) -> None:
    """What a run that nobody disturbs makes of the bundle."""
    served = Path(machine.good("--state", machine.folder / "reference")["served"])
    loadables[served.name[:32]] = (served / "loadable.bin").read_bytes()


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_nothing_half_done_is_ever_seen(tmp_path: Path, seed: int) -> None:
    machine = make_machine(tmp_path)
    loadables: dict[str, bytes] = {}
    reference(machine, loadables)
    began = time.monotonic()
    machine.order(seconds=0.2)
    machine.good()
    whole_s = time.monotonic() - began
    draw = random.Random(seed)
    killed = 0
    for number in range(CUTS):
        machine.change_bundle(1 + number % 3)
        reference(machine, loadables)
        former = machine.serving
        killed += cut(machine, draw.uniform(0.0, 1.1 * whole_s))
        require_whole(machine, loadables)
        assert machine.serving is not None
        if machine.serving != former:  # it was done: then with the new one
            assert json.loads((machine.serving / "bundle" / "manifest.json").read_text()) == machine.bundle.manifest
    assert killed > 0
    done = machine.good()
    require_whole(machine, loadables)
    assert json.loads((Path(done["served"]) / "bundle" / "manifest.json").read_text()) == machine.bundle.manifest
    assert not list(machine.state.glob(".work-*"))


@pytest.mark.parametrize("call", ["rename", "fsync", "symlink_to", "rmtree"])
def test_killed_at_every_call_that_changes_the_disk(tmp_path: Path, call: str) -> None:
    """Not by chance: the process ends at the n-th of these calls, for every n until it is done."""
    machine = make_machine(tmp_path)
    loadables: dict[str, bytes] = {}
    reference(machine, loadables)
    machine.good()
    machine.change_bundle(1)
    reference(machine, loadables)
    where = {"fsync": os, "rmtree": shutil}.get(call, Path)

    def end_at(number: int) -> None:
        real, left = getattr(where, call), [number]

        def counted(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os._exit(KILLED)
            return real(*arguments, **options)

        setattr(where, call, counted)

    for number in range(1, 60):
        code = os.waitstatus_to_exitcode(os.waitpid(forked(machine, partial(end_at, number)), 0)[1])
        require_whole(machine, loadables)
        assert machine.serving is not None
        if code == 0:
            break
        assert code == KILLED
    assert code == 0 and number > 1
    assert json.loads((machine.serving / "bundle" / "manifest.json").read_text()) == machine.bundle.manifest


def test_a_disk_that_fills_up_while_the_bundle_is_copied_leaves_the_last_good_model(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    served = machine.good()["served"]
    machine.change_bundle(1)

    def fill() -> None:  # what a full disk is to write(2), but with another error number
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

    assert os.waitstatus_to_exitcode(os.waitpid(forked(machine, fill), 0)[1]) == 1
    assert str(machine.serving) == served
    assert not list(machine.state.glob(".work-*")) and len(machine.compilations) == 1
