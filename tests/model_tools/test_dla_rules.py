"""The DLA's rules: each is caught where it is broken, silent beside it, and stands on the page that users read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from dla_rule_pairs import INT8, MAPS, PAIRS, deconv, floats, network, one, ones, resize

from unina.cli import dla
from unina.dla.check import Device, check
from unina.dla.network import read_network
from unina.dla.rules import (
    RULES,
    Effect,
    build,
    format_fault,
    loadables_fault,
    pool_fault,
    rule,
    standalone_fault,
)
from unina.dla.rules.convolution import cbuf_banks
from unina.dla.rules.table import to_markdown
from unina.dla.tensorrt import TensorRt

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "dla-rules.md"
FACTS = REPOSITORY.parent / "shared" / "facts" / "dla.md"

FACT_ROWS: dict[str, tuple[str, ...]] = {
    "batch": ("batch", "batch-equal", "batch-inputs"),
    "C, H, W": ("size",),
    "dynamic shapes": ("static-shapes",),
    "loadables": ("loadables", "loadables-old"),
    "precision": ("data-type",),
    "fallback": ("standalone",),
    "cuDLA": ("cudla-one-loadable",),
    "memory pools": ("pool-power", "pool-sram", "pool-dram"),
    "Conv / FC (Conv, Gemm, MatMul const B)": (
        "conv-dimensions", "conv-kernel", "conv-padding", "conv-stride", "conv-dilation", "conv-maps", "conv-groups",
        "conv-groups-hwc4", "conv-cbuf", "matmul-constant",
    ),
    "Deconv (ConvTranspose)": (
        "deconv-kernel", "deconv-square", "deconv-padding", "deconv-groups", "deconv-dilation", "deconv-channels",
        "deconv-overlap",
    ),
    "Pooling": ("pool-plain", "pool-window", "pool-padding", "pool-stride", "pool-scales", "pool-xavier"),
    "GlobalMaxPool / ReduceMax": ("reduce-max-version", "reduce-max-axes"),
    "GlobalAveragePool / ReduceMean": ("reduce-average",),
    "Activation": ("activation-function", "activation-negative-slope", "activation-clip", "activation-sigmoid"),
    "PReLU": ("prelu-slope",),
    "ElementWise": ("elementwise-version", "elementwise-scales", "elementwise-broadcast", "rank"),
    "Equal (8.5+), Greater, Less (8.6.12)": (
        "comparison-version", "comparison-precision", "comparison-cast", "comparison-explicit",
    ),
    "Scale / BN": ("scale-shift", "normalisation"),
    "Concat": ("concat-axis", "concat-inputs", "concat-sizes", "concat-scales"),
    "Resize": ("resize-sizes", "resize-mode", "resize-bilinear", "resize-factors", "resize-nearest"),
    "Slice / Split": ("slice-static", "slice-step", "slice-batch", "slice-precision", "slice-int8"),
    "Shuffle (Reshape/Transpose)": ("shuffle-batch", "transpose-batch", "shuffle-beside"),
    "Softmax": ("softmax-precision", "softmax-axis", "softmax-approximate"),
    "Unary": ("unary-function", "unary-version"),
    "LRN": ("lrn-window", "lrn-precision"),
    "Constant": ("constant",),
    "DLA software >= 3.14 but not through TRT": ("software-only",),
    "TopK, NMS, Gather": ("never",),
    "kDLA_LINEAR (dla_linear)": ("format", "format-linear"),
    "kDLA_HWC4 (dla_hwc4)": ("format", "format-hwc4", "format-hwc4-row"),
    "kCHW16 (chw16)": ("format", "format-chw16"),
    "kCHW32 (chw32)": ("format", "format-chw32"),
}  # fmt: skip
"""Rows of the fact sheet's tables of restrictions, and the rules that say the same."""


