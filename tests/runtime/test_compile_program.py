"""`unina-compile`: what serves afterwards, whatever happens to bundle, versions and trtexec."""

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from compile_machine import Machine, broken_elf, make_machine

L4T = "36.4.3"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def made(machine: Machine) -> dict[str, str]:
    assert machine.serving is not None
    document: dict[str, str] = json.loads((machine.serving / "made.json").read_text())
    return document


def test_the_first_run_compiles_and_the_second_has_nothing_to_do(machine: Machine) -> None:
    first = machine.good()
    assert first["outcome"] == "compiled"
    again = machine.good()
    assert again["outcome"] == "present" and again["served"] == first["served"]
    assert len(machine.compilations) == 1
    assert Path(first["served"]) == machine.serving
    assert (made(machine)["tensorrt"], made(machine)["l4t"], made(machine)["core"]) == ("10.3.0", L4T, "dla0")


def test_an_entry_holds_the_bundle_that_the_loadable_was_made_of(machine: Machine) -> None:
    machine.good()
    entry = machine.serving
    assert entry is not None
    for path in machine.bundle.path.iterdir():
        assert (entry / "bundle" / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in entry.iterdir()} == {"bundle", "loadable.bin", "made.json", "detector.env"}
    assert (entry / "detector.env").read_text() == "UNINA_ACCELERATOR=cudla-hybrid\nUNINA_DLA=0\n"
    for path in [entry, *entry.rglob("*")]:  # another user reads it
        assert path.stat().st_mode & stat.S_IROTH and not path.stat().st_mode & stat.S_IWOTH


@pytest.mark.parametrize("change", ["bundle", "tensorrt", "l4t", "core"])
def test_whatever_a_loadable_depends_on_changes_it_is_compiled_anew(machine: Machine, change: str) -> None:
    before = machine.good()["served"]
    if change == "bundle":
        machine.change_bundle(1)
    elif change == "tensorrt":
        machine.order(number=100700)
    elif change == "l4t":
        machine.l4t(36, "5.0")
    else:
        machine.detector(dla=1)
    after = machine.good()
    assert after["outcome"] == "compiled" and after["served"] != before
    assert len(machine.compilations) == 2
    assert str(machine.serving) == after["served"]


def test_old_entries_go_only_after_the_new_one_stands_and_the_one_before_stays(machine: Machine) -> None:
    first = machine.good()["served"]
    machine.change_bundle(1)
    machine.order(does="refuse")
    machine.bad(1)
    assert machine.entries == {Path(first).name}
    machine.order()
    second = machine.good("--force")["served"]
    assert machine.entries == {Path(first).name, Path(second).name}
    machine.change_bundle(2)
    third = machine.good()["served"]
    assert machine.entries == {Path(second).name, Path(third).name}


def test_going_back_to_the_model_before_compiles_nothing(machine: Machine) -> None:
    first = machine.good()["served"]
    machine.change_bundle(1)
    machine.good()
    machine.change_bundle(0)
    assert machine.good() == {**machine.good(), "outcome": "present", "served": first}
    assert len(machine.compilations) == 2


@pytest.mark.parametrize(
    ("orders", "flags", "says"),
    [
        ({"does": "refuse"}, [], "exit code 1: [11/21/2026-20:00:00] [E] Error[9]: Error Code 9: DLA does not support"),
        ({"does": "hang"}, ["--timeout-s", "2"], "not done after 2 s (timeout_s)"),
        ({"does": "silent"}, [], "it wrote no loadable.bin"),
        ({"does": "die"}, [], "SIGABRT"),
        ({"does": "eat"}, ["--memory-mb", "500"], "exit code 1: MemoryError"),
        ({"does": "fill"}, [], "SIGXFSZ: it wrote more than "),
    ],
    ids=lambda value: value.get("does") if isinstance(value, dict) else None,
)
def test_a_failed_compilation_is_said_and_the_last_good_model_serves_on(
    machine: Machine, orders: dict[str, str], flags: list[str], says: str
) -> None:
    first = machine.good()["served"]
    machine.change_bundle(1)
    machine.order(**orders)
    reason = machine.bad(1, *flags)
    assert says in reason and reason.endswith(f"{Path(first).name} serves on") and "\x1b" not in reason
    assert str(machine.serving) == first
    assert machine.entries == {Path(first).name}
    assert not list(machine.state.glob(".work-*"))


def test_without_a_last_good_model_nothing_serves(machine: Machine) -> None:
    machine.order(does="refuse")
    assert "nothing is compiled that could serve instead" in machine.bad(1)
    assert machine.serving is None


def test_what_trtexec_refused_is_not_tried_at_every_boot(machine: Machine) -> None:
    machine.order(does="refuse")
    machine.bad(1)
    assert "(remembered; unina-compile --force tries again)" in machine.bad(1)
    assert len(machine.compilations) == 1
    machine.order()
    assert machine.good("--force")["outcome"] == "compiled"


