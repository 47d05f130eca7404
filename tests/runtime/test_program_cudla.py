"""unina-detector on the DLA: the program is unchanged, the loader's path leads to stand-ins of NVIDIA's libraries."""

import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from programs import refuse, run
from standin_dla import STANDINS, Dla, standin_loadable
from tiny_bundle import TinyBundle


@pytest.fixture
def loadable(tmp_path: Path, bundle: TinyBundle) -> Path:
    return standin_loadable(bundle, tmp_path / "tiny.dla")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(7):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (72, 128, 3), dtype=np.uint8))
    return folder


@pytest.fixture
def dla(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dla:
    return Dla(monkeypatch, tmp_path / "report.txt")


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        del line["latency_ms"], line["run"]["accelerator"]
    return lines


def test_a_machine_with_a_dla_runs_on_it_and_says_so(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla
) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}"]
    without = run("unina-detector", *arguments)
    assert "on host (runs everywhere; not cudla-hybrid: no DLA loadable was given)" in without.stderr
    without_library = run("unina-detector", *arguments, "--dla-loadable", loadable)
    assert "on host (runs everywhere; not cudla-hybrid: libcud" in without_library.stderr
    assert ".so." in without_library.stderr
    dla.plug_in()
    on_dla = run("unina-detector", *arguments, "--dla-loadable", loadable)
    assert "on cudla-hybrid (a loadable for DLA core 0)" in on_dla.stderr
    made_by = {json.loads(line)["run"]["accelerator"] for line in on_dla.stdout.splitlines()}
    assert made_by == {"cudla-hybrid"}
    assert records(on_dla) == records(without) == records(without_library)
    assert any(line["detections"] for line in records(on_dla))
    report = dla.report()
    assert (report.live, report.violations) == ("", "")
    assert report.calls["cudlaSubmitTask"] == 7


def test_no_library_no_dla(bundle: TinyBundle, frames: Path, loadable: Path) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--accelerator", "cudla-hybrid"]
    assert "libcud" in refuse("unina-detector", *arguments, "--dla-loadable", loadable)
    assert "needs a DLA loadable" in refuse("unina-detector", *arguments)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ("cudlaCreateDevice:1=fail", "cudlaCreateDevice: cudlaErrorCreationFailed (3)"),
        ("cudlaModuleLoadFromMemory:1=fail", "--buildDLAStandalone"),
        ("cudlaSubmitTask:4=fail", "cudlaSubmitTask: cudlaErrorUmd (7)"),
        ("cudlaSubmitTask:2=late=0x40000006", "cudlaErrorDlaErrEngineTimeout"),
        ("cudlaMemUnregister:1=fail;cudlaSubmitTask:1=fail", "cudlaSubmitTask: "),
    ],
)
def test_what_the_vendors_libraries_refuse_is_one_line_and_exit_code_2(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla, tmp_path: Path, faults: str, said: str
) -> None:
    dla.plug_in(faults)
    out = tmp_path / "out.jsonl"
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--dla-loadable", loadable]
    done = run("unina-detector", *arguments, "--output", out)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert said in lines[-1] and lines[-1].startswith(f"unina-detector: {loadable}: ")
    assert all(line.startswith("unina: while releasing: ") for line in lines[:-1])
    assert not out.exists()
    assert dla.report().live == ""


def test_a_dla_that_hangs_ends_the_program_and_not_the_machine(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla
) -> None:
    dla.plug_in("cudlaSubmitTask:3=hang")
    done = run(
        *("unina-detector", "--bundle", bundle.path, "--source", f"images:{frames}"),
        *("--dla-loadable", loadable, "--dla-timeout-ms", "800"),
    )
    assert done.returncode == 2
    assert "has not finished a frame within 800 ms" in done.stderr
    assert dla.report().calls["cudlaSubmitTask"] == 3
    assert dla.report().violations == ""


def test_a_gpu_engine_given_as_a_loadable_is_known_before_the_driver_sees_it(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla
) -> None:
    dla.plug_in()
    loadable.write_bytes(b"ftrt" + bytes(100))
    message = refuse(
        *("unina-detector", "--bundle", bundle.path, "--source", f"images:{frames}"),
        *("--dla-loadable", loadable),
    )
    assert "TensorRT engine for the GPU" in message and "--buildDLAStandalone" in message
    assert "cudlaCreateDevice" not in dla.report().calls


