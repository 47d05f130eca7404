"""Cameras whose pictures come in a Jetson's NVMM memory: the programs, with the stand-in of libnvbufsurface."""

import json
from pathlib import Path

import numpy as np
import pytest
from programs import run
from service_process import ServiceProcess, until
from standin_dla import STANDINS, Dla
from tiny_bundle import TinyBundle

WIDTH, HEIGHT = 128, 72
PICTURE_BYTES = {"NV12": WIDTH * HEIGHT * 3 // 2, "RGBA": WIDTH * HEIGHT * 4, "UYVY": WIDTH * HEIGHT * 2}
RETRY = ("--retry-first-ms", 20, "--retry-most-ms", 40, "--log-format", "json")


@pytest.fixture
def nvmm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: TinyBundle) -> Dla:
    """The element standinnvmm for GStreamer; plug_in() adds the library that maps its pictures."""
    if not (STANDINS / "gstreamer").is_dir():
        pytest.skip("THIS BUILD HAS NO GSTREAMER: libgstreamer-plugins-base1.0-dev, then ./setup.sh")
    monkeypatch.setenv("GST_PLUGIN_PATH", str(STANDINS / "gstreamer"))
    monkeypatch.setenv("GST_REGISTRY", str(tmp_path / "gstreamer-registry"))
    monkeypatch.setenv("GST_REGISTRY_FORK", "no")
    return Dla(monkeypatch, tmp_path / "report.txt")


def camera(folder: Path, pixels: str = "NV12", count: int = 1, behind: str = "") -> str:
    """A pipeline of core elements that gives so many pictures of noise."""
    file = folder / f"{pixels}.raw"
    if not file.exists():
        size = count * PICTURE_BYTES[pixels]
        file.write_bytes(np.random.default_rng(5).integers(0, 256, size, np.uint8).tobytes())
    caps = f"video/x-raw,format={pixels},width={WIDTH},height={HEIGHT},framerate=30/1"
    return f"gst:filesrc location={file} blocksize={PICTURE_BYTES[pixels]} ! {caps}{behind}"


@pytest.mark.parametrize("pixels", ["NV12", "RGBA", "UYVY"])
def test_detections_are_those_of_the_same_picture_in_system_memory(
    tmp_path: Path, bundle: TinyBundle, nvmm: Dla, pixels: str
) -> None:
    nvmm.plug_in()
    lines = []
    for behind in ("", " ! standinnvmm"):
        source = camera(tmp_path, pixels, behind=behind)
        done = run("unina-detector", "--bundle", bundle.path, "--source", source, "--score-threshold", 0.01)
        assert done.returncode == 0, done.stderr
        lines.append([json.loads(line) for line in done.stdout.splitlines()])
    assert len(lines[0]) == 1 and lines[0][0]["detections"], "a picture in which nothing is seen proves nothing"
    assert [one["detections"] for one in lines[1]] == [one["detections"] for one in lines[0]]
    report = nvmm.report()
    assert (report.live, report.violations) == ("", "")
    assert report.calls["NvBufSurfaceMap"] == report.calls["NvBufSurfaceUnMap"] == 1


@pytest.mark.parametrize("call", ["NvBufSurfaceMap", "NvBufSurfaceSyncForCpu"])
def test_a_library_that_fails_is_a_lost_source_and_pictures_go_on(
    tmp_path: Path, bundle: TinyBundle, nvmm: Dla, call: str
) -> None:
    nvmm.plug_in(f"{call}:3=fail")
    source = camera(tmp_path, count=400, behind=" ! identity sleep-time=10000 ! standinnvmm")
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source, *RETRY).wait_ready() as service:
        until(lambda: service.status()["frames"] > 5, "pictures again")
        lost = [event for event in map(json.loads, service.log.splitlines()) if event.get("state") == "lost"]
        assert lost[0]["reason"].endswith(f": {call}: -1"), service.log
        assert service.stop() == 0
    report = nvmm.report()
    assert (report.live, report.violations) == ("", "")


@pytest.mark.parametrize(
    ("element", "why"),
    [("standinnvmm layout=1", "nvvidconv bl-output=false"), ("standinnvmm memory-type=2", "NvBufSurface's type 2")],
)
def test_pictures_that_the_cpu_cannot_read_are_one_line(
    tmp_path: Path, bundle: TinyBundle, nvmm: Dla, element: str, why: str
) -> None:
    nvmm.plug_in()
    done = run("unina-detector", "--bundle", bundle.path, "--source", camera(tmp_path, behind=f" ! {element}"))
    assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not nvmm.report_file.exists(), "the library was opened for it"


def test_a_machine_without_nvidias_library_says_so_in_one_line(tmp_path: Path, bundle: TinyBundle, nvmm: Dla) -> None:
    done = run("unina-detector", "--bundle", bundle.path, "--source", camera(tmp_path, behind=" ! standinnvmm"))
    assert done.returncode == 2 and "libnvbufsurface.so.1.0.0: cannot open" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1
