"""The latency estimate answers to the right things, and says what is not in it."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "model-tools" / "estimator"))

from networks import Builder, resnet50, ssd_mobilenet_v1, yolov5s

from unina.dla.constants import ORIN
from unina.dla.estimate import RARE, UNCERTAINTY, WIDER, estimate, estimate_plan, peak_macs
from unina.dla.input_size import at_size
from unina.dla.network import Network
from unina.dla.platforms import MAXN, POWER_MODES, PowerMode
from unina.dla.rules import operators
from unina.dla.steps import (
    ACTIVATIONS,
    CONVOLUTIONS,
    COPIES,
    NOTHING,
    POOLS,
    SMOOTH,
    TWO_TENSORS,
    UNARY,
    plan,
)


def detector(
    widths: tuple[int, ...],
    neck: int,
    first: int = 2,
    blocks: tuple[int, ...] = (2, 3, 4, 2),
    outputs: tuple[int, int] = (4, 4),
) -> Network:
    """Stem of 32, stages of 3×3 from stride 4, PAN of one width, two branches of two 3×3 and a 1×1 a level."""
    net = Builder(640, 640)
    x = net.conv("images", 32, 3, 2)
    features = []
    for channels, count in zip(widths, blocks, strict=False):
        x = net.conv(x, channels, 3, 2)
        for _ in range(count - 1):
            x = net.conv(x, channels)
        features.append(x)
    maps = [net.conv(feature, neck, 1) for feature in features[first - 2 :]]
    for i in range(len(maps) - 2, -1, -1):
        maps[i] = net.conv(net.concat(net.double(maps[i + 1]), maps[i]), neck)
    for i in range(len(maps) - 1):
        maps[i + 1] = net.conv(net.concat(net.conv(maps[i], neck, 3, 2), maps[i + 1]), neck)
    ends = [net.conv(net.conv(net.conv(level, neck), neck), values, 1, act="") for level in maps for values in outputs]
    return net.network(*ends)


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
def test_detectors_agree_with_an_earlier_fit_of_another_form(
    widths: tuple[int, ...], neck: int, first: int, gmac: float, ms: float
) -> None:
    """A prototype with other constants, and a surcharge on strides, gave these for 640×640 at MAXN, with DFL heads."""
    found = estimate(detector(widths, neck, first, outputs=(4, 64)))
    assert found.macs / 1e9 == pytest.approx(gmac, abs=0.06)
    assert found.latency_ms == pytest.approx(ms, rel=0.06)


def test_input_size_and_power_mode_change_a_detector_as_expected() -> None:
    network = detector((64, 128, 256), 64)
    base = estimate(network).latency_ms
    assert estimate(at_size(network, 384, 1280)).latency_ms / base == pytest.approx(1.2, abs=0.02)
    assert 1.07 <= estimate(network, POWER_MODES["50W"]).latency_ms / base <= 1.11
    assert 2.0 <= estimate(network, POWER_MODES["15W"]).latency_ms / base <= 2.4


def test_layers_sum_to_the_total_and_the_band_is_always_printed() -> None:
    found = estimate(detector((32, 64, 128), 64))
    assert found.latency_ms == pytest.approx(sum(layer.latency_ms for layer in found.layers))
    for layer in found.layers:
        busy = max(layer.compute_ms, layer.dram_ms)
        assert layer.latency_ms == pytest.approx(busy + ORIN.layer_us / 1e3 if busy else 0)
    assert f"±{UNCERTAINTY:.0%}" in str(found)
    assert found.band_ms == pytest.approx((found.latency_ms * (1 - UNCERTAINTY), found.latency_ms * (1 + UNCERTAINTY)))
    assert found.tera_ops == pytest.approx(2 * found.macs / found.latency_ms / 1e9)


def one_conv(channels: int, outputs: int, size: int = 80, **conv: object) -> Network:
    net = Builder(size, size)
    net.shapes = {"images": (1, channels, size, size)}
    return net.network(net.conv("images", outputs, **conv))  # type: ignore[arg-type]


def test_a_convolution_by_hand() -> None:
    (layer,) = estimate(one_conv(64, 128)).layers
    cycles = 80 * 80 * 64 * 128 * 9 / ORIN.macs_per_cycle / ORIN.efficiency
    moved = 80 * 80 * (64 + 128) + 64 * 128 * 9
    assert layer.macs == 80 * 80 * 64 * 128 * 9
    assert layer.cycles == pytest.approx(cycles) and layer.compute_ms == pytest.approx(cycles / 1.6e6)
    assert layer.dram_bytes == moved and layer.dram_ms == pytest.approx(moved / ORIN.bandwidth_gb_s / 1e6)
    assert layer.bound == "compute" and layer.kind == "Conv 3×3 + Relu"


def test_channels_between_two_atoms_cost_as_many_as_the_larger() -> None:
    full, partly = (estimate(one_conv(channels, 64)).layers[0] for channels in (64, 33))
    assert partly.latency_ms == pytest.approx(full.latency_ms, rel=0.01)
    assert partly.macs < full.macs


def test_a_one_by_one_waits_for_memory_and_a_stride_of_two_takes_a_quarter() -> None:
    assert estimate(one_conv(64, 64, kernel=1)).layers[0].bound == "memory"
    plain, strided = (estimate(one_conv(128, 128, stride=stride)).layers[0] for stride in (1, 2))
    assert strided.compute_ms == pytest.approx(plain.compute_ms / 4)


def test_depthwise_is_slow_and_groups_never_beat_the_atom() -> None:
    grouped, wider, depthwise = (estimate(one_conv(128, 128, groups=groups)).layers[0] for groups in (16, 4, 128))
    assert grouped.compute_ms == pytest.approx(wider.compute_ms), "8 channels a group cost as much as 32"
    assert depthwise.macs < grouped.macs
    assert depthwise.cycles == pytest.approx(80 * 80 * 128 / ORIN.depthwise_per_cycle)


def test_input_and_weights_that_both_overflow_the_buffer_are_read_again() -> None:
    (layer,) = estimate(one_conv(512, 512, size=40)).layers
    read, weights, buffer = 40 * 40 * 512, 512 * 512 * 9, ORIN.buffer_bytes
    again = min((-(-weights // buffer) - 1) * read, (-(-read // buffer) - 1) * weights)
    assert layer.dram_bytes == 2 * read + weights + again


def test_an_add_runs_inside_the_convolution_that_comes_last() -> None:
    net = Builder(64, 64)
    x = net.conv("images", 64)
    total = net.relu(net.add(net.conv(x, 64, act=""), x))
    fused = estimate(net.network(total)).layers
    assert [layer.kind for layer in fused] == ["Conv 3×3 + Relu", "Conv 3×3 + Add + Relu"]
    assert fused[1].dram_bytes == 3 * 64 * 64 * 64 + 64 * 64 * 9, "the sum of the convolution is never written"

    net = Builder(64, 64)
    x = net.conv("images", 64)
    apart = estimate(net.network(net.add(net.conv(x, 64), x))).layers
    assert [layer.kind for layer in apart] == ["Conv 3×3 + Relu", "Conv 3×3 + Relu", "Add"]


def test_scales_fuse_into_the_convolution_and_q_dq_is_nothing() -> None:
    def of(*, exported: bool) -> Network:
        net = Builder(64, 64)
        x = net.conv("images", 64, act="")
        if exported:
            channels = tuple(net.weight(64) for _ in range(4))
            x = net.put("BatchNormalization", (x, *channels), net.shapes[x])
            x = net.put("Mul", (x, net.weight(64, 1, 1)), net.shapes[x])
            x = net.put("QuantizeLinear", (x, net.weight()), net.shapes[x])
            x = net.put("DequantizeLinear", (x, net.weight()), net.shapes[x])
        return net.network(net.conv(net.relu(x), 64))

    plain, exported = estimate(of(exported=False)), estimate(of(exported=True))
    assert [layer.kind for layer in exported.layers] == [
        "Conv 3×3 + BatchNormalization + Mul + Relu",
        "Conv 3×3 + Relu",
    ]
    assert exported.layers[0].latency_ms == plain.layers[0].latency_ms


def test_silu_is_one_more_pass_without_traffic() -> None:
    relu, silu = (one_conv(64, 64, act=act) for act in ("Relu", "SiLU"))
    (a,), (b,) = estimate(relu).layers, estimate(silu).layers
    assert b.kind == "Conv 3×3 + SiLU" and b.dram_bytes == a.dram_bytes
    assert b.cycles - a.cycles == pytest.approx(80 * 80 * 64 / ORIN.pass_per_cycle)


def test_concat_is_free_and_pool_resize_and_slice_are_not() -> None:
    net = Builder(64, 64)
    x = net.conv("images", 64, stride=2)
    joined = net.conv(net.concat(net.double(net.pool(x)), x), 64)
    half = net.put("Slice", (joined,), (1, 32, 32, 32))
    layers = {layer.kind: layer for layer in estimate(net.network(half)).layers}
    assert layers["Concat"].latency_ms == 0 and layers["Concat"].bound == "-"
    assert layers["MaxPool"].cycles == pytest.approx(32 * 32 * 64 / ORIN.pass_per_cycle)
    assert layers["Resize"].dram_bytes == 64 * (16 * 16 + 32 * 32)
    assert layers["Slice"].dram_bytes == 2 * 32 * 32 * 32 and layers["Slice"].cycles == 0


def test_a_classifier_is_a_one_by_one_convolution() -> None:
    found = estimate(resnet50())
    assert not found.missing and found.macs / 1e9 == pytest.approx(4.09, abs=0.01)
    pool, flatten, gemm = found.layers[-3:]
    assert [pool.kind, flatten.kind, gemm.kind] == ["AveragePool", "Flatten", "Gemm"]
    assert flatten.latency_ms == 0 and gemm.macs == 2048 * 1000 and gemm.dram_bytes == 2048 + 1024 + 2048 * 1024


def test_a_transposed_convolution_works_at_every_cell_of_its_input() -> None:
    net = Builder(64, 64)
    x = net.conv("images", 32, 3, 2)
    y = net.put("ConvTranspose", (x, net.weight(32, 64, 2, 2)), (1, 64, 64, 64), strides=(2, 2))
    layer = estimate(net.network(y)).layers[1]
    assert layer.kind == "Deconv 2×2/2" and layer.macs == 32 * 32 * 32 * 64 * 4


def test_what_the_dla_does_not_run_is_named_and_not_counted() -> None:
    net = Builder(64, 64)
    x = net.conv("images", 32)
    picked = net.put("TopK", (x,), (1, 32, 64, 5))
    product = net.put("MatMul", (x, x), (1, 32, 64, 64))
    average = net.put("GlobalAveragePool", (x,), (1, 32, 1, 1))
    rows = net.put("Concat", (x, x), (1, 32, 128, 64), axis=2)
    found = estimate(net.network(picked, product, average, rows))
    assert {one.op: one.why for one in found.missing} == {
        "TopK": "no estimate for this operator",
        "MatMul": "both operands are computed: the DLA multiplies by constant weights only",
        "GlobalAveragePool": "an average over 64×64: TensorRT gives the DLA windows up to 8×8",
        "Concat": "joins axis 2 of 4-D tensors: the DLA joins channels of N×C×H×W only",
    }
    assert [layer.kind for layer in found.layers] == ["Conv 3×3 + Relu"]
    assert not found.complete and found.band_ms is None
    assert "the DLA's part only" in str(found) and "±" not in str(found)


def test_fp16_convolutions_are_forty_times_slower_and_their_tensors_twice_as_large() -> None:
    network = one_conv(64, 64)
    (whole,), (half,) = estimate(network).layers, estimate(network, precision="fp16").layers
    assert half.cycles == pytest.approx(half.macs / ORIN.fp16_macs_per_cycle)
    assert half.dram_bytes == 2 * whole.dram_bytes
    net = Builder(64, 64)
    mixed = net.network(net.conv(net.conv("images", 64), 64, 1, act=""))
    name = mixed.nodes[2].name
    first, last = estimate(mixed, fp16_layers=[name]).layers
    assert (first.precision, last.precision) == ("int8", "fp16")
    assert last.dram_bytes == 64 * 64 * 64 * (1 + 2) + 2 * 64 * 64, "reads int8, writes fp16"


def test_sparse_weights_help_where_a_kernel_has_more_than_64_channels() -> None:
    for channels, helps in ((64, False), (96, True)):
        network = one_conv(channels, 256)
        (dense,), (sparse,) = estimate(network).layers, estimate(network, sparse=True).layers
        assert (sparse.cycles < dense.cycles) == (sparse.dram_bytes < dense.dram_bytes) == helps


def test_only_convolutions_that_keep_the_rules_of_sparsity_skip_zeros() -> None:
    """And none goes beyond the sparse peak, which is twice the dense one."""
    for channels, outputs, groups, helps in (
        (128, 128, 1, True),
        (128, 96, 1, True),
        (128, 200, 1, True),
        (128, 160, 1, True),
        (128, 148, 1, False),
        (128, 128, 2, False),
        (256, 256, 2, True),
        (3, 64, 1, False),
        (512, 512, 1, True),
    ):
        network = one_conv(channels, outputs, groups=groups)
        assert plan(network).steps[0].convolution.skips_zeros == helps, (channels, outputs, groups)  # type: ignore[union-attr]
        dense, sparse = estimate(network), estimate(network, sparse=True)
        assert (sparse.latency_ms < dense.latency_ms) == helps, (channels, outputs, groups)
        assert sparse.roofline_share <= 1
        assert sparse.tera_ops <= 2 * peak_macs("int8", ORIN, sparse=True) * MAXN.clock_mhz / 1e6
        assert estimate(network, sparse=True, precision="fp16").layers == estimate(network, precision="fp16").layers
    assert estimate(one_conv(512, 512), sparse=True).tera_ops > 2 * peak_macs("int8", ORIN) * MAXN.clock_mhz / 1e6
    assert peak_macs("int8", ORIN, sparse=True) == 2 * peak_macs("int8", ORIN)
    assert peak_macs("fp16", ORIN, sparse=True) == peak_macs("fp16", ORIN)
    transposed = Builder(64, 64)
    x = transposed.conv("images", 128, 3, 2)
    y = transposed.put("ConvTranspose", (x, transposed.weight(128, 128, 2, 2)), (1, 128, 64, 64), strides=(2, 2))
    assert not plan(transposed.network(y)).steps[1].convolution.skips_zeros  # type: ignore[union-attr]


@pytest.mark.parametrize("op", sorted(operators.KNOWN))
def test_every_operator_that_the_rules_know_has_a_step(op: str) -> None:
    """Two lists of the same operators would drift apart."""
    net = Builder(8, 8)
    x = net.conv("images", 32, act="")
    weight = net.weight(32, 32, 1, 1) if op in CONVOLUTIONS else net.weight(1, 32, 1, 1)
    weight = net.weight(8, 8) if op in {"Gemm", "MatMul"} else weight
    network = net.network(net.put(op, (x, weight), net.shapes[x]))
    assert plan(network).missing == ()
    assert len(estimate(network).layers) == (1 if op in NOTHING | ACTIVATIONS | SMOOTH | SCALES else 2)


def test_a_batch_shares_the_weights_and_nothing_else() -> None:
    network = one_conv(512, 512, size=8)
    alone, eight = (estimate(network, batch=batch).layers[0] for batch in (1, 8))
    assert alone.dram_bytes - eight.dram_bytes == 512 * 512 * 9 * 7 // 8
    assert alone.compute_ms == eight.compute_ms
    with pytest.raises(ValueError, match="batch: 0"):
        estimate(network, batch=0)
    with pytest.raises(ValueError, match="batch: 4097: must be a whole number from 1 to 4096"):
        estimate(network, batch=4097)


def test_a_network_exported_for_four_images_is_estimated_for_one() -> None:
    found = []
    for images in (1, 4):
        net = Builder(64, 64, images)
        x = net.pool(net.add(net.conv("images", 64), net.conv("images", 64)), 64, 1, 0, "AveragePool")
        found.append(estimate(net.network(net.classifier(x, 10))))
    assert found[0].latency_ms == found[1].latency_ms and found[0].macs == found[1].macs


def test_unusual_work_widens_the_band_once_it_takes_its_share() -> None:
    assert estimate(one_conv(64, 64)).wide_for == ()
    assert estimate(yolov5s()).wide_for == ("SiLU",)
    mobile = estimate(ssd_mobilenet_v1())
    assert mobile.wide_for == ("depthwise",) and mobile.uncertainty == WIDER["depthwise"] > UNCERTAINTY
    assert estimate(one_conv(128, 128, groups=4)).wide_for == ("grouped",)
    assert estimate(one_conv(128, 128), sparse=True).wide_for == ("sparse",)
    assert estimate(one_conv(64, 64), precision="fp16").wide_for == ("FP16",)
    net = Builder(640, 640)
    x = net.conv("images", 64, stride=2)
    for _ in range(8):
        x = net.conv(x, 128)
    hardly = net.network(net.conv(x, 4, 1, act=""), net.conv(net.pool(x, 8, 8, 0), 32, groups=2, act=""))
    found = estimate(hardly)
    assert 0 < found.layers[-1].latency_ms < RARE * found.latency_ms and found.wide_for == ()


def test_a_size_that_cuts_a_cell_and_a_network_tied_to_its_size_are_refused() -> None:
    with pytest.raises(ValueError, match="would not have whole rows"):
        at_size(detector((32, 64, 128), 64), 640, 650)
    with pytest.raises(ValueError, match=r"node flatten\d+ \(Flatten\) is tied to the input size"):
        at_size(resnet50(), 448, 448)


def test_five_hundred_nodes_take_less_than_two_seconds() -> None:
    net = Builder(640, 640)
    x = net.conv("images", 64, stride=2)
    while len(net.nodes) < 500:
        x = net.relu(net.add(net.conv(x, 64, act=""), x))
    network = net.network(x)
    before = time.process_time()
    assert len(estimate(network, PowerMode("any", 1000.0, 3200.0)).layers) == len(plan(network).steps) > 150
    assert time.process_time() - before < 2


SCALES = {"Add", "Sub", "Mul", "Div", "BatchNormalization"}
"""With a constant they run inside the convolution before."""
SIZES = st.lists(st.integers(1, 9), max_size=5).map(tuple)
KNOWN = CONVOLUTIONS | ACTIVATIONS | SMOOTH | TWO_TENSORS | POOLS | UNARY | COPIES | NOTHING
OPERATORS = sorted(KNOWN | {"Softmax", "Concat", "BatchNormalization", "TopK"})


@given(st.data())
def test_every_operator_of_any_network_is_in_one_step_or_named(data: st.DataObject) -> None:
    """Shapes that do not fit together, operators at random: nothing is lost, nothing counted twice, nothing raises."""
    net = Builder(8, 8)
    tensors = ["images"]
    for _ in range(data.draw(st.integers(1, 8))):
        inputs = data.draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=2))
        if data.draw(st.booleans()):
            inputs.append(net.weight(*data.draw(SIZES)))
        shape = data.draw(st.one_of(st.just(net.shapes[inputs[0]]), SIZES)) if inputs[0] in net.shapes else ()
        tensors.append(net.put(data.draw(st.sampled_from(OPERATORS)), tuple(inputs), shape))
    network = net.network(tensors[-1])
    elsewhere = {node: "for the test" for node in network.nodes if data.draw(st.booleans())}
    found = plan(network, elsewhere)
    named = [name for step in found.steps for name in step.nodes] + [one.name for one in found.missing]
    gone = [node.name for node in network.nodes if node.op in NOTHING]
    assert sorted(named + gone) == sorted(node.name for node in network.nodes)
    assert {node.name for node in elsewhere if node.op not in NOTHING} <= {one.name for one in found.missing}
    estimate_plan(found)


def test_weights_of_a_builder_are_really_none() -> None:
    """What the tests above and the fit build takes no memory for its zeros."""
    assert all(array.strides == (0,) * array.ndim for array in resnet50().constants.values())
    assert not any(np.any(array) for array in resnet50().constants.values())
