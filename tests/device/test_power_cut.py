"""Power that fails at any moment of the first boot or of an update: the next boot serves, and what it serves is whole.

The machine is frozen once at each of the moments that matter, and every cut goes on from there. QEMU is killed, so the
device's memory is lost and what its kernel wrote is not: a drive that loses its own cache is not modelled.
"""

import json
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from machine import COMMAND_S, Frozen, Machine, SwitchOn
from serving import LOADABLES, new_bundle, picture, wait_serving

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


@dataclass(frozen=True)
class Scene:
    """Where power is cut."""

    name: str
    start: Frozen
    spans: tuple[tuple[str, float], ...]
    begin: str = ""
    """command that sets it going"""


@pytest.fixture(scope="module")
def first_boot(switch_on: SwitchOn, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """With an empty disk."""
    machine = switch_on(name="before-first-boot", append="device.hold")
    machine.wait_log("Starting device-hold.service")
    return Scene("the first boot", machine.freeze(tmp_path_factory.mktemp("before-first-boot")), FIRST_BOOT)


@pytest.fixture(scope="module")
def update(serving: Frozen, switch_on: SwitchOn, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    machine = switch_on(name="before-update", frozen=serving)
    install = f"unina-compile install {new_bundle(machine, 'newer', 'newer')}"
    return Scene("an update", machine.freeze(tmp_path_factory.mktemp("before-update")), UPDATE, install)


def wrong(machine: Machine) -> list[str]:
    """What is not as it was recorded, left over, or served without being whole."""
    program = "python3 -I /usr/lib/device/store_check.py"
    found: list[str] = json.loads(machine.run(f"{program} {LOADABLES}"))
    return found


@dataclass
class PowerCuts:
    """Cuts power in a scene, and asks whether the next boot serves."""

    scene: Scene
    switch_on: SwitchOn
    on_a_pc: dict[str, dict[str, Any]]
    folder: Path
    cuts: Cuts = field(init=False)
    frozen: dict[str, Frozen] = field(default_factory=dict)
    """by what the journal had just said"""

    def __post_init__(self) -> None:
        self.cuts = Cuts(self.scene.name)

    def just_after(self, marker: str) -> Machine:
        """A machine that goes on from where its journal said this."""
        if not marker:
            return self.begun("to-be-cut")
        if marker not in self.frozen:
            machine = self.begun("to-be-frozen")
            machine.wait_log(marker)
            place = self.folder / str(len(self.frozen))
            place.mkdir()
            self.frozen[marker] = machine.freeze(place)
        return self.switch_on(name="to-be-cut", frozen=self.frozen[marker])

    def begun(self, name: str) -> Machine:
        machine = self.switch_on(name=name, frozen=self.scene.start)
        if self.scene.begin:
            machine.begin(run=self.scene.begin, timeout=COMMAND_S)
        return machine

    def cut_and_boot(self, number: int) -> None:
        """One cut."""
        marker, most = self.scene.spans[number % len(self.scene.spans)]
        after = random.Random(number).uniform(0, most)
        self.cuts.moments.append(f"{after:.2f} s after '{marker.strip()}'")
        first = self.just_after(marker)
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

    def cut_often(self, numbers: range) -> Cuts:
        """Raises with the moment of the cut that was not survived."""
        for number in numbers:
            try:
                self.cut_and_boot(number)
            except AssertionError as error:
                raise AssertionError(f"power cut {number}, {self.cuts.moments[-1]}: {error}") from error
        return self.cuts


COUNTS = [range(CUTS), pytest.param(range(CUTS, CUTS + LONG_CUTS), marks=pytest.mark.long)]


@pytest.mark.parametrize("numbers", COUNTS, ids=["a few", "many"])
@pytest.mark.parametrize("name", ["first_boot", "update"])
def test_every_boot_after_a_power_cut_serves(
    name: str,
    numbers: range,
    request: pytest.FixtureRequest,
    switch_on: SwitchOn,
    on_a_pc: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cuts = PowerCuts(request.getfixturevalue(name), switch_on, on_a_pc, tmp_path).cut_often(numbers)
    with capsys.disabled():
        print(f"\n{cuts}")
    assert len(cuts.seconds) == len(numbers)
