"""Modules and power modes: clocks scale what they drive, and what is not known of them is said and widens the band."""

from dataclasses import replace

import pytest
from networks import ssd_mobilenet_v1
from test_dla_estimate import detector, one_conv

from unina.dla.constants import ORIN
from unina.dla.estimate import CLOCKS, UNCERTAINTY, estimate
from unina.dla.platforms import MAXN, PLATFORMS


def test_clocks_scale_what_they_drive() -> None:
    network = one_conv(256, 256)
    fast, slow = (estimate(network, mode).layers[0] for mode in (MAXN, replace(MAXN, clock_mhz=800, emc_mhz=1600)))
    assert slow.compute_ms == pytest.approx(2 * fast.compute_ms)
    assert slow.dram_ms == pytest.approx(2 * fast.dram_ms)
    share = ORIN.clock_share
    core, memory = (
        estimate(network, mode).layers[0].dram_ms
        for mode in (replace(MAXN, clock_mhz=800), replace(MAXN, emc_mhz=1600))
    )
    assert core == pytest.approx((1 + share) * fast.dram_ms) and memory == pytest.approx((2 - share) * fast.dram_ms)


def test_every_clock_that_no_file_gives_says_so() -> None:
    known = {(p.name, mode.name) for p in PLATFORMS.values() for mode in p.modes if not mode.doubt}
    assert known == {("agx-orin-64gb", "MAXN"), ("agx-orin-64gb", "30W"), ("agx-orin-64gb", "15W")}
    assert PLATFORMS["agx-orin-64gb"].mode("maxn") is MAXN
    with pytest.raises(ValueError, match="agx-orin-32gb has no power mode 50W: its modes are MAXN, 40W, 30W, 15W"):
        PLATFORMS["agx-orin-32gb"].mode("50W")


def test_what_is_not_known_of_a_power_mode_widens_the_band() -> None:
    """50 W is one of the modes that were fitted; what is assumed on the other modules was never compared."""
    network = detector((32, 64, 128), 64)
    for platform in PLATFORMS.values():
        for mode in platform.modes:
            found = estimate(network, mode)
            known = platform.name == "agx-orin-64gb"
            assert (found.uncertainty == UNCERTAINTY) == known and found.wide_for == (() if known else (CLOCKS,))
            if not known:
                assumed = replace(ORIN, bandwidth_gb_s=ORIN.bandwidth_gb_s / 2) if platform.name == "orin-nx" else ORIN
                memory = mode if platform.name == "orin-nx" else replace(mode, emc_mhz=2133.0)
                slower = estimate(network, memory, assumed).latency_ms / found.latency_ms
                assert slower <= 1 + found.uncertainty, (platform.name, mode.name)
    depthwise = estimate(ssd_mobilenet_v1(), PLATFORMS["orin-nx"].mode("25W"))
    assert depthwise.uncertainty == 0.5 and depthwise.wide_for == ("depthwise", CLOCKS)