def fact_rows() -> set[str]:
    """First cells of the tables of sections 2 and 3 of the fact sheet."""
    text = FACTS.read_text()
    body = text[text.index("## 2. Layer restrictions") : text.index("## 4.")]
    cells = [line.split("|")[1].strip().replace("**", "") for line in body.splitlines() if line.startswith("|")]
    return {cell for cell in cells if not set(cell) <= {"-", ":"}} - {
        "general rule", "layer (ONNX)", "format (trtexec)",
    }  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_is_caught_where_it_is_broken_and_silent_beside_it(name: str) -> None:
    pair = PAIRS[name]
    broken = check(read_network(pair.broken), pair.context)
    assert name in {fault.rule.id for verdict in broken.verdicts for fault in verdict.faults}
    effect = rule(name).effect
    if effect is Effect.GPU:
        assert broken.count(Device.GPU)
    if effect is Effect.FP16:
        assert broken.count(Device.DLA_FP16) == 1
    legal = check(read_network(pair.legal), pair.legal_context or pair.context)
    fallen = legal.count(Device.GPU) + legal.count(Device.DLA_FP16)
    assert not fallen, [str(fault) for verdict in legal.verdicts for fault in verdict.faults]
    assert name not in {fault.rule.id for verdict in legal.verdicts for fault in verdict.faults}


def test_every_rule_that_a_node_can_break_has_its_pair_of_networks() -> None:
    assert {row.id for row in RULES if row.check is not None} == set(PAIRS)
    about_build = {row.id for row in build.RULES}
    assert all(bool(row.unchecked) == (row.check is None) for row in RULES if row.id not in about_build)


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (resize("linear", 4), None),
        (resize("linear", 5), "resize-bilinear"),
        (resize("linear", 1.5), "resize-factors"),
        (resize(factor=1.5), "resize-factors"),
        (resize(coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_ceil"), None),
        (resize(coordinate_transformation_mode="align_corners"), "resize-nearest"),
        (deconv(kernel=(1, 96), strides=[1, 1]), None),
        (deconv(kernel=(1, 95), strides=[1, 1]), "deconv-kernel"),
        (deconv(kernel=(3, 3), strides=[2, 2], auto_pad="SAME_UPPER"), "deconv-padding"),
        (deconv(kernel=(2, 2), strides=[2, 2], auto_pad="SAME_UPPER"), None),
        (one("Clip", (1, 8, 6, 6), np.float32([0]), np.float32([127])), None),
        (one("Clip", (1, 8, 6, 6), np.float32([0]), np.float32([0.5])), "activation-clip"),
        (one("Clip", (1, 8, 6, 6), np.float32([0])), "activation-clip"),
        (one("Split", (1, 8, 6, 6), axis=1), None),
        (one("Split", (2, 8, 6, 6), np.int64([1, 1]), axis=0), "slice-batch"),
        (one("Transpose", (1, 8, 6, 6)), "transpose-batch"),
        (one("Gemm", (4, 8), np.ones((8, 3), np.float32), np.ones(3, np.float32)), None),
        (one("Identity", (3, 2)), None),
        (one("Sub", floats(1), MAPS), None),
        (one("Div", MAPS, floats(2)), None),
        (one("Div", floats(1), MAPS), "constant"),
        (one("Pow", MAPS, floats(2)), "constant"),
        (one("Max", MAPS, floats(0)), "constant"),
        (one("Min", MAPS, floats(6)), "constant"),
        (one("Conv", (1, 8, 6), ones(8, 8, 3)), "conv-dimensions"),
        (one("ConvTranspose", (1, 8, 6), ones(8, 8, 3)), "deconv-dimensions"),
        (one("MaxPool", (1, 8, 6), kernel_shape=[2]), "pool-dimensions"),
        (one("Concat", MAPS, (2, 8, 6, 6), axis=0), "batch-equal"),
        (network(("MaxPool", [MAPS], {"kernel_shape": [2, 2]}), outputs=2), "pool-plain"),
    ],
)
def test_limits_hold_at_their_edges(model: object, fault: str | None) -> None:
    if fault == "slice-batch":
        model.graph.node[0].output.append("second")
    report = check(read_network(model), INT8)
    decided = [verdict.rule.id for verdict in report.verdicts if verdict.rule]
    assert decided == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("channels", "width", "window", "dilation", "element", "banks"),
    [
        (3, 640, (7, 7), 1, 1, 1 + 5),  # 147 B of weights; 160 entries a line, 7 lines of 256
        (64, 320, (3, 3), 1, 1, 1 + 2),  # 2 × 320 / 4 = 160 entries, 3 lines: 480
        (512, 160, (3, 3), 2, 1, 1 + 13),  # dilated to 5 lines of 640 entries
        (512, 160, (3, 3), 2, 2, 1 + 25),  # FP16 doubles the entries: over 16
        (8192, 1, (3, 3), 1, 1, 3 + 1),  # 73,728 B of weights are 2.25 banks; 64 entries a line
    ],
)
def test_the_convolution_buffer_is_counted_in_banks(
    channels: int, width: int, window: tuple[int, int], dilation: int, element: int, banks: int
) -> None:
    assert cbuf_banks(channels, width, window, dilation, element) == banks


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (pool_fault("dlaSRAM", 1 << 20), None),
        (pool_fault("dlaSRAM", 1 << 21), "pool-sram"),
        (pool_fault("dlaSRAM", 3 << 18), "pool-power"),
        (pool_fault("dlaLocalDRAM", 1 << 31), None),
        (pool_fault("dlaGlobalDRAM", 4096), None),
        (pool_fault("dlaGlobalDRAM", 2048), "pool-power"),
        (pool_fault("dlaGlobalDRAM", 0), "pool-power"),
        (loadables_fault(16, TensorRt(8, 5)), None),
        (loadables_fault(17, TensorRt(10, 3)), "loadables"),
        (loadables_fault(5, TensorRt(8, 4)), "loadables-old"),
        (format_fault("input", "int8", "dla_hwc4", 3), None),
        (format_fault("output", "int8", "dla_hwc4", 3), "format"),
        (format_fault("input", "int8", "dla_hwc4", 2), "format-hwc4"),
        (format_fault("input", "fp16", "dla_hwc4", 1, reader="MaxPool"), "format-hwc4"),
        (format_fault("output", "int8", "chw16", 32), "format"),
        (format_fault("output", "fp16", "chw16", 32), None),
        (format_fault("output", "fp16", "chw32", 32), "format"),
        (format_fault("output", "fp16", "chw", 32), "format"),
        (format_fault("input", "fp32", "dla_linear", 32), "format"),
        (standalone_fault(standalone=True, gpu_fallback=True), "standalone"),
        (standalone_fault(standalone=True, gpu_fallback=False), None),
        (standalone_fault(standalone=False, gpu_fallback=True), None),
    ],
)
def test_build_settings_are_held_against_their_rules(fault: object, expected: str | None) -> None:
    assert (fault.rule.id if fault else None) == expected


