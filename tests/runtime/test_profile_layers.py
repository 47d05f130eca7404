"""`unina-profile layers`: measured layers find their estimates by the nodes that were fused into them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from profile_logs import log
from profile_program import Bench
from profile_runs import estimate_json
from tiny_bundle import CLASSES, HEIGHT, REG_MAX, STRIDES, WIDTH, make_bundle

from unina_runtime.profile.findings import read_operations

SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"
LAYERS = [("/stem/Conv", 0.5, "memory"), ("/pool", 0.125, "memory"), ("/a/Conv", 0.25, "compute"), ("/cat", 0.0, "-")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    estimate(made)
    return made


def estimate(bench: Bench, batch: int = 1) -> None:
    """estimate.json, of four layers; made up."""
    layers = [{"name": name, "kind": "Conv", "latency_ms": ms, "bound": bound} for name, ms, bound in LAYERS]
    told = {"model": "cones.unina", "platform": "agx-orin-64gb", "mode": {"name": "MAXN"}, "precision": "int8"}
    told |= {"batch": batch, "macs": 1, "complete": True, "layers": layers}
    (bench.folder / "estimate.json").write_text(json.dumps(told))


def cudla(bench: Bench, *rows: str, heads: str = "layer_name,start_ms,end_ms") -> None:
    (bench.folder / "stats.csv").write_text("\n".join([heads, *rows]) + "\n")


def told(bench: Bench, file: str = "stats.csv", code: int = 0) -> dict[str, Any]:
    done = bench.run("layers", file, "--estimate", "estimate.json", "--json")
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rows_of(document: dict[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    return {row["layer"]: (row["measured_ms"], row["estimated_ms"]) for row in document["layers"]}


def test_fused_layers_of_cudla_are_joined_by_their_nodes(bench: Bench) -> None:
    """A pool is named with the convolution before it and by itself, as in NVIDIA's own example."""
    cudla(bench, "'/stem/Conv + /stem/BN+/stem/Relu+/pool',1.0,1.5", "'/pool',2,2.5", "'/a/Conv+/a/Relu,x',3.0,3.5")
    found = told(bench)
    assert rows_of(found) == {
        "/stem/Conv + /stem/BN+/stem/Relu+/pool": (pytest.approx(0.5), 0.5),
        "/pool": (pytest.approx(0.5), 0.125),
        "/a/Conv+/a/Relu,x": (pytest.approx(0.5), 0.25),
    }
    assert found["totals"]["ratio"] == pytest.approx(1.5 / 0.875)
    assert found["totals"]["ratio_compute"] == pytest.approx(2) and found["totals"]["ratio_memory"] == pytest.approx(
        1.6
    )
    assert "counted twice" in found["remark"]


def test_net_durations_are_a_layers_time_where_they_are_told(bench: Bench) -> None:
    heads = "layer_name,start_ms,end_ms,net_duration_cpipes_ms,net_duration_rubik_ms,net_duration_bdma_ms,uses_sram"
    cudla(bench, "'/stem/Conv',0,9,0.25,0.5,0.125,1", heads=heads)
    found = told(bench)
    assert rows_of(found)["/stem/Conv"] == (0.875, 0.5) and found["remark"] == ""


def test_a_profile_of_trtexec_is_read_and_what_went_to_the_dla_as_one_is_one(bench: Bench) -> None:
    profile = [{"count": 10}, {"name": "Reformatting CopyNode", "averageMs": 0.0625, "timeMs": 1, "percentage": 5}]
    profile += [{"name": "{ForeignNode[/stem/Conv.../a/Conv]}", "averageMs": 1.75, "timeMs": 17, "percentage": 95}]
    (bench.folder / "profile.json").write_text(json.dumps(profile))
    found = told(bench, "profile.json")
    assert rows_of(found) == {
        "Reformatting CopyNode": (0.0625, None),
        "{ForeignNode[/stem/Conv.../a/Conv]}": (1.75, 0.875),
    }
    assert "cuDLA's statistics tell them apart" in found["remark"]


