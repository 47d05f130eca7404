"""Power that fails at any moment of the first boot or of an update: the next boot serves, and what it serves is whole.

The machine is frozen once before the moments that matter; every cut goes on from there. QEMU is killed, so the device's
memory is lost and what its kernel wrote is not: a drive that loses its own cache is not modelled.
"""

import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from machine import Frozen, Machine, SwitchOn
from serving import LOADABLES, install_newer, picture, wait_serving

CUTS = 5
LONG_CUTS = int(os.environ.get("UNINA_DEVICE_CUTS", "100"))
# What the journal says, and how many seconds after it power may fail: all that writes lies in one of these spans.
FIRST_BOOT = (
    ("Starting unina-data-format.service", 3.0),
    ("Mounting data.mount", 2.0),
    ("Starting unina-compile.service", 12.0),
    ("unina-compile: compiling ", 6.0),
    ("unina-compile: compiled ", 1.0),
    ("Starting unina-detector.service", 6.0),
)
UPDATE = (
    ("", 8.0),  # install copies
    ("Starting unina-update.service", 15.0),
    ("unina-compile: compiling ", 6.0),
    ("unina-compile: trying ", 12.0),
    (" and it served well for ", 1.0),
)


@dataclass
class Cuts:
    """What came of them."""

    of: str
    moments: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """from power on to a detection, of each boot after a cut that served"""

    def __str__(self) -> str:
        times = sorted(self.seconds)
        p50, p99 = (times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.99))
        return (
            f"power cuts in {self.of}: {len(self.moments)} cuts, {len(times)} boots that served, "
            f"seconds to serve (emulated): p50 {p50:.1f}, p99 {p99:.1f}\n  " + "\n  ".join(self.moments)
        )


@pytest.fixture(scope="module")
def before_first_boot(switch_on: SwitchOn, tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """With an empty disk."""
    machine = switch_on(name="before-first-boot", append="device.hold")
    machine.wait_log("Starting device-hold.service")
    return machine.freeze(tmp_path_factory.mktemp("before-first-boot"))


def wrong(machine: Machine) -> list[str]:
    """What is not as it was recorded, left over, or served without being whole."""
    program = "python3 -I /usr/lib/device/store_check.py"
    found: list[str] = json.loads(machine.run(f"{program} {LOADABLES}"))
    return found


@dataclass
class Scene:
    """Where power is cut."""

    cuts: Cuts
    frozen: Frozen
    spans: tuple[tuple[str, float], ...]
    update: bool
    switch_on: SwitchOn
    on_a_pc: dict[str, dict[str, Any]]

    def cut_and_boot(self, number: int) -> None:
        """One cut."""
        marker, most = self.spans[number % len(self.spans)]
        after = random.Random(number).uniform(0, most)
        self.cuts.moments.append(f"{after:.2f} s after '{marker.strip()}'")
        first = self.switch_on(name=f"cut-{number}", frozen=self.frozen)
        if self.update:
            install_newer(first, wait=False)
        first.wait_log(marker)
        time.sleep(after)
        first.cut()
        began = time.monotonic()
        second = self.switch_on(first.data, f"after-cut-{number}").wait_agent()
        message = wait_serving(second)
        seconds = time.monotonic() - began
        assert message["detections"] == self.on_a_pc[picture(message)]["detections"]
        assert wrong(second) == []
        assert "/dev/vdb /data ext4" in second.read("/proc/mounts").decode()
        second.cut()
        self.cuts.seconds.append(seconds)
        first.data.unlink()

    def cut_often(self, numbers: range) -> None:
        """Raises with the moment of the cut that was not survived."""
        for number in numbers:
            try:
                self.cut_and_boot(number)
            except AssertionError as error:
                raise AssertionError(f"power cut {number}, {self.cuts.moments[-1]}: {error}") from error


COUNTS = [range(CUTS), pytest.param(range(CUTS, CUTS + LONG_CUTS), marks=pytest.mark.long)]
NAMES = ["a few", "many"]


@pytest.mark.parametrize("numbers", COUNTS, ids=NAMES)
def test_every_boot_after_a_power_cut_at_first_boot_serves(
    numbers: range,
    switch_on: SwitchOn,
    before_first_boot: Frozen,
    on_a_pc: dict[str, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = Scene(Cuts("the first boot"), before_first_boot, FIRST_BOOT, False, switch_on, on_a_pc)
    scene.cut_often(numbers)
    with capsys.disabled():
        print(f"\n{scene.cuts}")
    assert len(scene.cuts.seconds) == len(numbers)


@pytest.mark.parametrize("numbers", COUNTS, ids=NAMES)
def test_every_boot_after_a_power_cut_in_an_update_serves(
    numbers: range,
    switch_on: SwitchOn,
    serving: Frozen,
    on_a_pc: dict[str, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = Scene(Cuts("an update"), serving, UPDATE, True, switch_on, on_a_pc)
    scene.cut_often(numbers)
    with capsys.disabled():
        print(f"\n{scene.cuts}")
    assert len(scene.cuts.seconds) == len(numbers)
