"""Clocks of the DLA core and of the memory, for each Jetson and power mode (nvpmodel), with where they come from.

DLA clocks are those of nvpmodel's configuration files of the modules p3701-0000 (AGX Orin developer kit), p3701-0004
(32 GB) and of Orin NX. Memory is LPDDR5 at 3200 MHz unless the mode says otherwise.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PowerMode:
    """Clocks of one power mode; those of the DLA core and of the memory are all that the estimate needs."""

    name: str
    clock_mhz: float
    emc_mhz: float
    doubt: str = ""
    """what about the clocks is not known; "" when both are read from nvpmodel's configuration"""
    uncertainty: float = 0.0
    """half the width of the band that this doubt asks for, as part of the latency; by hand (docs/estimator.md)"""


@dataclass(frozen=True)
class Platform:
    """A Jetson module."""

    name: str
    modes: tuple[PowerMode, ...]

    def mode(self, name: str) -> PowerMode:
        """In capitals or not; raises ValueError for a mode that it has not."""
        for mode in self.modes:
            if mode.name.casefold() == name.casefold():
                return mode
        names = ", ".join(mode.name for mode in self.modes)
        raise ValueError(f"{self.name} has no power mode {name}: its modes are {names}")


ASSUMED_CLOCK, UNKNOWN_BANDWIDTH = 0.30, 0.50
"""Bands, by hand: 2133 for 3200 MHz of memory would be 20 % more for the shipped detector, 36 % for what only waits for
it; half the bandwidth 71 %, 20 to 36 % at the DLA clocks of Orin NX."""

_EMC = "memory clock not published for this mode: 3200 MHz assumed"
_NX = "memory clock and width differ from AGX Orin (102 instead of 204 GB/s, shared by all): the bandwidth of one DLA "
_NX += "there is not known, AGX Orin's at 3200 MHz is assumed"

AGX_ORIN_64GB = Platform(
    "agx-orin-64gb",
    (
        PowerMode("MAXN", 1600.0, 3200.0),
        PowerMode("50W", 1404.0, 3200.0, "DLA clock from the ratio of NVIDIA's TOPS figures"),
        PowerMode("30W", 1369.6, 3200.0),
        PowerMode("15W", 614.4, 2133.0),
    ),
)
_SMALL_EMC = "memory clock not published for this mode: that of the 64 GB module assumed"

AGX_ORIN_32GB = Platform(
    "agx-orin-32gb",
    (
        PowerMode("MAXN", 1400.0, 3200.0, f"DLA clock from memory, not from a file; {_EMC}", ASSUMED_CLOCK),
        PowerMode("40W", 1228.8, 3200.0, _EMC, ASSUMED_CLOCK),
        PowerMode("30W", 1369.6, 3200.0, _EMC, ASSUMED_CLOCK),
        PowerMode("15W", 614.4, 2133.0, _SMALL_EMC, ASSUMED_CLOCK),
    ),
)
ORIN_NX = Platform(
    "orin-nx",
    (
        PowerMode("25W", 614.4, 3200.0, _NX, UNKNOWN_BANDWIDTH),
        PowerMode("20W", 614.4, 3200.0, _NX, UNKNOWN_BANDWIDTH),
        PowerMode("15W", 614.4, 3200.0, _NX, UNKNOWN_BANDWIDTH),
        PowerMode("10W", 153.6, 3200.0, f"one configuration runs DLA 1 at 115 MHz; {_NX}", UNKNOWN_BANDWIDTH),
    ),
)
PLATFORMS: dict[str, Platform] = {one.name: one for one in (AGX_ORIN_64GB, AGX_ORIN_32GB, ORIN_NX)}
POWER_MODES: dict[str, PowerMode] = {mode.name: mode for mode in AGX_ORIN_64GB.modes}
"""Jetson AGX Orin 64 GB, what the estimator was fitted on."""
MAXN = POWER_MODES["MAXN"]
