"""When parts of the chip were too hot for their clocks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unina_runtime.profile.recording import Recording
from unina_runtime.profile.series import Series, step_s

ORIN_C = 99.0
"""Where Orin's software begins to throttle: the `passive` trip points of NVIDIA's device tree of AGX Orin
(tegra234-p3701-0000.dtsi), for logs that do not say their machine's."""
ORIN_SENSORS = ("cpu", "gpu", "cv0", "cv1", "cv2", "soc0", "soc1", "soc2", "tj")
BRIDGE_S = 2.0
"""Spans that are less apart are one."""


@dataclass(frozen=True)
class Span:
    """From when to when, in seconds of the recording, and who says so."""

    begin: float
    end: float
    why: str


def limits(recording: Recording, series: Series) -> dict[str, float]:
    """Sensor (as the log writes it) → °C; of the machine, or of Orin."""
    told: Mapping[str, float] = recording.machine.get("trips_celsius") or dict.fromkeys(ORIN_SENSORS, ORIN_C)
    by_name = {name.casefold(): float(value) for name, value in told.items()}
    if "tj" not in by_name and by_name:  # the hottest of all
        by_name["tj"] = min(by_name.values())
    return {name: by_name[name.casefold()] for name in series.of("celsius") if name.casefold() in by_name}


def spans(recording: Recording, series: Series) -> list[Span]:
    """By what Linux said while it ran, and by the sensors that reached their limit."""
    found: list[tuple[float, str]] = [(at, f"Linux held back {', '.join(names)}") for at, names in recording.alerts]
    for name, limit in limits(recording, series).items():
        hot = series.of("celsius")[name] >= limit
        found += [(float(at), f"{name} at {limit:g} °C or more") for at in series.seconds[np.nan_to_num(hot)]]
    step = step_s(series.seconds)
    merged: list[Span] = []
    for at, why in sorted(found):
        last = merged[-1] if merged else None
        if last is not None and at <= last.end + BRIDGE_S:
            reasons = last.why if why in last.why else f"{last.why}; {why}"
            merged[-1] = Span(last.begin, max(last.end, at + step), reasons)
        else:
            merged.append(Span(at, at + step, why))
    return merged