def test_of_two_detectors_each_remembers_what_was_refused_for_it(machine: Machine) -> None:
    machine.policy(fallback="gpu-engine")
    machine.order(does="refuse-dla")
    for _ in range(3):
        for instance, core in (("detector-front", "dla0"), ("detector-rear", "dla1")):
            assert machine.good("--instance", instance, "--accelerator", core)["outcome"] == "fallback"
    assert len(machine.compilations) == 3, "each core once, and the engine that they share"


def test_with_more_memory_what_failed_is_tried_again(machine: Machine) -> None:
    machine.order(does="eat")
    assert "exit code 1: MemoryError" in machine.bad(1, "--memory-mb", 500)
    assert "(remembered;" in machine.bad(1, "--memory-mb", 400)
    machine.order()
    assert machine.good("--memory-mb", 1000)["outcome"] == "compiled"


def test_what_passes_is_tried_again_at_the_next_boot(machine: Machine) -> None:
    machine.order(does="hang")
    machine.bad(1, "--timeout-s", 1)
    machine.order()
    assert machine.good()["outcome"] == "compiled"


def test_if_the_dla_refuses_the_gpu_takes_over_where_that_is_wanted(machine: Machine) -> None:
    machine.policy(fallback="gpu-engine")
    machine.order(does="refuse-dla")
    first = machine.good()
    assert first["outcome"] == "fallback" and "DLA does not support" in first["text"]
    assert made(machine)["core"] == "gpu" and "DLA does not support" in made(machine)["instead_of"]
    assert machine.serving is not None and (machine.serving / "engine.plan").read_bytes().startswith(b"ftrt")
    assert "UNINA_ACCELERATOR=tensorrt\n" in (machine.serving / "detector.env").read_text()
    assert [any("--useDLACore" in flag for flag in call["arguments"]) for call in machine.compilations] == [True, False]
    assert machine.good()["outcome"] == "fallback"
    assert len(machine.compilations) == 2


def test_after_a_boot_nothing_serves_before_somebody_has_looked(machine: Machine) -> None:
    machine.good()
    machine.boot()
    assert machine.serving is None
    machine.good()
    assert machine.serving is not None


def test_at_boot_what_was_accepted_serves_at_once_and_a_newer_bundle_waits(machine: Machine) -> None:
    first = machine.good("--boot")
    assert first["outcome"] == "compiled", "with nothing accepted there is nothing to wait for"
    machine.boot()
    machine.change_bundle(1)
    waits = machine.good("--boot")
    assert waits["outcome"] == "waits" and waits["served"] == first["served"]
    assert str(machine.serving) == first["served"] and len(machine.compilations) == 1
    machine.l4t(36, "5.0")
    assert machine.good("--boot")["outcome"] == "compiled", "what serves is of another L4T"


@pytest.mark.parametrize("damage", ["loadable", "bundle", "made"])
def test_a_damaged_entry_is_made_again(machine: Machine, damage: str) -> None:
    served = Path(machine.good()["served"])
    path = {
        "loadable": served / "loadable.bin",
        "bundle": served / "bundle" / "model.onnx",
        "made": served / "made.json",
    }
    content = bytearray(path[damage].read_bytes())
    content[len(content) // 2] ^= 1
    path[damage].write_bytes(content)
    again = machine.good()
    assert again["outcome"] == "compiled" and (served / "loadable.bin").read_bytes().startswith(b"UNINASIL")
    assert machine.good()["outcome"] == "present"


def test_on_a_machine_without_a_dla_there_is_nothing_to_compile(machine: Machine) -> None:
    machine.l4t(None)
    machine.trtexec.unlink()
    report = machine.good()
    assert report["outcome"] == "host" and "nothing to compile" in report["text"]
    assert machine.serving is not None
    assert (machine.serving / "detector.env").read_text() == "UNINA_ACCELERATOR=host\nUNINA_DLA=0\n"
    assert (machine.serving / "bundle" / "host.loadable").exists()


def test_the_host_accelerator_never_stands_in_for_a_dla(machine: Machine) -> None:
    machine.detector(accelerator="host")
    assert machine.good()["outcome"] == "host"
    machine.detector()
    machine.order(does="refuse")
    machine.bad(1)
    assert machine.serving is None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda m: m.trtexec.unlink(), "no such program; install TensorRT's trtexec"),
        (lambda m: broken_elf(m.trtexec), "trtexec: cannot be run: Exec format error; install"),
        (lambda m: m.order(number=0), "state it with --tensorrt-version"),
        (lambda m: (m.folder / "nv_tegra_release").write_text("?"), "does not begin like"),
        (lambda m: (m.folder / "detector.toml").write_text("bundle ="), "detector.toml"),
        (lambda m: m.detector(dla=2), "dla: 2 is not 0, 1 or both"),
        (lambda m: m.detector(accelerator="npu"), "accelerator: 'npu' is not one of"),
        (lambda m: m.detector(accelerator="cudla-standalone"), "cudla-standalone is not served by the units yet; use"),
        (lambda m: m.detector(accelerator="tensorrt", engine_on="dla0"), "engine_on"),
        (lambda m: m.policy(falback="fail"), "falback: no such key"),
        (lambda m: m.policy(timeout_s="1"), "timeout_s"),
        (lambda m: m.policy(fallback="host"), "fallback: 'host' is not one of"),
        (lambda m: m.detector(bundle=str(m.folder / "none.unina")), "no such bundle"),
        (lambda m: (m.detector(accelerator="cudla-hybrid"), m.l4t(None)), "no Jetson"),
    ],
)
def test_what_is_missing_is_named_and_the_exit_code_is_2(machine: Machine, damage: object, says: str) -> None:
    assert callable(damage)
    damage(machine)
    assert says in machine.bad(2)


