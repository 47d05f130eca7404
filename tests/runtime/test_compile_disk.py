"""`unina-compile` on a disk that is full, read-only or no folder at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compile_machine import Machine, make_machine

from unina_runtime.compile.store import Store


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def test_a_full_disk_is_noticed_before_anything_is_written(machine: Machine) -> None:
    reason = machine.bad(1, "--min-free-mb", 1 << 29)
    assert "MiB are free" in reason and "min_free_mb" in reason
    assert machine.compilations == [] and machine.entries == set()


def test_a_state_directory_that_cannot_be_written_is_said_in_one_line(machine: Machine) -> None:
    machine.state.write_text("a file")
    assert f"{machine.state}: cannot be written" in machine.bad(2)


@pytest.fixture
def read_only(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """As ext4 leaves a disk that it found damaged. (Permissions hold nobody up who runs tests as root.)"""
    real = os.open

    def opened(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and Path(path).is_relative_to(machine.state):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *rest, **options)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it tries to write")

    def cut() -> None:
        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(Store, "serve", refuse)

    return cut


def test_on_a_read_only_disk_the_last_good_model_serves_and_it_is_said(
    machine: Machine, read_only: Callable[[], None]
) -> None:
    served = Path(machine.good()["served"])
    machine.boot()
    machine.change_bundle(1)
    read_only()
    reason = machine.bad(2)
    assert "Read-only file system" in reason and reason.endswith(f"{served.name} serves on")
    assert machine.serving == served


def test_on_a_read_only_disk_what_was_made_for_another_l4t_does_not_serve(
    machine: Machine, read_only: Callable[[], None]
) -> None:
    machine.good()
    machine.boot()
    machine.l4t(36, "5.0")
    read_only()
    assert "nothing is compiled that could serve instead" in machine.bad(2)
    assert machine.serving is None
