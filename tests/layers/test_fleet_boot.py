"""The first boot of a new root is confirmed by a detector that serves, and by nothing else. With stand-ins."""

import os
import subprocess
from pathlib import Path

import pytest
from parsed import ROOT

LAYER = ROOT / "meta-unina-dla" / "dynamic-layers" / "swupdate"
CONFIRM = LAYER / "recipes-ai" / "unina-fleet" / "files" / "confirm-boot"
SWITCH = LAYER / "recipes-ai" / "images" / "unina-swu" / "switch-root"
# Each writes what it was asked to `calls`; answers lie in files, of which the last line is given for ever.
STAND_INS = {
    "nvbootctrl": 'echo "nvbootctrl $*" >> calls; [ "$1" != get-current-slot ] || cat slot',
    "systemctl": (
        'echo "systemctl $*" >> calls\n'
        '[ "$1" = show ] || exit 0\n'
        'printf "%s\\n\\n%s\\n" "$(cat compile)" "$(cat detector)"'
    ),
    "unina-detector": ('code=$(head -n 1 serves)\n[ "$(wc -l < serves)" -le 1 ] || sed -i 1d serves\nexit "$code"'),
    "sleep": "echo sleep >> calls",
    "sync": "echo sync >> calls",
    "efivar": 'echo "efivar $*" >> calls; while [ "$1" != -f ]; do shift; done; cp "$2" written',
    "oe4t-set-uefi-OSIndications": "echo armed >> calls",
}


class Car:
    """A folder with the stand-ins in PATH, and what the scripts did in it."""

    def __init__(self, folder: Path, slot: int = 1) -> None:
        self.folder = folder
        self.fleet = folder / "fleet"
        self.trial = folder / "unina-trial"
        (folder / "bin").mkdir()
        for name, text in STAND_INS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        self.says(slot=[slot], compile=["active"], detector=["active"], serves=[0])

    def says(self, **answers: list[object]) -> None:
        for name, lines in answers.items():
            (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    def run(self, script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "calls").write_text("")
        settings = {
            "UNINA_FLEET_DIR": str(self.fleet),
            "UNINA_TRIAL": str(self.trial),
            "UNINA_HEALTHY_S": "3",
            "UNINA_TRIAL_S": "12",
            **environment,
        }
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(script)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=self.folder,
            env={"PATH": path, "TMPDIR": str(self.folder), **settings},
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    @property
    def slept(self) -> int:
        return self.calls.count("sleep")

    @property
    def confirmed(self) -> bool:
        return "nvbootctrl verify" in self.calls

    @property
    def went_back(self) -> bool:
        return self.calls[-2:] == ["nvbootctrl set-active-boot-slot 0", "systemctl reboot"]

    def verdict(self) -> str | None:
        path = self.fleet / "verdict"
        return path.read_text().strip() if path.exists() else None


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)


@pytest.fixture
def trial(car: Car) -> Car:
    """Slot 1 was written by the fleet's server, and runs for the first time."""
    car.trial.write_text("1 server\n")
    return car


def test_an_ordinary_boot_is_confirmed_at_once_even_if_nothing_serves(car: Car) -> None:
    """A broken camera must never make a car change its system."""
    car.says(serves=[1], detector=["failed"])
    assert car.run(CONFIRM).returncode == 0
    assert car.confirmed and car.slept == 0


def test_a_new_root_is_confirmed_once_its_detector_has_served_for_a_while(trial: Car) -> None:
    trial.says(serves=[2, 2, 1, 0])
    assert trial.run(CONFIRM).returncode == 0
    assert trial.confirmed and trial.slept == 3 + 3
    assert trial.verdict() == "2" and not trial.trial.exists()


def test_a_detector_that_serves_now_and_then_does_not_confirm(trial: Car) -> None:
    trial.says(serves=[0, 0, 1] * 4 + [1])
    assert trial.run(CONFIRM).returncode == 1
    assert trial.went_back and not trial.confirmed


def test_a_new_root_that_never_serves_is_left_for_the_one_before(trial: Car) -> None:
    trial.says(serves=[1])
    done = trial.run(CONFIRM)
    assert done.returncode == 1 and "back to slot 0" in done.stderr
    assert trial.went_back and not trial.confirmed and trial.slept == 12
    assert trial.verdict() is None and trial.trial.exists()