def test_ids_are_unique_and_every_row_says_where_it_is_from() -> None:
    assert len({row.id for row in RULES}) == len(RULES)
    for row in RULES:
        assert re.fullmatch(r"[a-z0-9-]+", row.id) and row.source and row.limit and row.fix, row.id


def test_the_page_is_what_the_rules_say() -> None:
    assert PAGE.read_text() == to_markdown(RULES), "write it again: unina-dla rules --markdown > docs/dla-rules.md"


def test_every_row_of_the_fact_sheet_stands_on_the_page() -> None:
    text = PAGE.read_text()
    for row, ids in FACT_ROWS.items():
        for name in ids:
            assert f"| `{name}` |" in text, f"{row}: {name}"


def test_the_list_of_fact_rows_is_the_fact_sheets() -> None:
    if not FACTS.exists():
        pytest.skip(f"{FACTS} is not there: the list of its rows is not compared with it")
    assert fact_rows() == set(FACT_ROWS)


def test_the_command_prints_the_rules_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert dla.main(["rules", "resize", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["id"] for row in rows} == set(FACT_ROWS["Resize"])
    assert dla.main(["rules", "--trt", "10.3", "--json"]) == 0
    held = {row["id"] for row in json.loads(capsys.readouterr().out)}
    assert "elementwise-version" not in held and "qdq" in held and "qdq-explicit" not in held
    assert dla.main(["rules", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text()
    assert dla.main(["rules", "nosuchlayer"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
