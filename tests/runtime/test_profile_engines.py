"""`unina-profile engines`, on a stand-in of trtexec: what is built and timed how, and that nothing is lost."""

import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from profile_program import Bench
from profile_runs import estimate_json
from profile_trtexec import MS, calls, install_trtexec, order, value
from tiny_bundle import TinyBundle, make_bundle

from unina_runtime.profile.onnx_batch import with_batch
from unina_runtime.profile.outcome import CannotSay


def network(path: Path) -> Path:
    """A network with a fixed batch of 1, a constant that is an input, too, and shapes inside."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 1, 1), [0.5] * 12)
    shape = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))]
    shape.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3, 1, 1)))
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 8, 8))]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], "/stem/Conv"), helper.make_node("Relu", ["c"], ["y"])]
    inside = [helper.make_tensor_value_info("c", TensorProto.FLOAT, (1, 4, 8, 8))]
    graph = helper.make_graph(nodes, "g", shape, out, [weights], value_info=inside)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


class Jetson(Bench):
    """With a bundle whose network is a true ONNX file."""

    trtexec: Path
    bundle: TinyBundle

    @property
    def table(self) -> "pd.DataFrame":
        return pd.read_csv(self.folder / "out" / "runs.csv")

    def engines(self, *flags: object) -> list[object]:
        return ["engines", self.bundle.path, "-o", "out", "--seconds", "0.2", *flags]

    def built(self) -> list[list[str]]:
        return [one for one in calls(self.trtexec) if value(one, "--saveEngine")]


@pytest.fixture
def jetson(tmp_path: Path) -> Jetson:
    made = Jetson(tmp_path)
    made.bundle = make_bundle(tmp_path / "tiny.unina")
    network(made.bundle.path / "model.onnx")
    (made.bundle.path / "calibration.cache").write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    made.bundle.seal()
    two = len(with_batch((made.bundle.path / "model.onnx").read_bytes(), 2, "m"))
    one = len((made.bundle.path / "model.onnx").read_bytes())
    made.trtexec = install_trtexec(tmp_path / "bin", batch_of={str(two): 2} if two != one else {})
    return made


def test_one_row_a_run_with_the_figures_of_trtexecs_own_times(jetson: Jetson) -> None:
    jetson.good(*jetson.engines("--gpu-load", "no"))
    table = jetson.table.set_index("variant")
    assert list(table.index) == ["gpu-fp16", "gpu-int8", "dla-fp16", "dla-int8", "both-fp16", "both-int8"]
    assert set(table["status"]) == {"ok"} and set(table["tensorrt"]) == {"10.3.0"}
    for name, ms in MS.items():
        assert table.loc[name, "p50_ms"] == pytest.approx(ms * 1.0495)
        assert table.loc[name, "p99_ms"] == pytest.approx(ms * 1.098, rel=1e-3)
        assert table.loc[name, "images_per_second"] == pytest.approx(1000 / (ms * 1.0495))
    one, both = table.loc["dla-int8"], table.loc["both-int8"]
    assert both["images_per_second"] == pytest.approx(2 * one["images_per_second"])
    assert (both["device"], both["inferences"]) == ("dla0+dla1", 200)
    assert table["watts"].isna().all(), "without tegrastats nobody knows"
    assert (jetson.folder / "out" / "dla-int8-b1" / "profile.json").exists()


def test_each_engine_is_built_as_its_device_wants_it_once(jetson: Jetson) -> None:
    jetson.good(*jetson.engines("--variants", "gpu-int8,dla-fp16,dla-int8,both-int8"))
    built = jetson.built()
    assert len(built) == 4, "both cores share one engine, with load and without; one is the load's"
    by_kind = {(bool(value(one, "--useDLACore")), "--int8" in one): one for one in built}
    dla = by_kind[True, True]
    assert "--inputIOFormats=int8:dla_hwc4" in dla and "--calib=calibration.cache" in dla
    assert "--fp16" not in dla and "--allowGPUFallback" not in dla and "--buildDLAStandalone" not in dla
    assert "--inputIOFormats=fp16:dla_hwc4" in by_kind[True, False] and "--fp16" in by_kind[True, False]
    assert "--fp16" in by_kind[False, True], "the GPU may take FP16 where it is the faster"
    assert all("--skipInference" in one and "--timingCacheFile=timing.cache" in one for one in built)
    assert len((jetson.folder / "out" / "timing.cache").read_text().split()) == 4, "each build goes on with the cache"
    timed = [one for one in calls(jetson.trtexec) if value(one, "--exportTimes")]
    cores = [value(one, "--useDLACore") for one in timed]
    assert cores.count("0") == 6 and cores.count("1") == 2 and cores.count("") == 2


def test_beside_a_gpu_that_works_the_gpus_times_are_other_and_the_load_is_gone_afterwards(jetson: Jetson) -> None:
    jetson.good(*jetson.engines("--variants", "gpu-int8,dla-int8"))
    table = jetson.table.set_index(["variant", "gpu_load"])["p50_ms"]
    assert table["gpu-int8", True] == pytest.approx(2 * table["gpu-int8", False])
    assert table["dla-int8", True] == pytest.approx(table["dla-int8", False])
    load = int((jetson.folder / "bin" / "load").read_text())
    assert not Path(f"/proc/{load}").exists()


def test_watts_and_work_a_joule_are_those_of_the_run(jetson: Jetson) -> None:
    jetson.install_tegrastats("orin_nx_r36")
    jetson.good(*jetson.engines("--variants", "dla-int8", "--gpu-load", "no", "--seconds", "1"))
    row = jetson.table.iloc[0]
    assert 9 < row["watts"] < 11 and 10 < row["gpu_percent"] < 30 and row["emc_percent"] == 15
    assert row["images_per_joule"] == pytest.approx(row["images_per_second"] / row["watts"])


def test_another_batch_is_built_of_the_same_file(jetson: Jetson) -> None:
    jetson.good(*jetson.engines("--variants", "dla-int8", "--gpu-load", "no", "--batch", "1,2"))
    model = onnx.load(jetson.folder / "out" / "engines" / "dla-int8-b2" / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    dims = {one.name: one.type.tensor_type.shape.dim[0].dim_value for one in (*model.graph.input, *model.graph.output)}
    assert dims == {"x": 2, "w": 4, "y": 2}
    assert list(jetson.table["batch"]) == [1, 2]


def test_after_a_power_cut_the_same_command_goes_on(jetson: Jetson) -> None:
    order(jetson.trtexec, power_cut=5)
    flags = jetson.engines("--gpu-load", "no")
    done = jetson.process(*flags)
    assert done.returncode == -signal.SIGKILL
    before = calls(jetson.trtexec)
    order(jetson.trtexec)
    told = jetson.good(*flags)
    assert "of 6 runs are there already" in told
    assert list(jetson.table["status"]) == ["ok"] * 6
    finished = {value(one, "--loadEngine") for one in before if value(one, "--exportProfile")}
    again = calls(jetson.trtexec)[len(before) :]
    assert len(finished) == 1 and not finished & {value(one, "--loadEngine") for one in again}
    assert "6 of 6 runs are there" in jetson.good(*flags) and len(calls(jetson.trtexec)) == len(before) + len(again)


def test_a_cut_result_or_engine_is_made_again_and_another_network_too(jetson: Jetson) -> None:
    flags = jetson.engines("--gpu-load", "no", "--variants", "dla-int8")
    jetson.good(*flags)
    result = jetson.folder / "out" / "dla-int8-b1" / "result.json"
    result.write_text(result.read_text()[:40])
    jetson.good(*flags)
    assert len(jetson.built()) == 1
    engine = jetson.folder / "out" / "engines" / "dla-int8-b1" / "engine"
    engine.write_text("cut")
    result.unlink()
    jetson.good(*flags)
    assert len(jetson.built()) == 2
    (jetson.bundle.path / "calibration.cache").write_text("TRT-8601-EntropyCalibration2\nx: 40000000\n")
    jetson.good(*flags)
    assert len(jetson.built()) == 3


def test_what_trtexec_refuses_is_a_row_with_its_reason_and_is_tried_again(jetson: Jetson) -> None:
    order(jetson.trtexec, refuses=["dla-fp16"])
    told = jetson.bad(1, *jetson.engines("--gpu-load", "no"))
    assert "failed: dla-fp16-b1, both-fp16-b1" in told
    row = jetson.table.set_index("variant").loc["dla-fp16"]
    assert row["status"] == "failed" and "Error Code 9: dla-fp16 is refused?[31m" in row["reason"]
    order(jetson.trtexec)
    jetson.good(*jetson.engines("--gpu-load", "no"))
    assert set(jetson.table["status"]) == {"ok"}


def test_a_tensorrt_without_a_dla_says_so_for_the_dla_alone(jetson: Jetson) -> None:
    order(jetson.trtexec, number=100900)
    (jetson.bundle.path / "calibration.cache").unlink()
    jetson.bad(1, *jetson.engines("--gpu-load", "no"))
    table = jetson.table.set_index("variant")
    assert (table.loc["gpu-int8", "status"], table.loc["dla-int8", "status"]) == ("ok", "failed")
    assert "has no DLA for Orin" in table.loc["dla-int8", "reason"]


def test_ctrl_c_ends_what_runs_and_keeps_what_is_done(jetson: Jetson) -> None:
    flags = jetson.engines("--variants", "gpu-int8,dla-int8", "--gpu-load", "yes")
    run = subprocess.Popen(
        jetson.command(*flags),
        cwd=jetson.folder,
        env=jetson.environment,
        stderr=subprocess.PIPE,
        text=True,
        # Who starts the tests in a shell's background ignores SIGINT, and its children do.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    load = jetson.folder / "bin" / "load"
    end = time.monotonic() + 60
    while not load.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 1 and "the same command goes on" in told
    assert not Path(f"/proc/{load.read_text()}").exists()


def test_what_cannot_be_measured_is_said_at_once(jetson: Jetson) -> None:
    assert "no such program" in jetson.bad(2, *jetson.engines("--trtexec", "none"))
    assert "none.onnx" in jetson.bad(2, "engines", "none.onnx", "-o", "out")
    (jetson.folder / "words.onnx").write_text("no network")
    assert (
        "not an ONNX file" in jetson.run("engines", "words.onnx", "-o", "o", "--batch", "2", "--gpu-load", "no").stderr
    )


def test_the_page_tells_gpu_and_dla_beside_each_other(jetson: Jetson) -> None:
    jetson.install_tegrastats("orin_nx_r36")
    order(jetson.trtexec, refuses=["dla-fp16"])
    jetson.bad(1, *jetson.engines("--gpu-load", "no", "--seconds", "0.5"))
    jetson.good("record", "-o", "run.json", "--", "sleep", "0.5")
    flags = ("--engines", "out/runs.csv", "--network", estimate_json(jetson.folder / "e.json"))
    jetson.good("report", "run.json", *flags)
    text = (jetson.folder / "run.html").read_text()
    assert "<td>dla-int8</td><td>1</td><td>no</td><td>381.1</td><td>0.4</td>" in text
    assert "<td>both-int8</td><td>1</td><td>no</td><td>762.3</td><td>0.8</td>" in text
    assert "Failed: dla-fp16, batch 1" in text
    (jetson.folder / "runs.csv").write_text("a,b\n1,2\n")
    assert "no column variant" in jetson.bad(2, "report", "run.json", "--engines", "runs.csv")


def attributes(model: Any) -> list[Any]:
    return [node.SerializeToString() for node in model.graph.node]


@given(st.integers(1, 4096))
def test_only_the_batch_changes(batch: int) -> None:
    content = onnx_file()
    changed = onnx.load_model_from_string(with_batch(content, batch, "m"))
    former = onnx.load_model_from_string(content)
    assert attributes(changed) == attributes(former)
    assert [one.SerializeToString() for one in changed.graph.initializer] == [
        one.SerializeToString() for one in former.graph.initializer
    ]
    assert changed.graph.input[0].type.tensor_type.shape.dim[0].dim_value == batch
    assert list(changed.graph.value_info) == [] and changed.opset_import == former.opset_import


def onnx_file() -> bytes:
    with TemporaryDirectory() as folder:
        return network(Path(folder) / "m.onnx").read_bytes()


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_are_too_strange_for_it(noise: bytes, at: int) -> None:
    content = onnx_file()
    for damaged in (noise, content[:at], content[:at] + noise + content[at:]):
        try:
            with_batch(damaged, 2, "m")
        except CannotSay as error:
            assert "m" in str(error)
