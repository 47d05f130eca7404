"""The latency estimate reproduces what is published, and answers to the right things."""

from dataclasses import replace

import pytest
from dla_networks import Network, detector, resnet34_backbone, resnet50, ssd_resnet34

from unina.dla.estimate import MAXN, ORIN, POWER_MODES, UNCERTAINTY, at_size, estimate
from unina.dla.graph import Graph

# NVIDIA/Deep-Learning-Accelerator-SW README (ea61780, JetPack 5.1.1, AGX Orin 64 GB): images a second of TWO DLAs
PUBLISHED = {
    "ResNet-34 backbone 1280×768": (resnet34_backbone, 1, {"MAXN": 285, "50W": 260, "30W": 255, "15W": 121}),
    "SSD-ResNet-34 1200×1200": (ssd_resnet34, 1, {"MAXN": 83, "50W": 76, "30W": 74, "15W": 36}),
    "ResNet-50 224×224": (resnet50, 2, {"MAXN": 2037, "50W": 1948, "30W": 1928, "15W": 1072}),
}


def errors() -> dict[tuple[str, str], float]:
    """Estimate over measurement, minus 1. Two DLAs work at once, so one takes twice as long an image."""
    return {
        (name, mode): estimate(network(), POWER_MODES[mode], batch=batch).latency_ms * rate / 2000 - 1
        for name, (network, batch, rates) in PUBLISHED.items()
        for mode, rate in rates.items()
    }


def test_published_throughputs_are_met_within_the_stated_uncertainty() -> None:
    found = errors()
    assert max(abs(error) for error in found.values()) <= UNCERTAINTY, found
    assert sum(abs(error) for error in found.values()) / len(found) < 0.07, found
    assert all(abs(error) < 0.07 for (_, mode), error in found.items() if mode == "MAXN"), found


@pytest.mark.parametrize(
    ("widths", "neck", "first", "gmac", "ms"),
    [
        ((32, 64, 128, 256), 64, 3, 4.5, 0.69),
        ((48, 96, 192, 384), 96, 3, 9.7, 1.23),
        ((64, 128, 256, 512), 128, 3, 17.0, 1.90),
        ((32, 64, 128), 64, 2, 10.4, 1.42),
        ((48, 96, 192), 64, 2, 12.6, 1.66),
        ((64, 128, 256), 64, 2, 15.7, 1.90),
        ((64, 128, 256), 96, 2, 26.1, 2.89),
        ((64, 128, 256), 128, 2, 40.6, 4.27),
    ],
)
def test_detectors_agree_with_the_fitted_prototype(
    widths: tuple[int, ...], neck: int, first: int, gmac: float, ms: float
) -> None:
    """The prototype in which the constants were fitted gave these figures for 640×640 at MAXN, with DFL heads."""
    found = estimate(detector(widths, neck, first, outputs=(4, 64)))
    assert found.macs / 1e9 == pytest.approx(gmac, abs=0.06)
    assert found.latency_ms == pytest.approx(ms, rel=0.012)


def test_input_size_and_power_mode_change_a_detector_as_the_prototype_says() -> None:
    graph = detector((64, 128, 256), 64)
    base = estimate(graph).latency_ms
    assert estimate(at_size(graph, 384, 1280)).latency_ms / base == pytest.approx(1.2, abs=0.02)
    assert 1.07 <= estimate(graph, POWER_MODES["50W"]).latency_ms / base <= 1.11
    assert 2.0 <= estimate(graph, POWER_MODES["15W"]).latency_ms / base <= 2.4


def test_layers_sum_to_the_total_and_the_band_is_always_printed() -> None:
    found = estimate(detector((32, 64, 128), 64))
    assert found.latency_ms == pytest.approx(sum(layer.latency_ms for layer in found.layers))
    for layer in found.layers:
        busy = max(layer.compute_ms, layer.dram_ms)
        assert layer.latency_ms == pytest.approx(busy + ORIN.layer_us / 1e3 if busy else 0)
    assert f"±{UNCERTAINTY:.0%}" in str(found) and str(found) in found.table()
    assert len(found.table().splitlines()) == len(found.layers) + 2


def one_conv(channels: int, outputs: int, size: int = 80, **conv: object) -> Graph:
    net = Network(size, size)
    net.shapes = {"images": (1, channels, size, size)}
    return net.graph(net.conv("images", outputs, **conv))  # type: ignore[arg-type]


