"""The emulated devices that tests switch on; what they logged is kept where a test failed."""

import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "runtime"))

from arm_root import Missing  # noqa: E402
from device_image import PICTURE_COUNT, DeviceImage, device_image  # noqa: E402
from machine import Frozen, Machine, SwitchOn, new_data_disk  # noqa: E402
from service_process import ServiceProcess  # noqa: E402
from serving import UPDATER, picture, wait_serving  # noqa: E402

CACHE = Path(os.environ.get("UNINA_DEVICE_CACHE", ROOT / "build" / "device")).resolve()
KEPT = CACHE / "failed"
BUDGET_S = float(os.environ.get("UNINA_DEVICE_BUDGET_S", "inf"))
began = time.monotonic()
FIRST = ("test_first_boot", "test_update", "test_power_cut", "test_signatures")
running: list[Machine] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here needs the emulated device. Where time is limited, what matters most comes first."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.device)
    ours.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
    items[:] = [item for item in items if HERE not in item.path.parents] + ours


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where time is limited, what would begin after it is left out, and says so."""
    if HERE in item.path.parents and (passed := time.monotonic() - began) > BUDGET_S:
        pytest.skip(f"NOT SHOWN HERE: {passed:.0f} s have passed, UNINA_DEVICE_BUDGET_S is {BUDGET_S:.0f}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test's machines leave their journal and console behind."""
    outcome: Any = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for machine in running[-4:]:
        place = KEPT / re.sub(r"[^\w.-]+", "_", item.name) / machine.folder.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for log in machine.folder.glob("*.log"):
            shutil.copy(log, place)
        with suppress(Exception):
            status = (
                "systemctl status --no-pager -n 0 'unina-*'; systemctl list-units --failed; df -h /data; ls -lR /data"
            )
            (place / "status.txt").write_text(machine.run(f"{{ {status}; }} || true", 20))
        report.sections.append(("emulated device", f"journal and console: {place}\n{machine.journal[-4000:]}"))


@pytest.fixture(scope="session")
def image() -> DeviceImage:
    """Disks and kernel of the device; skips, and says so, where they cannot be made."""
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        return device_image(CACHE)
    except Missing as error:
        reason = f"NOT SHOWN HERE: no emulated device: {error}"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def on_a_pc(image: DeviceImage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the host accelerator says on this machine, by picture."""
    words = ("--bundle", image.bundle, "--source", f"images:{image.pictures}?fps=20&loop=1", "--accelerator", "host")
    with ServiceProcess(tmp_path_factory.mktemp("pc"), *words) as service:
        service.wait_ready()
        with service.connect() as reader:
            found = {picture(one): one for one in service.messages(reader, 4 * PICTURE_COUNT)}
    assert len(found) == PICTURE_COUNT and all(one["detections"] for one in found.values())
    return found


@pytest.fixture(scope="module")
def switch_on(image: DeviceImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchOn]:
    """Switches a device on, with the /data of before or an empty one; all are cut off at the module's end."""
    mine: list[Machine] = []

    def begin(data: Path | None = None, name: str = "device", **more: Any) -> Machine:
        folder = tmp_path_factory.mktemp(name)
        machine = Machine(image, data or new_data_disk(folder / "data.img"), folder, name, **more)
        mine.append(machine)
        running.append(machine)
        return machine

    yield begin
    for machine in mine:
        machine.cut()
        if machine in running:
            running.remove(machine)


@pytest.fixture(scope="session")
def serving(image: DeviceImage, tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """A device that has served for a while, standing still. Its trials of a newer model are short."""
    folder = tmp_path_factory.mktemp("serving")
    with Machine(image, new_data_disk(folder / "first.img"), folder, "serving") as machine:
        running.append(machine)
        machine.wait_agent()
        wait_serving(machine)
        machine.write("/etc/unina/compile.toml", "trial_s = 8\ntakeover_s = 120\nstarve_s = 20\nmin_free_mb = 16\n")
        machine.until(lambda: machine.show(UPDATER, "ActiveState")["ActiveState"] == "inactive", "the update's end")
        machine.until(lambda: "Startup finished" in machine.journal, "the boot's end")
        frozen = machine.freeze(folder)
        running.remove(machine)
    return frozen


@pytest.fixture
def device(serving: Frozen, switch_on: SwitchOn, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A device that serves, each test's own."""
    machine = switch_on(name=request.node.name[:40], frozen=serving)
    yield machine
    machine.cut()
    if machine in running:
        running.remove(machine)
