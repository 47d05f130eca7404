"""From power to detections: the model is compiled once, before the detector, and detects as it does on a PC."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boot_stages import BootStages, boot_stages
from device_image import BUNDLE, PICTURE_COUNT, DeviceImage
from installed_system import COMPILED, CONFIGURATION, install_system, stage_files
from machine import Machine, SwitchOn
from serving import COMPILER, DETECTOR, RING, log_of, messages, picture, wait_serving

from unina_runtime.detection_ring import DetectionRing


@dataclass
class Booted:
    """A device that serves, and what it said on the way."""

    machine: Machine
    stages: BootStages
    compiler: str
    status: str


def boot(machine: Machine) -> Booted:
    machine.wait_agent()
    wait_serving(machine)
    machine.until(lambda: "fps" in machine.show(DETECTOR, "StatusText")["StatusText"], "a status with fps")
    status = machine.run(f"systemctl status --no-pager {DETECTOR} {COMPILER}")
    return Booted(machine, boot_stages(machine), log_of(machine, COMPILER), status)


@pytest.fixture(scope="module")
def first(switch_on: SwitchOn) -> Booted:
    return boot(switch_on(name="first-boot"))


@pytest.fixture(scope="module")
def second(first: Booted, switch_on: SwitchOn) -> Booted:
    """Switched off in order, and on again."""
    first.machine.switch_off()
    return boot(switch_on(first.machine.data, "second-boot"))


def test_what_is_installed_is_what_the_packages_are_compared_with(
    first: Booted, image: DeviceImage, tmp_path: Path
) -> None:
    """(tests/layers/test_packages.py compares the same list with those of the recipe.)"""
    assert {*image.installed} == {*stage_files(install_system(tmp_path)), *COMPILED, CONFIGURATION}
    listed = first.machine.run(f"ls {' '.join(image.installed)}").split()
    assert {*listed} == {*image.installed}


def test_the_model_is_compiled_once_and_before_the_detector_starts(first: Booted) -> None:
    assert first.compiler.count("compiling cones.unina for dla0") == 1
    assert "compiled cones.unina for dla0, TensorRT 10.3.0, L4T 36.4.3" in first.compiler
    assert first.stages.compiler_ended <= first.stages.detector_started
    assert first.machine.show(DETECTOR, "NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}
    assert first.machine.run("readlink -f /var/lib/unina/bundles/cones.unina").strip() == BUNDLE


def test_systemctl_status_shows_rate_times_and_drops(first: Booted) -> None:
    assert re.search(
        r'Status: "[\d.]+ fps · dla0 [\d.]+ ms p99 [\d.]+ · \d+ drops? · \d+ detections?"', first.status
    ), first.status
    assert "Active: active (running)" in first.status
    assert "Active: active (exited)" in first.status


def test_detections_on_the_socket_are_those_of_a_pc_value_for_value(
    first: Booted, on_a_pc: dict[str, dict[str, Any]]
) -> None:
    seen = set()
    for message in messages(first.machine, 3 * PICTURE_COUNT):
        for key in ("width", "height", "detections"):
            assert message[key] == on_a_pc[picture(message)][key], picture(message)
        seen.add(picture(message))
    assert seen == set(on_a_pc)


def test_detections_in_the_ring_are_those_of_the_socket(first: Booted, tmp_path: Path) -> None:
    by_frame = {message["frame"]: message for message in messages(first.machine, PICTURE_COUNT)}
    (tmp_path / "ring").write_bytes(first.machine.read(RING))
    compared = 0
    with DetectionRing(tmp_path / "ring") as ring:
        for number in range(max(0, ring.written - 60), ring.written):
            one = ring.read(number)
            if one is None or one.frame not in by_frame:
                continue
            found = by_frame[one.frame]["detections"]
            assert np.array_equal(one.detections.boxes, np.array([d["box"] for d in found], np.float32))
            assert np.array_equal(one.detections.scores, np.array([d["score"] for d in found], np.float32))
            assert [ring.classes[c] for c in one.detections.classes] == [d["class"] for d in found]
            compared += 1
    assert compared == PICTURE_COUNT


def test_no_id_of_a_picture_is_lost_or_given_twice(first: Booted) -> None:
    found = messages(first.machine, 40)
    for before, after in pairwise(found):
        assert after["frame"] - before["frame"] == 1 + after["drops"] - before["drops"]


def test_the_second_boot_compiles_nothing(second: Booted, on_a_pc: dict[str, dict[str, Any]]) -> None:
    assert "compiling" not in second.compiler
    assert "already compiled: cones.unina for dla0" in second.compiler
    message = messages(second.machine, 1)[0]
    assert message["detections"] == on_a_pc[picture(message)]["detections"]


def test_no_unit_of_ours_or_of_the_system_failed(first: Booted, second: Booted) -> None:
    """(first has ended; its journal says what failed while it ran.)"""
    assert second.machine.run("systemctl list-units --failed --plain --no-legend") == ""
    assert "Failed with result" not in first.machine.journal


def test_boot_to_first_detection_is_told_by_stage(
    first: Booted, second: Booted, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seconds of an emulation, which say nothing of any real machine: only where time goes."""
    with capsys.disabled():
        for name, booted in (("first boot", first), ("second boot", second)):
            print(f"\n{name}, emulated: {booted.stages}")
    for booted in (first, second):
        assert all(seconds >= 0 for seconds in booted.stages.parts.values())
    # What the stand-in takes for it (orders in device_image.py) must be found where it was spent
    assert first.stages.parts["compile"] >= 3
