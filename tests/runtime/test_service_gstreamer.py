"""Cameras by GStreamer, with its test source: pictures, gaps, an end and errors reach the service as promised."""

from pathlib import Path

import pytest
from programs import run
from service_process import ServiceProcess, until
from tiny_bundle import TinyBundle


@pytest.fixture(autouse=True)
def gstreamer(bundle: TinyBundle) -> None:
    done = run("unina-detector", "--bundle", bundle.path, "--source", "gst:videotestsrc num-buffers=1")
    if "this build has no GStreamer" in done.stderr:
        pytest.skip("THIS BUILD HAS NO GSTREAMER: libgstreamer-plugins-base1.0-dev, then ./setup.sh")
    if "no element" in done.stderr:
        pytest.skip("NO videotestsrc HERE: gstreamer1.0-plugins-base")


@pytest.mark.parametrize("pixels", ["BGR", "RGBA", "NV12", "UYVY"])
def test_a_live_camera_is_detected_on(tmp_path: Path, bundle: TinyBundle, pixels: str) -> None:
    caps = f"video/x-raw,format={pixels},width=130,height=72,framerate=30/1"
    source = f"gst:videotestsrc is-live=true pattern=smpte ! {caps}"
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source).wait_ready() as service:
        last = -1
        for message in service.messages(service.connect(), 4):
            assert (message["width"], message["height"]) == (130, 72)
            assert message["frame"] > last
            last = message["frame"]
            assert 0 < message["done_ns"] - message["captured_ns"] < 20e9
        assert service.stop() == 0


def test_a_stream_that_ends_is_a_lost_source(tmp_path: Path, bundle: TinyBundle) -> None:
    source = "gst:videotestsrc num-buffers=2 ! video/x-raw,format=BGR,width=64,height=32"
    retry = ["--retry-first-ms", 20, "--retry-most-ms", 40]
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source, *retry).wait_ready() as service:
        until(lambda: service.status()["source_lost"] >= 2, "it is opened again, and ends again")
        assert "no more pictures" in service.log
        assert service.stop() == 0


@pytest.mark.parametrize(
    ("pipeline", "why"),
    [
        ("nosuchelement", 'no element "nosuchelement"'),
        ("videotestsrc !", "source gst:"),
        ("v4l2src device=/dev/none-such", "source gst:"),
        ("videotestsrc num-buffers=1 ! video/x-raw,format=GRAY8", "source gst:"),
    ],
)
def test_what_cannot_play_is_one_line(bundle: TinyBundle, pipeline: str, why: str) -> None:
    done = run("unina-detector", "--bundle", bundle.path, "--source", f"gst:{pipeline}")
    assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
