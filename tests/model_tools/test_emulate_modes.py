"""The modes of the host engine's arithmetic in an evaluation: one column each, a band over them, nothing claimed."""

import html
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scored_sets import found, sample
from test_evaluate_command import SPEC, answered, refused
from untrained_bundle import untrained_bundle

from unina.cli.eval import main
from unina.cli.eval_run import stage_table, tables
from unina.evaluate.agreement import BoxAgreement
from unina.evaluate.arithmetic import EVERY_MODE, Arithmetic, modes
from unina.evaluate.band import CAVEAT, BandRow, band
from unina.evaluate.classes import same_classes
from unina.evaluate.figures import rows
from unina.evaluate.map_difference import MapDifference
from unina.evaluate.raw_maps import HostMaps
from unina.evaluate.stage_table import StageRow
from unina.evaluate.summary import Scored, summarise

MODES = ["half-away fp32", "half-away fp19", "half-even fp32", "half-even fp19"]
STAGES = [f"host {mode}" for mode in MODES]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bundle and data set."""
    return untrained_bundle(tmp_path_factory.mktemp("run"))


@pytest.fixture
def bundle(made: tuple[Path, Path]) -> Path:
    return made[0]


@pytest.fixture
def data(made: tuple[Path, Path]) -> Path:
    return made[1]


def test_modes_come_once_each_and_in_one_order() -> None:
    assert [str(mode) for mode in EVERY_MODE] == MODES
    assert modes(("half-even", "half-away", "half-even"), ("fp19",)) == (
        Arithmetic("half-away", "fp19"),
        Arithmetic("half-even", "fp19"),
    )


def test_the_maps_differ_by_mode_and_fp32_in_the_bundles_rounding_is_the_plain_stage(bundle: Path) -> None:
    q = np.random.default_rng(0).integers(-128, 128, (1, 3, SPEC.input_height, SPEC.input_width)).astype(np.int8)
    plain = HostMaps(bundle / "host.loadable")(q)
    by_mode = {str(mode): HostMaps(bundle / "host.loadable", mode)(q) for mode in EVERY_MODE}
    for name, values in plain.items():
        assert (by_mode["half-away fp32"][name] == values).all()
        # ties are rare in float32 and common in FP19's eleven bits
        for one, other in (("half-away fp32", "half-away fp19"), ("half-away fp19", "half-even fp19")):
            assert (by_mode[one][name] != by_mode[other][name]).any(), f"{name}: {one} as {other}"


def test_each_mode_is_a_stage_and_their_extremes_the_band(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        bundle,
        "--data",
        data,
        "--stages",
        "host",
        "--rounding",
        "all",
        "--pointwise",
        "fp32",
        "--pointwise",
        "fp19",
    )
    result = answered(capsys, *words)
    assert list(result) == [*STAGES, "band"]
    shown = result["band"]
    assert (shown["stage"], shown["modes"], shown["caveat"]) == ("host", MODES, CAVEAT)
    for figure, key in (("mAP50", "map50"), ("mAP50-95", "map50_95")):
        values = [result[stage][key] for stage in STAGES]
        assert list(shown["figures"][figure]["values"].values()) == values
        assert (shown["figures"][figure]["low"], shown["figures"][figure]["high"]) == (min(values), max(values))
    manifest = shown["figures"]["recall at the manifest's scores"]["values"]
    assert manifest == {mode: result[f"host {mode}"]["operating_manifest"]["recall"] for mode in MODES}
    assert answered(capsys, *words) == result  # deterministic


def test_the_bundles_own_mode_scores_as_the_plain_stage(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = answered(capsys, bundle, "--data", data, "--stages", "host")
    assert list(plain) == ["host"]
    for words in (("--pointwise", "fp32"), ("--rounding", "half-away")):
        result = answered(capsys, bundle, "--data", data, "--stages", "host", *words)
        assert list(result) == ["host half-away fp32"]  # one mode has no band
        assert result["host half-away fp32"] == plain["host"]


def test_the_other_stages_stay_beside_the_modes(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = answered(capsys, bundle, "--data", data, "--rounding", "half-even")
    assert list(result) == ["onnx", "qdq", "host half-even fp32"]
    result = answered(
        capsys, bundle, "--data", data, "--stages", "host,onnx", "--pointwise", "all", "--against", bundle
    )
    assert list(result) == ["host half-away fp32", "host half-away fp19", "onnx", "band"]
    for stage in ("host half-away fp32", "host half-away fp19", "onnx"):  # each against its own twin
        assert result[stage]["against"]["difference"] == 0


def test_the_report_and_the_table_show_the_band_and_what_it_is_not(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [bundle, "--data", data, "--stages", "host", "--rounding", "all", "--report", tmp_path / "report"]
    assert main([str(word) for word in words]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "lowest … highest of 2 modes" in printed and CAVEAT in printed and "None is bit-exact" in CAVEAT
    page = html.unescape((tmp_path / "report" / "index.html").read_text())
    assert CAVEAT in page and "Stage host under 2 modes of arithmetic" in page
    assert page.count("half-even fp32") == 2  # among the band, and stage by stage
    assert "bit-exact" not in page.replace(CAVEAT, "") and "bit-exact" not in printed.replace(CAVEAT, "")


def columns_of(text: str) -> int:
    return max(len(line) for line in text.splitlines())


@pytest.mark.parametrize("width", [80, 160])
def test_every_mode_keeps_its_whole_name_and_figures_however_narrow_the_console(width: int) -> None:
    samples = [sample([[20.0, 20, 60, 80]], [0], name="p.png")]
    one = summarise(Scored.of(same_classes(("blue",), (), samples), samples, [found((0.9, [20, 20, 60, 80], 0))]))
    summaries = {f"host {mode}": replace(one, map50=0.1 + 0.1 * i) for i, mode in enumerate(EVERY_MODE)}
    console = Console(width=width, file=io.StringIO())
    for part in tables(summaries, None, width):
        console.print(part)
    text = console.file.getvalue()
    assert columns_of(text) <= width and "…" not in text.replace(" … ", "")
    for stage, summary in summaries.items():
        assert text.count(stage) == 1
        for row in rows(summary):
            assert row.text in text
    assert text.count("accuracy on") == (4 if width == 80 else 1)


def test_stage_by_stage_fits_80_columns() -> None:
    cells = {"points": -0.1, "maps": (MapDifference("p2_class", 0.0123, 2.7, 1.0, 0.001),)}
    agreement = BoxAgreement(1.0, 1.0, 100, 100)
    by_stage = [StageRow("onnx", 0.9, 0.7)]
    by_stage += [StageRow(stage, 0.9, 0.7, "onnx", boxes=agreement, **cells) for stage in STAGES]
    console = Console(width=80, file=io.StringIO())
    console.print(stage_table(by_stage))
    text = console.file.getvalue()
    assert columns_of(text) <= 80 and "…" not in text
    for word, count in (("half-away", 2), ("half-even", 2), ("fp19", 2), ("1.2e-02", 4), ("100.0 ⇄ 100.0", 4)):
        assert text.count(word) == count


def test_a_pipe_is_as_wide_as_the_names_of_the_modes(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main([str(bundle), "--data", str(data), "--stages", "host", "--rounding", "all", "--pointwise", "all"]) == 0
    printed = capsys.readouterr().out
    assert all(printed.count(stage) >= 2 for stage in STAGES)  # among the accuracies, and stage by stage


def test_what_can_not_be_emulated_is_said_in_a_line(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = bundle.parent
    assert "modes of the stage host, which" in refused(capsys, run, "--data", data, "--pointwise", "fp19")
    assert "name it in --stages" in refused(capsys, bundle, "--data", data, "--stages", "onnx", "--pointwise", "fp19")
    with pytest.raises(SystemExit) as stopped:
        main([str(bundle), "--data", str(data), "--rounding", "up"])
    assert stopped.value.code == 2 and "half-away, half-even or all" in capsys.readouterr().err


def test_a_band_reaches_from_the_lowest_to_the_highest_mode() -> None:
    samples = [sample([[20.0, 20, 60, 80]], [0], name="p.png")]
    one = Scored.of(same_classes(("blue",), (), samples), samples, [found((0.9, [20, 20, 60, 80], 0))])
    base = summarise(one)
    maps = {"a": 0.5, "b": 0.25, "c": 0.75}
    summaries = {name: replace(base, map50=value, ap50={"blue": value}) for name, value in maps.items()}
    rows = {row.name: row for row in band("host", summaries).rows}
    assert rows["mAP50"] == BandRow("mAP50", 0.25, 0.75, (0.5, 0.25, 0.75))
    assert (rows["AP50 blue"].low, rows["mAP50-95"].low, rows["mAP50-95"].high) == (0.25, base.map50_95, base.map50_95)
    assert "recall at the manifest's scores" not in rows
    summaries["b"] = replace(base, map50=float("nan"))
    assert {row.name: row for row in band("host", summaries).rows}["mAP50"] == BandRow(
        "mAP50", None, None, (0.5, None, 0.75)
    )


def test_a_band_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one mode"):
        band("host", {})


def test_json_of_the_band_is_json(bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (bundle, "--data", data, "--stages", "host", "--pointwise", "all", "--output", tmp_path / "result.json")
    assert answered(capsys, *words) == json.loads((tmp_path / "result.json").read_text())
