"""A compiler that fails, hangs, eats memory or finds no disk: it is said, and the model that served serves on."""

import pytest
from machine import Machine
from serving import (
    COMPILER,
    DETECTOR,
    LOADABLES,
    install_newer,
    messages,
    new_bundle,
    order,
    wait_serving,
    wait_updated,
)

FAULTS = {
    "refuse": "DLA does not support",
    "hang": "not done after 20 s (timeout_s)",
    "die": "SIGABRT",
    "fill": "SIGXFSZ: it wrote more than ",
}


@pytest.mark.parametrize("does", FAULTS)
def test_a_compiler_that_fails_leaves_the_old_model_in_service(device: Machine, does: str) -> None:
    device.run("echo timeout_s = 20 >> /etc/unina/compile.toml")
    order(device, does=does)
    install_newer(device)
    said = wait_updated(device)
    assert FAULTS[does] in said and "serves on" in said
    assert device.show("unina-update", "ActiveState")["ActiveState"] == "failed"
    assert messages(device, 1)[0]["detections"]
    assert device.show(DETECTOR, "NRestarts")["NRestarts"] == "0"


def test_a_compiler_that_takes_all_memory_is_ended_and_the_old_model_serves_on(device: Machine) -> None:
    device.run("mkdir -p /run/systemd/system/unina-update.service.d")
    device.write("/run/systemd/system/unina-update.service.d/memory.conf", "[Service]\nMemoryMax=120M\n")
    device.run("systemctl daemon-reload")
    order(device, does="devour")
    install_newer(device)
    said = wait_updated(device)
    assert "serves on" in said and "memory" in said
    assert messages(device, 1)[0]["detections"]
    assert device.show(DETECTOR, "NRestarts")["NRestarts"] == "0"


def test_a_full_disk_is_told_and_the_old_model_serves_on(device: Machine) -> None:
    path = new_bundle(device, "newer", "newer")
    device.run("head -c 1G /dev/zero > /data/full || true")
    said = device.ask(200, run=f"unina-compile install {path}", timeout=190)
    assert said["code"] == 1 and said["out"].startswith("unina-compile: ") and said["out"].count("\n") == 1, said
    assert messages(device, 1)[0]["detections"]
    device.run("rm /data/full")
    device.run(f"unina-compile install {path}")
    assert "it served well for 8" in wait_updated(device)


def test_on_a_disk_that_became_read_only_what_was_compiled_serves_and_nothing_new_is_taken(device: Machine) -> None:
    device.run("echo u > /proc/sysrq-trigger; sleep 1")  # all of them, as errors=remount-ro does it to one
    assert device.code("touch /data/x") != 0
    device.run(f"systemctl restart {COMPILER} && systemctl restart {DETECTOR}", 200)
    assert "already compiled" in device.show(COMPILER, "StatusText")["StatusText"]
    assert wait_serving(device)["detections"]
    path = new_bundle(device, "newer", "newer")
    said = device.ask(200, run=f"unina-compile install {path}", timeout=190)
    assert said["code"] != 0 and "Read-only file system" in said["out"], said
    assert messages(device, 1)[0]["detections"]


def test_with_nothing_compiled_before_a_refusal_is_a_clear_state_and_a_better_compiler_ends_it(device: Machine) -> None:
    device.run(f"systemctl stop {DETECTOR} {COMPILER} && rm -r {LOADABLES}/* /run/unina-compile/*")
    order(device, does="refuse")
    assert device.code(f"systemctl start {COMPILER}") != 0
    assert "nothing is compiled that could serve instead" in device.show(COMPILER, "StatusText")["StatusText"]
    assert device.code(f"systemctl start {DETECTOR}") != 0
    said = device.ask(run=f"systemctl status --no-pager {DETECTOR}", timeout=60)["out"]
    assert "AssertPathExists=/run/unina-compile/detector/detector.env was not met" in said
    order(device, number=100301)
    device.run(f"systemctl start {COMPILER} && systemctl start {DETECTOR}", 200)
    assert wait_serving(device)["detections"]


def test_the_configured_fallback_is_compiled_and_said_at_every_run(device: Machine) -> None:
    """The engine itself needs TensorRT, which no stand-in here has: that it serves is not shown."""
    device.run("echo 'fallback = \"gpu-engine\"' >> /etc/unina/compile.toml")
    device.run(f"systemctl stop {DETECTOR} {COMPILER} && rm -r {LOADABLES}/* /run/unina-compile/*")
    order(device, does="refuse-dla")
    for _ in range(2):
        device.run(f"systemctl restart {COMPILER}", 200)
        assert "GPU engine in place of cones.unina for dla0" in device.show(COMPILER, "StatusText")["StatusText"]
    assert "UNINA_ACCELERATOR=tensorrt" in device.read("/run/unina-compile/detector/detector.env").decode()