@pytest.mark.parametrize(("compiled", "detector"), [("active", "failed"), ("failed", "inactive")])
def test_a_new_root_that_cannot_serve_is_left_without_waiting(trial: Car, compiled: str, detector: str) -> None:
    trial.says(serves=[2], compile=[compiled], detector=[detector])
    assert trial.run(CONFIRM).returncode == 1
    assert trial.went_back and trial.slept <= 4


def test_a_detector_that_starts_with_an_older_model_is_waited_for(trial: Car) -> None:
    """The compiler has failed, and systemd has not come to the detector yet."""
    trial.says(compile=["failed"], detector=["inactive"], serves=[2, 0])
    assert trial.run(CONFIRM).returncode == 0
    assert trial.confirmed


def test_a_first_compilation_is_waited_for(trial: Car) -> None:
    """A new TensorRT or L4T means that the model is compiled anew, which takes minutes."""
    trial.says(serves=[2] * 8 + [0], compile=["activating"], detector=["inactive"])
    assert trial.run(CONFIRM).returncode == 0
    assert trial.confirmed


def test_a_model_that_does_not_compile_is_no_reason_while_the_one_before_serves(trial: Car) -> None:
    trial.says(compile=["failed"])
    assert trial.run(CONFIRM).returncode == 0
    assert trial.confirmed


@pytest.mark.parametrize(("by", "verdict"), [("server", "3"), ("hand", None)])
def test_the_root_before_says_that_the_new_one_did_not_come_up(car: Car, by: str, verdict: str | None) -> None:
    """However it was left: by this script, or by the firmware after boots that nobody confirmed."""
    car.trial.write_text(f"0 {by}\n")
    car.says(serves=[1])
    done = car.run(CONFIRM)
    assert done.returncode == 0 and "slot 0 was not confirmed" in done.stderr
    assert car.confirmed and car.verdict() == verdict
    assert not car.trial.exists()


def test_what_was_installed_by_hand_is_not_told_to_the_server(trial: Car) -> None:
    """It would take it as the answer to an update of its own."""
    trial.trial.write_text("1 hand\n")
    assert trial.run(CONFIRM).returncode == 0
    assert trial.confirmed and trial.verdict() is None


def test_a_boot_without_data_is_confirmed_or_tried_like_any_other(trial: Car) -> None:
    """/data is broken: nothing can be told, and the firmware must not count the boot."""
    trial.fleet.write_text("no folder")
    assert trial.run(CONFIRM).returncode == 0
    assert trial.confirmed and not trial.trial.exists()
    # ordered behind the mount; a unit that required it would not even run
    assert "Requires" not in CONFIRM.with_name("confirm-boot.conf").read_text()


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_trial_that_was_half_written_is_none(car: Car, text: str) -> None:
    car.trial.write_text(text)
    assert car.run(CONFIRM).returncode == 0
    assert car.confirmed and not car.trial.exists()


def test_a_boot_is_confirmed_before_anything_is_written(car: Car) -> None:
    """What cannot be written (a full or broken disk) must not leave the boot unconfirmed."""
    car.trial.write_text("0 server\n")
    (car.folder / "bin" / "rm").write_text("#!/bin/sh\nexit 1\n")
    (car.folder / "bin" / "rm").chmod(0o755)
    car.run(CONFIRM)
    assert car.confirmed


@pytest.mark.parametrize(("slot", "other", "letter"), [(0, 1, "B"), (1, 0, "A")])
def test_the_other_root_is_on_trial_before_the_firmware_is_told_to_take_it(
    car: Car, slot: int, other: int, letter: str
) -> None:
    car.says(slot=[slot])
    assert car.run(SWITCH, UNINA_FLEET="server").returncode == 0
    assert car.trial.read_text() == f"{other} server\n"
    # otherwise a root that failed once would never be taken again
    assert any(call.endswith(f"-RootfsStatusSlot{letter}") for call in car.calls if call.startswith("efivar -w "))
    assert (car.folder / "written").read_bytes() == bytes(4)
    assert car.calls[-2:] == ["sync", "armed"]


def test_a_root_that_the_firmware_cannot_be_told_of_is_a_failed_update(car: Car) -> None:
    (car.folder / "bin" / "oe4t-set-uefi-OSIndications").write_text("#!/bin/sh\nexit 1\n")
    assert car.run(SWITCH).returncode != 0
