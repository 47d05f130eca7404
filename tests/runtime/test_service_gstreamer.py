"""Cameras by GStreamer, with its test source: pictures, gaps, an end and errors reach the service as promised."""

import json
from pathlib import Path

import cv2
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


def test_a_camera_that_fails_again_and_again_is_opened_again_and_pictures_go_on(
    tmp_path: Path, bundle: TinyBundle
) -> None:
    caps = "video/x-raw,format=BGR,width=64,height=32,framerate=100/1"
    source = f"gst:videotestsrc is-live=true ! {caps} ! identity error-after=6"
    retry = ["--retry-first-ms", 20, "--retry-most-ms", 40, "--log-format", "json"]
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source, *retry).wait_ready() as service:
        until(lambda: service.status()["source_lost"] >= 3, "three losses")
        lost = [event for event in map(json.loads, service.log.splitlines()) if event.get("state") == "lost"]
        assert all("iterations" in event["reason"] and event["retry_ms"] == 20 for event in lost), "it delivered"
        frames = service.status()["frames"]
        reader = service.connect()
        ids = [message["frame"] for message in service.messages(reader, 12)]
        assert ids == sorted(set(ids)) and ids[0] >= frames - 1
        files = len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))
        losses = service.status()["source_lost"]
        until(lambda: service.status()["source_lost"] >= losses + 5, "five more")
        assert len(list(Path(f"/proc/{service.process.pid}/fd").iterdir())) <= files + 12, "what a loss leaves open"
        assert service.stop() == 0


def test_a_camera_that_is_unplugged_is_waited_for_with_growing_pauses(tmp_path: Path, bundle: TinyBundle) -> None:
    camera, away = tmp_path / "camera.raw", tmp_path / "away.raw"
    camera.write_bytes(bytes(range(256)) * (64 * 32 * 3 // 256) * 20)
    source = f"gst:filesrc location={camera} ! rawvideoparse format=bgr width=64 height=32 framerate=100/1"
    retry = ["--retry-first-ms", 20, "--retry-most-ms", 100, "--log-format", "json"]
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source, *retry).wait_ready() as service:
        camera.rename(away)
        until(lambda: service.log.count('"retry_ms": 100') >= 2, "the longest pause")
        events = [json.loads(line) for line in service.log.splitlines()]
        pauses = [event["retry_ms"] for event in events if event.get("state") == "lost"]
        assert pauses[-5:] == [20, 40, 80, 100, 100] or pauses[-6:-1] == [20, 40, 80, 100, 100]
        assert service.ctl("status").returncode == 1 and str(camera) in service.status()["trouble"]
        frames = service.status()["frames"]
        away.rename(camera)
        until(lambda: service.status()["frames"] > frames, "pictures come again")
        assert service.stop() == 0


def test_a_files_positions_in_bytes_are_no_count_of_pictures(tmp_path: Path, bundle: TinyBundle) -> None:
    file = tmp_path / "pictures.raw"
    file.write_bytes(bytes(64 * 32 * 3 * 20))
    caps = "video/x-raw,format=BGR,width=64,height=32,framerate=100/1"
    source = f"gst:filesrc location={file} blocksize={64 * 32 * 3} ! identity sleep-time=30000 ! {caps}"
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source).wait_ready() as service:
        until(lambda: service.status()["source_lost"], "the end")
        status = service.status()
        assert status["captured"] > 1 and status["gaps"] == 0
        assert service.stop() == 0


def test_sigterm_ends_it_while_a_camera_gives_nothing(tmp_path: Path, bundle: TinyBundle) -> None:
    source = "gst:videotestsrc is-live=true ! valve drop=true"  # is waited for 5 s
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source) as service:
        until(lambda: service.answers() and service.status()["attempts"], "it is opened")
        assert service.stop() == 0


def test_the_password_of_a_stream_is_not_in_the_messages(tmp_path: Path, bundle: TinyBundle) -> None:
    source = "gst:videotestsrc is-live=true name=secret ! video/x-raw,format=BGR,width=64,height=32"
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source).wait_ready() as service:
        [message] = service.messages(service.connect(), 1)
        assert message["source"] == "gst:videotestsrc"
        assert service.stop() == 0
        assert "secret" not in service.log


def test_nor_is_it_told_when_the_stream_is_lost(tmp_path: Path, bundle: TinyBundle) -> None:
    source = "gst:videotestsrc num-buffers=3 name=secret ! video/x-raw,format=BGR,width=64,height=32"
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source).wait_ready() as service:
        until(lambda: service.status()["source_lost"], "the end")
        trouble = service.status()["trouble"]
        assert "gst:videotestsrc" in trouble and "secret" not in trouble
        assert service.stop() == 0
        assert "secret" not in service.log


def test_any_format_is_drawn_on(tmp_path: Path, bundle: TinyBundle) -> None:
    for pixels in ("BGR", "NV12"):
        caps = f"video/x-raw,format={pixels},width=128,height=72"
        source = f"gst:videotestsrc num-buffers=1 pattern=red ! {caps}"
        arguments = ["--bundle", bundle.path, "--source", source, "--annotate", tmp_path / pixels]
        assert run("unina-detector", *arguments, "--score-threshold", 1).returncode == 0
        [picture] = (tmp_path / pixels).iterdir()
        blue, green, red = cv2.imread(str(picture))[60, 110]
        assert red > 200 and max(blue, green) < 60


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
