"""Calibration finds the constants that made the measurements, holds on to the shipped ones, and names bad rows."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "model-tools" / "estimator"))

from published import steps

from unina.cli.dla import main
from unina.dla.calibrate import TOLERANCE, Target, calibrate
from unina.dla.constants import ORIN, ConstantsError, DlaConstants, constants_json, read_constants
from unina.dla.estimate import estimate, estimate_plan
from unina.dla.measurements import Measurement, MeasurementError, read_measurements
from unina.dla.network import read_network
from unina.dla.platforms import MAXN, POWER_MODES, PowerMode

BUNDLE = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"
NETWORKS = ("ResNet-34 backbone", "SSD-ResNet-34", "ResNet-50", "SSD-MobileNetV1")
TRUE = replace(
    ORIN, efficiency=0.72, bandwidth_gb_s=39.0, clock_share=0.45, depthwise_per_cycle=9.0, image_efficiency=0.35
)


def measured(network: str, ms: float, mode: PowerMode = MAXN, layer: str = "", sparse: bool = False) -> Target:
    row = Measurement("times.csv:2", Path(network), layer, mode, 1, "int8", sparse, ms)
    return Target(row, steps(network))


def made_by(constants: DlaConstants, noise: float = 0.0, networks: tuple[str, ...] = NETWORKS) -> list[Target]:
    """What a device with these constants would show: every network in every power mode."""
    random = np.random.default_rng(3)
    found = []
    for network in networks:
        for mode in POWER_MODES.values():
            ms = estimate_plan(steps(network), mode, constants).latency_ms
            found.append(measured(network, ms * float(np.exp(random.normal(0, noise))), mode))
    return found


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 0.03), (0.03, 0.06)])
def test_the_constants_that_made_the_measurements_are_found(noise: float, tolerance: float) -> None:
    found = calibrate(made_by(TRUE, noise))
    for name in ("efficiency", "bandwidth_gb_s"):
        assert getattr(found.constants, name) == pytest.approx(getattr(TRUE, name), rel=tolerance), name
    assert found.constants.depthwise_per_cycle == pytest.approx(TRUE.depthwise_per_cycle, rel=0.15)
    assert found.constants.clock_share == pytest.approx(TRUE.clock_share, abs=0.1)
    assert np.abs(found.errors(found.before_ms)).mean() > 0.15
    assert np.abs(found.errors(found.after_ms)).mean() < 0.01 + noise


def test_measurements_of_the_shipped_constants_leave_them_alone() -> None:
    found = calibrate(made_by(ORIN, networks=("ResNet-50",)))
    assert not found.moved and found.before_ms == pytest.approx(found.after_ms, rel=1e-4)


def test_what_the_rows_say_nothing_about_stays() -> None:
    found = calibrate(made_by(TRUE, networks=("ResNet-34 backbone",)))
    for name in ("sparse_speed", "fp16_macs_per_cycle", "depthwise_per_cycle"):
        assert getattr(found.constants, name) == pytest.approx(getattr(ORIN, name), rel=1e-6), name
    assert {"efficiency", "bandwidth_gb_s"} <= set(found.moved)


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.25, 2.5])
def test_one_row_can_shift_the_constants_but_not_to_nonsense(factor: float) -> None:
    """A single number scales what it stands on, no farther than itself, and nothing leaves its meaning."""
    ms = estimate_plan(steps("ResNet-50"), MAXN).latency_ms
    found = calibrate([measured("ResNet-50", ms * factor)])
    for name in TOLERANCE:
        moved = abs(np.log(getattr(found.constants, name) / getattr(ORIN, name)))
        assert moved <= abs(np.log(factor)) + 1e-6, name
    assert 0 < found.constants.clock_share <= 1
    assert abs(np.log(found.after_ms[0] / found.measurements[0].ms)) < abs(np.log(factor))


def test_a_layer_counts_less_than_a_network() -> None:
    network = estimate_plan(steps("ResNet-50"), MAXN)
    layer = max(network.layers, key=lambda one: one.latency_ms)
    slower = 1.3
    whole = calibrate([measured("ResNet-50", slower * network.latency_ms)])
    part = calibrate([measured("ResNet-50", slower * layer.latency_ms, layer=layer.name)])
    moved = [abs(np.log(one.constants.bandwidth_gb_s / ORIN.bandwidth_gb_s)) for one in (whole, part)]
    assert moved[0] > 2 * moved[1] > 0


def test_a_fused_layers_name_as_the_profiler_joins_it_is_found() -> None:
    step = next(one for one in steps("ResNet-50").steps if len(one.nodes) == 3)
    ms = next(one.latency_ms for one in estimate_plan(steps("ResNet-50"), MAXN).layers if one.name == step.name)
    found = calibrate([measured("ResNet-50", ms, layer=" + ".join(step.nodes))])
    assert found.before_ms == (pytest.approx(ms),)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (measured("ResNet-50", 1.0, layer="conv_of_another"), "layer: conv_of_another: no such layer"),
        (measured("ResNet-50", 1.0, layer="conv0 + conv3"), "layer: conv0 + conv3: 2 steps of the DLA"),
        (measured("ResNet-50", 1000.0), "value: 1000 ms an image: the estimate is"),
        (measured("ResNet-50", 0.001), "check unit, batch, power mode"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(target: Target, message: str) -> None:
    with pytest.raises(MeasurementError, match=r"times\.csv:2: ") as error:
        calibrate([target])
    assert message in str(error.value)


def write_csv(folder: Path, *rows: str, header: str = "model,layer,power_mode,batch,precision,value,unit") -> Path:
    path = folder / "times.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    (folder / "cones.unina").symlink_to(BUNDLE)
    return path


def test_values_become_milliseconds_an_image(tmp_path: Path) -> None:
    header = "unit, value ,model,batch,power_mode,layer,clock_mhz,emc_mhz,sparse"
    rows = [
        "ms,8,cones.unina,4,15W,,,,",
        "us,800,cones.unina,,,,1000,3200,yes",
        "cycles,160000,cones.unina,,MAXN,stem,,,no",
        ",,,,,,,,",
        "cycles,160000,cones.unina,,MAXN,stem,800,,",
    ]
    found = read_measurements(write_csv(tmp_path, *rows, header=header))
    assert [one.ms for one in found] == pytest.approx([2.0, 0.8, 0.1, 0.2])
    assert [one.mode.clock_mhz for one in found] == [614.4, 1000, 1600, 800]
    assert [one.mode.emc_mhz for one in found] == [2133, 3200, 3200, 3200]
    assert [one.sparse for one in found] == [False, True, False, False]
    assert [one.where.rpartition(":")[2] for one in found] == ["2", "3", "4", "6"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("gone.onnx,,MAXN,1,int8,1,ms", "times.csv:2: model: gone.onnx: no such file; paths are relative to the CSV"),
        ("cones.unina,,MAXN,1,int4,1,ms", "times.csv:2: precision: int4: must be int8 or fp16"),
        ("cones.unina,,MAXN,0,int8,1,ms", "times.csv:2: batch: 0: must be a whole number from 1 to 4096"),
        ("cones.unina,,MAXN,4097,int8,1,ms", "times.csv:2: batch: 4097: must be a whole number from 1 to 4096"),
        (f"cones.unina,,MAXN,{'9' * 5000},int8,1,ms", "must be a whole number from 1 to 4096"),
        ("cones.unina,,MAXN,1,int8,-1,ms", "times.csv:2: value: -1: must be a number above zero"),
        ("cones.unina,,MAXN,1,int8,nan,ms", "times.csv:2: value: nan: must be a number above zero"),
        ("cones.unina,,MAXN,1,int8,1.7,s", "times.csv:2: unit: s: must be one of ms, us, cycles"),
        ("cones.unina,,60W,1,int8,1.7,ms", "times.csv:2: power_mode: 60W: agx-orin-64gb has no power mode 60W"),
        ("cones.unina,,,1,int8,1.7,ms", "times.csv:2: power_mode: none: name one, or give both clock_mhz and emc_mhz"),
        ("cones.unina,,MAXN,1,int8,1,7,ms", "times.csv:2: ['ms']: more values than columns"),
        ("cones.unina,,MAXN,1,int8,170,ms", "times.csv:2: value: 170 ms an image: the estimate is"),
        ("times.csv,,MAXN,1,int8,1.7,ms", "times.csv:2: model: "),
        ("", "times.csv:2: no rows"),
    ],
)
def test_the_command_names_a_bad_row_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, message: str
) -> None:
    output = tmp_path / "constants.json"
    assert main(["calibrate", str(write_csv(tmp_path, row)), "--output", str(output)]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and not output.exists()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("model,value", "times.csv:1: unit: the column is missing"),
        ("model,value,unit,watt", "times.csv:1: watt: no such column; they are model, layer,"),
        ("", "times.csv:1: model: the column is missing"),
        ("model,value,unit,value", "times.csv:1: value: the column is there twice; leave one of them out"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(MeasurementError) as error:
        read_measurements(write_csv(tmp_path, header=header))
    assert message in str(error.value)


def test_the_command_writes_what_the_estimate_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = estimate(read_network(BUNDLE / "model.onnx")).latency_ms
    slower = 1.2 * shipped
    rows = [f"cones.unina,,MAXN,1,int8,{slower:.4f},ms", f"cones.unina,,MAXN,4,int8,{4 * slower:.4f},ms"]
    output = tmp_path / "constants.json"
    assert main(["calibrate", str(write_csv(tmp_path, *rows)), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "efficiency" in said and "2 rows: mean error 1" in said and str(output) in said
    document = json.loads(output.read_text())
    assert document["rows"] == 2 and document["mean_error_after"] < 0.03 < document["mean_error_before"]
    assert main(["estimate", str(BUNDLE), "--constants", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["latency_ms"] == pytest.approx(slower, rel=0.03)


def test_rows_that_contradict_each_other_are_said_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = estimate(read_network(BUNDLE / "model.onnx")).latency_ms
    rows = [f"cones.unina,,MAXN,1,int8,{factor * shipped:.4f},ms" for factor in (0.4, 1.25)]
    output = tmp_path / "constants.json"
    assert main(["calibrate", str(write_csv(tmp_path, *rows)), "--output", str(output)]) == 1
    assert "the estimate still misses these rows by" in capsys.readouterr().err and output.exists()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_constants_that_miss_the_rows_by_more_than_the_shipped_ones_are_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    shipped = estimate(read_network(BUNDLE / "model.onnx")).latency_ms
    rows = [f"cones.unina,,MAXN,1,int8,{factor * shipped:.4f},ms" for factor in (0.5, 2.5)]
    output = tmp_path / "constants.json"
    assert main(["calibrate", str(write_csv(tmp_path, *rows)), "--output", str(output), *form]) == 1
    error = capsys.readouterr().err
    assert "constants.json: not written" in error and "the shipped ones by 80%" in error and error.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("output", ["times.csv", "link.csv", "own.onnx", "bundle/model.onnx", "bundle/constants.json"])
def test_what_is_read_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    path = write_csv(tmp_path, "own.onnx,,MAXN,1,int8,1.7,ms", "bundle,,MAXN,1,int8,1.7,ms")
    (tmp_path / "bundle").mkdir()
    for name in ("own.onnx", "bundle/model.onnx"):
        (tmp_path / name).write_bytes(b"weights of months")
    (tmp_path / "link.csv").symlink_to(path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert main(["calibrate", str(path), "--output", str(tmp_path / output)]) == 2
    assert "would replace what is read" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("column", ["clock_mhz", "emc_mhz"])
@pytest.mark.parametrize("clock", ["1e308", "0.5", "1600000000"])
def test_a_clock_that_no_dla_has_is_refused(tmp_path: Path, column: str, clock: str) -> None:
    path = write_csv(tmp_path, f"cones.unina,maxn,{clock},1.7,ms", header=f"model,power_mode,{column},value,unit")
    with pytest.raises(MeasurementError, match=rf"times\.csv:2: {column}: {clock}: must be 10 to 10000, in MHz"):
        read_measurements(path)


def test_constants_survive_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "constants.json"
    path.write_text(json.dumps(constants_json(TRUE) | {"rows": 16}))
    assert read_constants(path) == TRUE
    path.write_text('{"schema": 1, "constants": {"efficiency": 0.5}}')
    assert read_constants(path) == replace(ORIN, efficiency=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not the constants that `unina-dla calibrate` writes"),
        ("[]", "not the constants"),
        ('{"schema": 2, "constants": {}}', "schema 2, this version reads 1"),
        ('{"schema": 1, "constants": {"speed": 1}}', "speed: no such constant; they are macs_per_cycle,"),
        ('{"schema": 1, "constants": {"efficiency": 0}}', "efficiency: 0: must be a number above zero"),
        ('{"schema": 1, "constants": {"efficiency": "fast"}}', "efficiency: 'fast': must be a number above zero"),
        ('{"schema": 1, "constants": {"atom": 1.5}}', "atom: 1.5: must be a whole number"),
        ('{"schema": 1, "constants": {"clock_share": 1.5}}', "clock_share: 1.5: must lie between 0 and 1"),
    ],
)
def test_a_file_that_holds_no_constants_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "constants.json"
    path.write_text(text)
    with pytest.raises(ConstantsError) as error:
        read_constants(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
