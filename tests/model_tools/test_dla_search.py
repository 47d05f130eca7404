"""The search for widths: what it estimates is what the network costs, what it ranks is what it says it ranks."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from unina.cli.dla import main
from unina.cli.dla_search import PROBE, STRIDES, Dla, evaluate, space, widened, widths_of
from unina.cli.models import deploy_network
from unina.dla.check import check
from unina.dla.constants import ORIN
from unina.dla.estimate import estimate
from unina.dla.network import Network, read_network
from unina.dla.platforms import MAXN, POWER_MODES
from unina.dla.search import family, figures, finest_outputs, grid, receptive_field
from unina.model import ModelSpec
from unina.model.plan import PLANS

SPEC = ModelSpec("b1", "qarep", 640, 640, ("p2", "p3", "p4"), 16)


def parameters(network: Network) -> int:
    return sum(network.constants[one].size for node in network.nodes if node.op == "Conv" for one in node.inputs[1:])


@pytest.mark.parametrize(
    ("spec", "mode"),
    [
        (SPEC, "MAXN"),
        (
            replace(SPEC, plan=widened(PLANS["b1"], {"widths.4": 96, "widths.8": 160, "neck.4": 96, "neck.8": 96})),
            "15W",
        ),
        (replace(SPEC, levels=("p3", "p4", "p5"), reg_max=1, input_height=384, input_width=1280), "MAXN"),
    ],
)
def test_the_estimate_of_widths_is_that_of_the_network_traced_with_them(spec: ModelSpec, mode: str) -> None:
    constants = replace(ORIN, bandwidth_gb_s=33.0) if mode == "15W" else ORIN
    found = evaluate(
        space(spec, spec.levels, (spec.input_width, spec.input_height), 8),
        [widths_of(spec.stages)],
        spec,
        5,
        Dla(POWER_MODES[mode], constants),
    )
    network = deploy_network(spec, 5)
    whole = estimate(network, POWER_MODES[mode], constants)
    assert found.latency_ms[0] == pytest.approx(whole.latency_ms, rel=1e-9)
    assert found.macs[0] == whole.macs
    assert found.parameters[0] == parameters(network)


@pytest.fixture(scope="module")
def two_levels() -> Network:
    """Stem of 5 at stride 2; 6 at stride 4 with an output of 3; 7 at stride 8, back up to the first output's concat."""
    weights = {"w5": (5, 3, 3, 3), "w6": (6, 5, 3, 3), "w7": (7, 6, 3, 3), "w3": (3, 13, 1, 1), "w4": (4, 7, 1, 1)}

    def conv(x: str, kernel: str, y: str, stride: int) -> object:
        size = weights[kernel][2]
        return helper.make_node(
            "Conv", [x, kernel], [y], y, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4
        )

    nodes = [
        conv("x", "w5", "half", 2),
        conv("half", "w6", "quarter", 2),
        conv("quarter", "w7", "eighth", 2),
        helper.make_node("Resize", ["eighth", "", "scales"], ["up"], "up", mode="nearest"),
        helper.make_node("Concat", ["quarter", "up"], ["both"], "both", axis=1),
        conv("both", "w3", "fine", 1),
        conv("eighth", "w4", "coarse", 1),
    ]
    tensors = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    tensors.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 64])],
        [
            helper.make_tensor_value_info("fine", TensorProto.FLOAT, [1, 3, 8, 16]),
            helper.make_tensor_value_info("coarse", TensorProto.FLOAT, [1, 4, 4, 8]),
        ],
        tensors,
    )
    return read_network(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


CODES = {"stem": 5, "a": 6, "b": 7, "fine": 3, "coarse": 4}
HALF, QUARTER, EIGHTH = 16 * 32 * 5 * 27, 8 * 16 * 6 * 45, 4 * 8 * 7 * 54
FINE, COARSE = 8 * 16 * 3 * 13, 4 * 8 * 4 * 7


@pytest.mark.parametrize(
    ("object_px", "detail"),
    [
        (4, HALF),
        (8, HALF + QUARTER + FINE),
        (16, HALF + QUARTER + FINE + EIGHTH),
        (1000, HALF + QUARTER + FINE + EIGHTH),
    ],
)
def test_detail_is_what_the_finest_level_depends_on_where_the_object_is_two_cells_tall(
    two_levels: Network, object_px: int, detail: int
) -> None:
    """The coarse output is never in it: nothing of the finest level comes from there."""
    found = figures(family(two_levels, CODES, object_px), np.array([list(CODES.values())]), MAXN)
    assert found.detail_macs[0] == detail
    assert found.macs[0] == HALF + QUARTER + EIGHTH + FINE + COARSE


def test_widths_are_carried_through_concat_and_resize(two_levels: Network) -> None:
    wide = np.array([[5, 6, 7, 3, 4], [10, 6, 7, 3, 4], [5, 6, 14, 3, 4]])
    found = figures(family(two_levels, CODES, 8), wide, MAXN)
    assert found.macs[1] - found.macs[0] == HALF + QUARTER  # twice the stem: written and read
    assert found.macs[2] - found.macs[0] == EIGHTH + 8 * 16 * 3 * 7 + COARSE


def test_the_receptive_field_is_counted_along_maps_of_the_stride(two_levels: Network) -> None:
    assert finest_outputs(two_levels) == ("fine",)
    assert receptive_field(two_levels, "fine", 4) == 1 + 2 * 1 + 2 * 2
    assert receptive_field(two_levels, "fine") == 1 + 2 * 1 + 2 * 2 + 2 * 4
    with pytest.raises(ValueError, match="not reached"):
        receptive_field(two_levels, "coarse", 4)


@pytest.mark.parametrize("codes", [{"a": 5}, {**CODES, "other": 6}])
def test_widths_that_cannot_be_told_apart_are_refused(two_levels: Network, codes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"no width's|told apart"):
        family(two_levels, codes, 8)


@pytest.mark.parametrize("strides", [(4, 8), (4, 8, 16), (8, 16, 32)])
def test_every_network_looked_at_has_the_promised_form_and_none_twice(strides: tuple[int, ...]) -> None:
    seen = set()
    for widths in grid(strides):
        assert all(width % 32 == 0 and 32 <= width <= 512 for width in widths.values())
        backbone = [width for name, width in widths.items() if name.startswith("widths.")]
        assert len(backbone) == STRIDES.index(strides[-1]) + 1
        assert all(1.5 <= wide / narrow <= 2.5 for narrow, wide in pairwise(backbone))
        for stride in strides:
            assert widths[f"head.{stride}"] <= widths[f"neck.{stride}"] <= widths[f"widths.{stride}"]
        for part in ("neck", "head"):
            values = [widths[f"{part}.{stride}"] for stride in strides]
            assert all(narrow <= wide <= 2 * narrow for narrow, wide in pairwise(values))
        seen.add(tuple(widths.values()))
    assert len(seen) == sum(1 for _ in grid(strides)) > 100


def test_the_family_that_ships_is_among_what_is_looked_at() -> None:
    b1 = widths_of(PLANS["b1"])
    assert {name: b1[name] for name in next(grid((4, 8, 16)))} in list(grid((4, 8, 16)))


def test_no_two_widths_of_the_probe_look_alike() -> None:
    assert len(set(PROBE.values())) == len(PROBE)


@pytest.fixture(scope="module")
def small_spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "spec.yaml"
    model = {"backbone": "pico", "input_height": 256, "input_width": 512, "levels": ["p2", "p3"], "reg_max": 1}
    path.write_text(yaml.safe_dump({"data": "d.yaml", "classes": ["a", "b"], "model": model, "train": {"epochs": 3}}))
    return path


def test_the_command_ranks_what_meets_the_budget_and_says_where_the_shipped_network_stands(
    small_spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", str(small_spec), "--levels", "p2,p3", "--size", "512x256", "--size", "640x640", "--top", "99"]
    assert main([*words, "--budget-ms", "0.8", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["rows"]
    assert {row["size"] for row in rows} == {"512×256", "640×640"}
    assert all(row["latency_ms"] <= 0.8 for row in rows)
    assert [row["detail_gmac"] for row in rows] == sorted((row["detail_gmac"] for row in rows), reverse=True)
    first = rows[0]
    width, height = map(int, first["size"].split("×"))
    spec = ModelSpec("pico", "qarep", height, width, tuple(first["levels"]), 1, plan=first["plan"])
    network = deploy_network(spec, 2)
    assert estimate(network).latency_ms == pytest.approx(first["latency_ms"])
    assert check(network).on_dla
    shipped = [row for row in document["known"] if row["name"] == "b1, ships"]
    assert {row["size"]: row["place"] for row in shipped}["640×640"] == "outside the budget"
    assert {row["name"] for row in document["known"]} == {"b1, ships", "pico of the spec"}


def test_the_plan_that_is_printed_can_be_put_into_a_spec(small_spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(small_spec), "--levels", "p2,p3", "--budget-ms", "1"]) == 0
    out = capsys.readouterr().out
    model = yaml.safe_load(out[out.index("model part of a spec:") :].partition("\n")[2])
    spec = ModelSpec(**model)
    assert spec.plan is not None
    assert (spec.input_width, spec.input_height, spec.levels) == (512, 256, ("p2", "p3"))


def test_what_nothing_meets_is_a_no(small_spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(small_spec), "--levels", "p2,p3", "--budget-ms", "0.001"]) == 1
    assert "nothing meets 0.001 ms" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: {backbone: b9}", "b9"),
        ("model: {bckbone: b1}", "model.bckbone"),
        ("model: [", "not a training spec"),
        ("[]", "not a training spec"),
        ("model: {plan: {stem: 3}}", "not a training spec"),
        (None, "No such file"),
    ],
)
def test_a_spec_that_cannot_be_read_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    path = tmp_path / "spec.yaml"
    if text is not None:
        path.write_text(text)
    assert main(["search", str(path), "--budget-ms", "2"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_a_power_mode_that_there_is_not_is_refused_by_name(
    small_spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(small_spec), "--budget-ms", "2", "--power-mode", "60W"]) == 2
    assert "50W" in capsys.readouterr().err


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, unina.cli.dla_search; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("object_px", "enough"), [("0.01", False), ("7.9", False), ("8", True)])
def test_an_object_for_which_no_map_is_fine_enough_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], object_px: str, enough: bool
) -> None:
    """Every network would have the same detail, and the list would rank nothing."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({"model": {"backbone": "b1", "levels": ["p2", "p3"]}}))
    words = ["search", str(spec), "--budget-ms", "1.2", "--levels", "p2,p3", "--object-px", object_px]
    assert main(words) == int(not enough)
    said = capsys.readouterr()
    assert (f"--object-px {object_px}: no map is fine enough" in said.err) == (not enough)
    assert bool(said.out) == enough
