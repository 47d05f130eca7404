"""What the machine says of itself: model, release, power mode; and whether it held its clocks back.

Trip points, cooling devices and the counters of over-current events are where Linux and NVIDIA's Jetson Linux
Developer Guide ("Platform Power and Performance") put them. On a PC most is not there.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

SYS = Path("/sys/class")
PLACES = {
    "model": Path("/proc/device-tree/model"),
    "l4t": Path("/etc/nv_tegra_release"),
}
NVPMODEL_TIMEOUT_S = 5
ALERT = "throttle-alert"
"""end of the type of a cooling device of Orin that is on while a part of the chip is held back"""


def machine_facts(sys: Path = SYS) -> dict[str, Any]:
    """What a reader of a report wants to know of the machine; "" or {} where it does not say."""
    facts: dict[str, Any] = {name: _line(path) for name, path in PLACES.items()}
    facts["model"] = facts["model"] or f"{platform.machine()}, no Jetson"
    return facts | {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "power_mode": power_mode(),
        "trips_celsius": trips(sys),
    }


def power_mode() -> str:
    """As nvpmodel says it, such as `MAXN`; "" without it."""
    program = shutil.which("nvpmodel")
    if program is None:
        return ""
    try:
        told = subprocess.run([program, "-q"], capture_output=True, text=True, timeout=NVPMODEL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = [line.partition(":")[2].strip() for line in told.stdout.splitlines() if "Power Mode" in line]
    return lines[0] if lines else ""


def trips(sys: Path = SYS) -> dict[str, float]:
    """Sensor → °C at which the kernel begins to slow it down (`passive` trip points)."""
    found: dict[str, float] = {}
    for zone in sorted((sys / "thermal").glob("thermal_zone*")):
        name = _line(zone / "type").removesuffix("-thermal").removesuffix("-therm")
        for kind in sorted(zone.glob("trip_point_*_type")):
            if _line(kind) != "passive":
                continue
            millis = _number(kind.with_name(kind.name.replace("_type", "_temp")))
            if name and millis and millis > 0:
                found[name] = min(found.get(name, 1e9), millis / 1000)
    return found


def alert_devices(sys: Path = SYS) -> list[tuple[str, Path]]:
    """The cooling devices that tell of throttling, with the file that says whether it happens now."""
    devices = ((_line(place / "type"), place / "cur_state") for place in (sys / "thermal").glob("cooling_device*"))
    return sorted((name.removesuffix(f"-{ALERT}"), path) for name, path in devices if name.endswith(ALERT))


def alerts(devices: list[tuple[str, Path]]) -> list[str]:
    """Who is held back now."""
    return [name for name, path in devices if (_number(path) or 0) > 0]


def event_counts(sys: Path = SYS) -> dict[str, int]:
    """How often over-current (or under-voltage) held the clocks back since the machine was started."""
    found = {}
    for path in sorted((sys / "hwmon").glob("hwmon*/oc*_event_cnt")):
        count = _number(path)
        if count is not None:
            found[path.name.removesuffix("_event_cnt")] = int(count)
    return found


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip("\0 \n")
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_line(path))
    except ValueError:
        return None
