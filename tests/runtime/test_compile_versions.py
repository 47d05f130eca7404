"""A loadable serves only the TensorRT and the L4T that it was compiled with, whatever else goes wrong."""

import errno
import os
from pathlib import Path

import pytest
from compile_machine import Machine, broken_elf, make_machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


@pytest.mark.parametrize("change", ["tensorrt", "l4t"])
def test_a_loadable_of_another_version_never_serves_not_even_as_the_last_good(machine: Machine, change: str) -> None:
    machine.good()
    machine.order(does="refuse", number=100700 if change == "tensorrt" else 100300)
    machine.l4t(36, "5.0" if change == "l4t" else "4.3")
    assert "nothing is compiled that could serve instead" in machine.bad(1)
    assert machine.serving is None


def test_a_loadable_of_another_l4t_is_withdrawn_though_trtexec_cannot_be_run(machine: Machine) -> None:
    machine.good()
    machine.l4t(36, "5.0")
    broken_elf(machine.trtexec)
    assert "nothing is compiled that could serve instead" in machine.bad(2)
    assert machine.serving is None


def test_a_loadable_of_another_l4t_is_withdrawn_though_the_disk_is_full(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.good()
    machine.l4t(36, "5.0")

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("unina_runtime.compile.store.tempfile.mkdtemp", full)
    assert "No space left on device; nothing is compiled that could serve instead" in machine.bad(1)
    assert machine.serving is None


def test_of_another_l4t_what_was_accepted_is_made_anew_where_the_wanted_bundle_is_bad(machine: Machine) -> None:
    first = Path(machine.good()["served"])
    machine.change_bundle(1)
    (machine.bundle.path / "model.onnx").write_bytes(b"?")
    machine.l4t(36, "5.0")
    machine.boot()
    assert machine.bad(1, "--boot").endswith("serves, made anew of the bundle that was accepted")
    serving = machine.serving
    assert serving is not None and serving.name == first.name.replace("36.4.3", "36.5.0")
    assert machine.bad(1, "--boot").endswith(f"{serving.name} serves on") and len(machine.compilations) == 2


def test_of_another_l4t_what_was_rolled_back_does_not_come_back(machine: Machine) -> None:
    first = Path(machine.good()["served"])
    machine.change_bundle(1)
    machine.good()
    machine.good("rollback")
    machine.l4t(36, "5.0")
    machine.boot()
    assert "rolled back by hand (remembered;" in machine.bad(1, "--boot")
    assert machine.serving is not None and machine.serving.name == first.name.replace("36.4.3", "36.5.0")


def test_back_on_the_old_system_its_loadable_serves_again(machine: Machine) -> None:
    first = machine.good()["served"]
    machine.l4t(36, "5.0")
    machine.good()
    machine.l4t(36)
    again = machine.good()
    assert again["outcome"] == "present" and again["served"] == first


@pytest.mark.parametrize("version", ["10.-3.0", "10.3", "10.3.0.1", "1_0.3.0", "10.3.0 ", "10.300.0"])
def test_what_is_not_a_version_of_tensorrt_is_not_taken_for_one(machine: Machine, version: str) -> None:
    with pytest.raises(SystemExit) as ended:
        machine.run("--tensorrt-version", version)
    assert ended.value.code == 2 and not machine.state.exists()
