"""The emulated devices that tests switch on; what they logged is kept where a test failed."""

import os
import re
import shutil
import sys
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
from device_image import DeviceImage, device_image  # noqa: E402
from machine import Machine, SwitchOn, new_data_disk  # noqa: E402

CACHE = Path(os.environ.get("UNINA_DEVICE_CACHE", ROOT / "build" / "device")).resolve()
KEPT = CACHE / "failed"
running: list[Machine] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here needs the emulated device."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.device)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test's machines leave their journal and console behind."""
    outcome: Any = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for machine in running:
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


@pytest.fixture(scope="module")
def switch_on(image: DeviceImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchOn]:
    """Switches a device on, with the /data of before or an empty one; all are cut off at the module's end."""
    mine: list[Machine] = []

    def begin(data: Path | None = None, name: str = "device") -> Machine:
        folder = tmp_path_factory.mktemp(name)
        machine = Machine(image, data or new_data_disk(folder / "data.img"), folder, name)
        mine.append(machine)
        running.append(machine)
        return machine

    yield begin
    for machine in mine:
        running.remove(machine)
        machine.cut()
