"""Logs in the forms of tegrastats of several Jetsons and releases, for tests.

The forms are documented ones (docs/profile.md says where). Every value is made up: none was measured on a Jetson.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

BEGIN = datetime(2026, 11, 21, 12, 0, 0)


@dataclass(frozen=True)
class Moment:
    """What the lines of one moment tell, whatever their form."""

    when: datetime
    load: int
    """% of the GPU"""
    celsius: float
    milliwatts: int


def moments(seconds: float, interval_s: float = 1.0) -> Iterator[Moment]:
    """A run that warms up and, late, gets hot; synthetic."""
    for index in range(round(seconds / interval_s)):
        at = index * interval_s
        celsius = 45 + 50 * (1 - math.exp(-at / 200)) + math.sin(at / 7)
        load = 20 + round(8 * math.sin(at / 3))
        milliwatts = 9000 + 40 * load + round(100 * math.sin(at / 11))
        yield Moment(BEGIN + timedelta(seconds=at), load, round(celsius, 3), milliwatts)


def agx_orin_r36(now: Moment) -> str:
    """JetPack 6: a stamp, engines by name, two GPCs, names of sensors in small letters."""
    cores = ",".join(["12%@2201"] * 4 + ["3%@729"] * 4 + ["off"] * 4)
    return (
        f"{now.when:%m-%d-%Y %H:%M:%S} RAM 6185/62841MB (lfb 466x4MB) SWAP 86/31420MB (cached 0MB) CPU [{cores}] "
        f"EMC_FREQ 21%@3199 GR3D_FREQ {now.load}%@[1294,1300] NVENC off NVDEC off NVJPG off NVJPG1 off VIC 36%@115 "
        f"OFA off NVDLA0 @1600 NVDLA1 off PVA0_FREQ off APE 174 cpu@{now.celsius - 2:g}C soc2@48.4C soc0@49.093C "
        f"gpu@{now.celsius - 1:g}C tj@{now.celsius:g}C soc1@49.6C VDD_GPU_SOC {now.milliwatts}mW/9100mW "
        "VDD_CPU_CV 2607mW/2600mW VIN_SYS_5V0 4707mW/4700mW"
    )


def agx_orin_r35(now: Moment) -> str:
    """JetPack 5: engines' clocks alone, sensors that have no reading, rails that are not connected."""
    cores = ",".join(["12%@2201"] * 8 + ["off"] * 4)
    return (
        f"{now.when:%m-%d-%Y %H:%M:%S} RAM 13983/62780MB (lfb 424x4MB) SWAP 126/31390MB (cached 0MB) CPU [{cores}] "
        f"EMC_FREQ 1%@2133 GR3D_FREQ {now.load}%@[407,407] VIC_FREQ 115 NVDLA0_FREQ @1600 APE 174 CV0@-256C "
        f"CPU@{now.celsius - 2:g}C Tboard@32C SOC2@40.093C Tdiode@33.25C SOC0@41.093C CV1@-256C GPU@-256C "
        f"tj@{now.celsius:g}C SOC1@41.25C CV2@-256C VDD_GPU_SOC {now.milliwatts}mW/9100mW VDD_CPU_CV 2390mW/2390mW "
        "VIN_SYS_5V0 4025mW/4025mW NC 0mW/0mW VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW"
    )


def agx_orin_r34(now: Moment) -> str:
    """The first release for Orin: each GPC by a name of its own."""
    return (
        f"RAM 1282/62795MB (lfb 15152x4MB) SWAP 0/31398MB (cached 0MB) CPU [0%@729,0%@729,off,off] EMC_FREQ 0%@2133 "
        f"GR3D_FREQ {now.load}%@1300 GR3D2_FREQ {now.load}%@1300 VIC_FREQ 729 APE 174 tj@{now.celsius:g}C "
        f"VDD_GPU_SOC {now.milliwatts}mW/2399mW VDD_CPU_CV 400mW/400mW VIN_SYS_5V0 4032mW/4032mW"
    )


def orin_nx_r36(now: Moment) -> str:
    """Orin NX and Nano: one GPC, and a rail for all."""
    return (
        f"{now.when:%m-%d-%Y %H:%M:%S} RAM 1343/7620MB (lfb 157x4MB) SWAP 165/3810MB (cached 3MB) "
        f"CPU [5%@1497,0%@729,0%@729,0%@729,0%@729,0%@729] EMC_FREQ 15%@2133 GR3D_FREQ {now.load}%@[612] NVDEC off "
        f"NVJPG off VIC off OFA off APE 200 cpu@48.562C soc2@46.593C gpu@{now.celsius - 1:g}C tj@{now.celsius:g}C "
        f"VDD_IN {now.milliwatts}mW/8535mW VDD_CPU_GPU_CV 2512mW/1944mW VDD_SOC 2720mW/3659mW"
    )


def orin_nano_without_root(now: Moment) -> str:
    """Who is not root is told no clocks."""
    return (
        f"{now.when:%m-%d-%Y %H:%M:%S} RAM 3162/7620MB (lfb 8x4MB) SWAP 0/3810MB (cached 0MB) CPU [1%,0%,0%,off] "
        f"EMC_FREQ 0% GR3D_FREQ {now.load}% VIC off APE 200 tj@{now.celsius:g}C VDD_IN {now.milliwatts}mW/8535mW"
    )


def xavier_r32(now: Moment) -> str:
    """JetPack 4: no stamp, no units of power, and rails of short names."""
    return (
        f"RAM 2501/31927MB (lfb 6920x4MB) SWAP 0/15964MB (cached 0MB) CPU [8%@1190,5%@1190,off,off] EMC_FREQ 0%@2133 "
        f"GR3D_FREQ {now.load}%@318 VIC_FREQ 0%@115 APE 150 MTS fg 0% bg 3% AO@34.5C GPU@{now.celsius:g}C "
        f"Tdiode@37.5C PMIC@100C thermal@35.1C GPU {now.milliwatts}/311 CPU 311/311 SOC 933/933 CV 0/0 SYS5V 1844/1844"
    )


def nano_r32(now: Moment) -> str:
    """Jetson Nano: IRAM without a space, POM rails."""
    return (
        f"RAM 1766/3964MB (lfb 197x4MB) IRAM 0/252kB(lfb 252kB) CPU [24%,15%,off,10%]@1224 EMC_FREQ 4%@1600 "
        f"GR3D_FREQ {now.load}%@921 APE 25 PLL@21C CPU@{now.celsius:g}C PMIC@100C thermal@24.5C "
        f"POM_5V_IN {now.milliwatts}/2547 POM_5V_GPU 0/0 POM_5V_CPU 549/529"
    )


FORMS: Mapping[str, Callable[[Moment], str]] = {
    form.__name__: form
    for form in (
        *(agx_orin_r36, agx_orin_r35, agx_orin_r34, orin_nx_r36),
        *(orin_nano_without_root, xavier_r32, nano_r32),
    )
}


def log(form: str, seconds: float, interval_s: float = 1.0) -> str:
    """A whole log of a form."""
    return "".join(FORMS[form](now) + "\n" for now in moments(seconds, interval_s))