def test_a_detector_s_name_that_leads_elsewhere_is_refused_in_one_line(machine: Machine) -> None:
    assert "'../x': not a name for a detector" in machine.bad(2, "--instance", "../x")


def test_trtexec_sees_nothing_of_our_environment_and_only_the_bundle(machine: Machine) -> None:
    machine.order(number=100700)
    machine.good()
    call = machine.compilations[0]
    assert set(call["environment"]) <= {"PATH", "HOME", "TMPDIR", "LC_ALL"}
    assert Path(call["cwd"]).parent == machine.state
    assert call["bundle"] == sorted(path.name for path in machine.bundle.path.iterdir())
    assert call["calibration"] == "TRT-100700-EntropyCalibration2"


def test_a_dry_run_says_what_would_be_done_and_does_nothing(machine: Machine) -> None:
    document = machine.good("--dry-run")
    assert document["arguments"][0] == str(machine.trtexec) and "--buildDLAStandalone" in document["arguments"]
    assert document["compiled"] is False and document["l4t"] == L4T
    assert machine.compilations == [] and not machine.state.exists()


def test_two_detectors_share_what_they_have_in_common_and_keep_their_own(machine: Machine) -> None:
    shared = machine.good()["served"]
    assert machine.good("--instance", "detector-front")["served"] == shared
    rear = machine.good("--instance", "detector-rear", "--accelerator", "dla1")["served"]
    assert machine.entries == {Path(shared).name, Path(rear).name}
    machine.change_bundle(1)
    machine.good()
    front = (machine.state / "current" / "detector-front").resolve(strict=True)
    assert str(front) == shared


@pytest.mark.parametrize(("dla", "flag"), [("0", "0"), (1, "1"), ("both", "0")])
def test_the_core_is_that_of_the_detector(machine: Machine, dla: object, flag: str) -> None:
    machine.detector(dla=dla)
    machine.good()
    assert f"--useDLACore={flag}" in machine.compilations[0]["arguments"]
    assert machine.serving is not None
    assert (machine.serving / "detector.env").read_text().endswith(f"UNINA_DLA={dla}\n")


def test_who_waits_for_another_run_says_so(machine: Machine) -> None:
    machine.good()
    with (machine.state / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            machine.command, cwd=machine.folder, env=machine.environment, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert "waiting for another unina-compile" in process.stderr.readline()
    assert process.wait(60) == 0
    process.stderr.close()


def test_systemd_is_told_what_goes_on_and_how_it_ended(machine: Machine) -> None:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(machine.folder / "notify"))
    channel.settimeout(10)
    environment = {**machine.environment, "NOTIFY_SOCKET": str(machine.folder / "notify")}
    subprocess.run(machine.command, cwd=machine.folder, env=environment, check=True, capture_output=True, timeout=60)
    told = []
    while not told or "compiled" not in told[-1]:
        told.append(channel.recv(4096).decode())
    assert all(line.startswith("STATUS=") and "\n" not in line for line in told)
    assert any("compiling tiny.unina for dla0, TensorRT 10.3.0, L4T 36.4.3" in line for line in told)
    channel.close()


def test_sigterm_ends_trtexec_and_leaves_nothing_behind(machine: Machine) -> None:
    machine.order(does="hang")
    process = subprocess.Popen(
        machine.command, cwd=machine.folder, env=machine.environment, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 30
    while not machine.compilations and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert process.stderr is not None
    process.stderr.close()
    assert not list(machine.state.glob(".work-*"))
    cwd = machine.compilations[0]["cwd"]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            assert os.readlink(folder / "cwd").removesuffix(" (deleted)") != cwd  # noqa: PTH115 (text is compared)
        except OSError:
            continue