def test_a_convolution_by_hand() -> None:
    (layer,) = estimate(one_conv(64, 128)).layers
    cycles = 80 * 80 * 64 * 128 * 9 / 8192 / 0.862
    moved = 80 * 80 * (64 + 128) + 64 * 128 * 9
    assert layer.macs == 80 * 80 * 64 * 128 * 9
    assert layer.compute_ms == pytest.approx(cycles / 1.6e6)
    assert layer.dram_bytes == moved and layer.dram_ms == pytest.approx(moved / 49.5e6)
    assert layer.bound == "compute" and layer.kind == "Conv 3×3 + Relu"


def test_channels_between_two_atoms_cost_as_many_as_the_larger() -> None:
    full, partly = (estimate(one_conv(channels, 64)).layers[0] for channels in (64, 33))
    assert partly.latency_ms == pytest.approx(full.latency_ms, rel=0.01)
    assert partly.macs < full.macs


def test_a_one_by_one_waits_for_memory_and_a_strided_three_by_three_pays_a_third() -> None:
    assert estimate(one_conv(64, 64, kernel=1)).layers[0].bound == "memory"
    plain, strided = (estimate(one_conv(128, 128, stride=stride)).layers[0] for stride in (1, 2))
    assert strided.compute_ms == pytest.approx(plain.compute_ms / 4 * 4 / 3)


def test_depthwise_is_slow_and_groups_never_beat_the_atom() -> None:
    grouped, wider, depthwise = (estimate(one_conv(128, 128, groups=groups)).layers[0] for groups in (16, 4, 128))
    assert grouped.compute_ms == pytest.approx(wider.compute_ms), "8 channels a group cost as much as 32"
    assert depthwise.macs < grouped.macs and depthwise.compute_ms == pytest.approx(80 * 80 * 128 / 5.3 / 1.6e6)


def test_input_and_weights_that_both_overflow_the_buffer_are_read_again() -> None:
    (layer,) = estimate(one_conv(512, 512, size=40)).layers
    read, weights, buffer = 40 * 40 * 512, 512 * 512 * 9, 192 * 1024
    again = min((-(-weights // buffer) - 1) * read, (-(-read // buffer) - 1) * weights)
    assert layer.dram_bytes == 2 * read + weights + again


def test_an_add_runs_inside_the_convolution_that_comes_last() -> None:
    net = Network(64, 64)
    x = net.conv("images", 64)
    total = net.relu(net.add(net.conv(x, 64, relu=False), x))
    fused = estimate(net.graph(total)).layers
    assert [layer.kind for layer in fused] == ["Conv 3×3 + Relu", "Conv 3×3 + Add + Relu"]
    assert fused[1].dram_bytes == 3 * 64 * 64 * 64 + 64 * 64 * 9, "the sum of the convolution is never written"

    net = Network(64, 64)
    x = net.conv("images", 64)
    apart = estimate(net.graph(net.add(net.conv(x, 64), x))).layers
    assert [layer.kind for layer in apart] == ["Conv 3×3 + Relu", "Conv 3×3 + Relu", "Add"]


def test_concat_is_free_and_pool_and_resize_are_not() -> None:
    net = Network(64, 64)
    x = net.conv("images", 64, stride=2)
    joined = net.concat(net.double(net.maxpool(x)), x)
    layers = {layer.kind: layer for layer in estimate(net.graph(net.conv(joined, 64))).layers}
    assert layers["Concat"].latency_ms == 0 and layers["Concat"].bound == "-"
    assert layers["MaxPool"].compute_ms == pytest.approx(32 * 32 * 64 / 64 / 1.6e6)
    assert layers["Resize"].dram_bytes == 64 * (16 * 16 + 32 * 32)


def test_a_batch_shares_the_weights_and_nothing_else() -> None:
    graph = one_conv(512, 512, size=8)
    alone, eight = (estimate(graph, batch=batch).layers[0] for batch in (1, 8))
    assert alone.dram_bytes - eight.dram_bytes == 512 * 512 * 9 * 7 // 8
    assert alone.compute_ms == eight.compute_ms
    with pytest.raises(ValueError, match="batch: 0"):
        estimate(graph, batch=0)


def test_clocks_scale_what_they_drive() -> None:
    graph = one_conv(256, 256)
    fast, slow = (estimate(graph, mode).layers[0] for mode in (MAXN, replace(MAXN, clock_mhz=800, emc_mhz=1600)))
    assert slow.compute_ms == pytest.approx(2 * fast.compute_ms)
    assert slow.dram_ms == pytest.approx(2 * fast.dram_ms)


def test_a_size_that_cuts_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="would not have whole rows"):
        at_size(detector((32, 64, 128), 64), 640, 650)