def test_what_only_one_side_has_is_told_and_a_batch_is_divided(bench: Bench) -> None:
    estimate(bench, batch=2)
    cudla(bench, "'/stem/Conv',0.0,4.0", "'/new/Reshape',4.0,5.0")
    assert rows_of(told(bench)) == {
        "/stem/Conv": (2.0, 0.5),
        "/new/Reshape": (0.5, None),
        "/pool": (None, 0.125),
        "/a/Conv": (None, 0.25),
    }


def test_another_network_is_a_no(bench: Bench) -> None:
    cudla(bench, "'/other',0,1")
    assert told(bench, code=1)["totals"]["ratio"] is None
    assert "same network" in bench.run("layers", "stats.csv", "--estimate", "estimate.json").stderr


def test_the_table_and_the_rows_for_calibration_are_read_back(bench: Bench) -> None:
    cudla(bench, "'/stem/Conv + x',0,0.5", "'/pool',1,1.25", "'/a/Conv',2,2.5")
    text = bench.good(
        *("layers", "stats.csv", "--estimate", "estimate.json", "-o", "layers.csv", "--calibration", "measured.csv")
    )
    assert "measured 1.25 ms, estimated 0.875 ms an image" in text
    table = pd.read_csv(bench.folder / "layers.csv").set_index("layer")
    assert table.loc["/pool", "ratio"] == 2 and table["measured_percent"].sum() == pytest.approx(100)
    rows = pd.read_csv(bench.folder / "measured.csv")
    assert list(rows["layer"]) == ["/stem/Conv", "/pool", "/a/Conv"] and list(rows["value"]) == [500, 250, 500]
    assert set(rows["unit"]) == {"us"} and set(rows["power_mode"]) == {"MAXN"}


def test_unina_dla_calibrate_takes_the_rows_of_the_shipped_network(bench: Bench) -> None:
    dla = [str(Path(sys.executable).with_name("unina-dla"))]
    done = subprocess.run([*dla, "estimate", SHIPPED, "--json"], capture_output=True, text=True, check=True)
    (bench.folder / "estimate.json").write_text(done.stdout)
    at, rows = 0.0, []
    for layer in json.loads(done.stdout)["layers"]:
        took = 1.1 * layer["latency_ms"]  # made up
        rows += [f"'{layer['name']}+fused',{at:.6f},{at + took:.6f}"] if took else []
        at += took
    cudla(bench, *rows)
    bench.good("layers", "stats.csv", "--estimate", "estimate.json", "--calibration", "measured.csv")
    done = subprocess.run(
        [*dla, "calibrate", "measured.csv", "--output", "constants.json"],
        **{"cwd": bench.folder, "capture_output": True, "text": True},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = told(bench)
    assert found["totals"]["ratio"] == pytest.approx(1.1, rel=1e-3)


@pytest.mark.parametrize(
    "text", ["", "[]", "a,b\n1,2\n", "layer_name,start_ms,end_ms\n'x',2,1\n", '[{"name": 1}]', "[["]
)
def test_what_is_no_list_of_layers_is_refused(bench: Bench, text: str) -> None:
    (bench.folder / "bad.csv").write_text(text)
    assert "bad.csv" in bench.bad(2, "layers", "bad.csv", "--estimate", "estimate.json")
    (bench.folder / "estimate.json").write_text("{}")
    cudla(bench, "'/stem/Conv',0,1")
    assert "estimate.json" in bench.bad(2, "layers", "stats.csv", "--estimate", "estimate.json")


def test_the_page_tells_them_too(bench: Bench) -> None:
    cudla(bench, "'/stem/Conv',0,1.5")
    (bench.folder / "run.log").write_text(log("agx_orin_r36", 5))
    assert "needs --network" in bench.bad(2, "report", "run.log", "--layers", "stats.csv")
    bench.good("report", "run.log", "--layers", "stats.csv", "--network", "estimate.json")
    text = (bench.folder / "run.html").read_text()
    assert "Layer by layer" in text and "<td>/stem/Conv</td><td>1.5</td><td>100</td><td>0.5</td>" in text


def test_the_operations_of_a_bundle_are_those_of_its_convolutions(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny.unina")
    channels = len(CLASSES) + 4 * REG_MAX
    macs = sum((HEIGHT // s) * (WIDTH // s) * 3 * s * s * channels for s in STRIDES)
    assert read_operations(bundle.path).macs == macs
    assert read_operations(estimate_json(tmp_path / "e.json", 7)).macs == 7