@pytest.mark.parametrize("loadables", [1, 2])
def test_both_cores_take_frames_in_turn_and_keep_their_order(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla, tmp_path: Path, loadables: int
) -> None:
    drawn = {name: tmp_path / name for name in ("one", "both")}
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}"]
    expected = records(run("unina-detector", *arguments, "--annotate", drawn["one"]))
    dla.plug_in("cudlaSubmitTask:1=delay=60;cudlaSubmitTask:4=delay=40")  # the first is overtaken
    both = [*arguments, "--annotate", drawn["both"], "--dla", "both", *(["--dla-loadable", loadable] * loadables)]
    assert records(run("unina-detector", *both)) == expected
    report = dla.report()
    assert (report.live, report.violations) == ("", "")
    assert (report.calls["cudlaCreateDevice"], report.calls["cudlaSubmitTask"]) == (2, 7)
    for picture in drawn["one"].iterdir():
        assert picture.read_bytes() == (drawn["both"] / picture.name).read_bytes()


def test_with_both_cores_a_frame_that_fails_ends_the_program(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla
) -> None:
    dla.plug_in("cudlaSubmitTask:4=fail")
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--dla", "both", "--dla-loadable", loadable]
    assert "cudlaSubmitTask: cudlaErrorUmd (7)" in run("unina-detector", *arguments).stderr
    assert (dla.report().live, dla.report().violations) == ("", "")


def test_an_engine_is_of_no_use_to_a_build_without_tensorrt(bundle: TinyBundle, frames: Path) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--engine", "net.engine"]
    assert "not tensorrt: this build has no TensorRT" in run("unina-detector", *arguments).stderr
    assert "is not in this build" in refuse("unina-detector", *arguments, "--accelerator", "tensorrt")
    assert "--engine-on" in refuse("unina-detector", *arguments, "--engine-on", "dla2")


def test_both_cores_mean_nothing_to_the_host(bundle: TinyBundle, frames: Path) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}"]
    assert records(run("unina-detector", *arguments, "--dla", "both")) == records(run("unina-detector", *arguments))


def test_a_core_that_is_not_there_is_refused(bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--dla-loadable", loadable]
    for core in ("2", "-1", "left"):
        assert "expected 0, 1 or both" in refuse("unina-detector", *arguments, f"--dla={core}")
    assert "2 DLA loadables for 1" in refuse("unina-detector", *arguments, "--dla-loadable", loadable)
    dla.plug_in("cudlaDeviceGetCount:*=corrupt=1")  # a smaller Jetson
    arguments += ["--dla", "1", "--accelerator"]
    assert "DLA core 1: this machine has 1" in refuse("unina-detector", *arguments, "cudla-hybrid")
    assert "on host (runs everywhere; not cudla-hybrid: DLA core 1" in run("unina-detector", *arguments, "auto").stderr


# unina-detector with cudla-standalone, compiled against our own declarations of NvSci.
FOR_STANDINS = str(STANDINS.parent / "unina-detector-for-standins")


@pytest.mark.parametrize("options", [[], ["--deterministic-semaphores"]], ids=["", "deterministic"])
@pytest.mark.parametrize("cores", ["1", "both"])
def test_standalone_mode_says_the_same_and_needs_no_gpu(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla, options: list[str], cores: str
) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}"]
    expected = records(run("unina-detector", *arguments))
    dla.plug_in("cudlaSubmitTask:1=delay=60")  # the first frame is overtaken where it can be
    arguments += ["--accelerator", "cudla-standalone", "--dla-loadable", loadable, "--dla", cores, *options]
    done = run(FOR_STANDINS, *arguments)
    assert records(done) == expected and "on cudla-standalone (asked for)" in done.stderr
    report = dla.report()
    assert (report.live, report.violations) == ("", "")
    assert (report.calls["cudlaCreateDevice"], report.calls["cudlaSubmitTask"]) == (1 + (cores == "both"), 7)
    assert [call for call in report.calls if call.startswith("cuda")] == []
    assert ("NvSciSyncFenceUpdateFence" in report.calls) == bool(options)


def test_standalone_mode_that_hangs_or_lacks_a_library_is_one_line(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla
) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--dla-loadable", loadable]
    arguments += ["--accelerator", "cudla-standalone", "--dla-timeout-ms", "800"]
    without = run(FOR_STANDINS, *arguments)
    assert without.returncode == 2 and without.stderr.count("\n") == 1 and ".so" in without.stderr
    dla.plug_in("cudlaSubmitTask:3=hang")
    done = run(FOR_STANDINS, *arguments)
    assert done.returncode == 2 and "has not finished a frame within 800 ms" in done.stderr
    assert dla.report().violations == ""


def test_standalone_mode_has_to_be_asked_for_and_to_be_built(
    bundle: TinyBundle, frames: Path, loadable: Path, dla: Dla
) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--dla-loadable", loadable]
    dla.plug_in()
    assert "on cudla-hybrid" in run(FOR_STANDINS, *arguments).stderr
    assert "is not in this build" in refuse("unina-detector", *arguments, "--accelerator", "cudla-standalone")
