"""The service on the DLA, by the stand-ins of NVIDIA's libraries: what a driver that hangs or fails does to it."""

import re
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from frame_ring import FrameRing
from service_process import ServiceProcess, make_frames, until
from standin_dla import Dla, standin_loadable
from tiny_bundle import TinyBundle

from unina_runtime import Detector


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return make_frames(tmp_path / "frames")


@pytest.fixture
def dla(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dla:
    return Dla(monkeypatch, tmp_path / "report.txt")


@pytest.fixture
def on_dla(tmp_path: Path, bundle: TinyBundle) -> list[object]:
    return ["--bundle", bundle.path, "--dla-loadable", standin_loadable(bundle, tmp_path / "tiny.dla")]


def endless(frames: Path, fps: int = 100) -> list[str]:
    return ["--source", f"images:{frames}?fps={fps}&loop=1"]


def test_sigterm_ends_it_while_the_driver_hangs_at_the_start(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaCreateDevice:1=hang")
    with ServiceProcess(tmp_path, *on_dla, *endless(frames)) as service:
        signals = Path(f"/proc/{service.process.pid}/task")
        until(lambda: len(list(signals.iterdir())) > 1, "the thread that opens the device")
        assert service.stop() == 0


def test_a_reload_that_hangs_in_the_driver_holds_up_neither_pictures_nor_watchdog_nor_sigterm(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaModuleLoadFromMemory:2=hang")
    watchdog = {"WATCHDOG_USEC": "40000"}
    with ServiceProcess(tmp_path, *on_dla, *endless(frames), environment=watchdog).wait_ready() as service:
        service.process.send_signal(signal.SIGHUP)
        service.wait_told("RELOADING=1")
        before = service.status()["frames"]
        service.forget()
        until(lambda: service.status()["frames"] > before + 5, "pictures")
        service.wait_told("WATCHDOG=1")
        assert not service.told("READY=1")
        assert service.stop() == 0
        assert "not_ended=reload" in service.log
        assert not any(path.exists() for path in (service.socket, service.ring, service.control))


def test_sigterm_ends_it_while_a_picture_hangs_in_the_driver(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaSubmitTask:3=hang")
    arguments = [*on_dla, *endless(frames), "--dla-timeout-ms", 60000]
    with ServiceProcess(tmp_path, *arguments).wait_ready() as service:
        until(lambda: service.status()["captured"] > 10, "the others are dropped")
        assert service.status()["frames"] == 2
        assert service.stop() == 0
        assert "not_ended=accelerator" in service.log


def test_a_loadable_that_cannot_run_is_refused_and_the_one_before_it_goes_on(
    tmp_path: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaSubmitTask:2=fail")  # the first of the second detector
    picture = np.full((72, 128, 3), 90, np.uint8)
    source = ["--source", f"frames:{tmp_path / 'frames.ring'}"]
    with (
        FrameRing(tmp_path / "frames.ring", 72, 128) as ring,
        ServiceProcess(tmp_path, *on_dla, *source) as service,
    ):
        ring.put(picture)
        service.wait_ready()
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.status()["reloads_refused"], "the refusal")
        assert "cudlaErrorUmd (7)" in service.log
        reader = service.connect()
        ring.put(picture)
        assert [message["frame"] for message in service.messages(reader, 1)] == [1]


def test_a_driver_that_fails_ends_it_with_1_and_says_why(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaSubmitTask:4=fail")
    with ServiceProcess(tmp_path, *on_dla, *endless(frames)) as service:
        assert service.process.wait(20) == 1
        assert service.told("STATUS=failed: ") and "cudlaSubmitTask: cudlaErrorUmd (7)" in service.log
        assert [line for line in service.notifications if line.startswith("STATUS=")][-1].startswith("STATUS=failed: ")
        report = dla.report()
        assert (report.live, report.violations) == ("", "")


def test_both_cores_take_the_newest_pictures_in_turn_and_messages_keep_their_order(
    tmp_path: Path, bundle: TinyBundle, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    # Every fourth run of a core is slow, so that the other one overtakes it; and the camera is faster than both.
    dla.plug_in(";".join(f"cudlaSubmitTask:{n}=delay={30 if n % 4 == 0 else 8}" for n in range(1, 400)))
    detector = Detector(bundle.path)
    expected = {str(frames / f"{i}.png"): detector.detect(cv2.imread(str(frames / f"{i}.png"))).boxes for i in range(4)}
    with ServiceProcess(tmp_path, *on_dla, "--dla", "both", *endless(frames, 400)).wait_ready() as service:
        last: dict[str, Any] = {"frame": -1, "captured_ns": 0, "drops": 0, "gaps": 0}
        overlapped = 0
        for message in service.messages(service.connect(), 60):
            assert message["frame"] > last["frame"] and message["captured_ns"] > last["captured_ns"]
            assert message["captured_ns"] < message["submitted_ns"] < message["done_ns"]
            assert message["drops"] >= last["drops"] and message["gaps"] >= last["gaps"]
            boxes = np.float32([one["box"] for one in message["detections"]])
            np.testing.assert_array_equal(boxes, expected[message["source"]])
            overlapped += "done_ns" in last and message["submitted_ns"] < last["done_ns"]
            last = message
        assert overlapped > 10, "two pictures were never under way at the same time"
        status = service.status()
        assert (status["accelerator"], status["devices"]) == ("cudla-hybrid", "dla0+dla1")
        assert " fps · dla0+dla1 " in status["status"] and status["drops"] > 0
        text = service.ask(b"metrics\n").decode()
        counts = dict(re.findall(r'device_frames_total{device="(\w+)"} (\d+)', text))
        assert counts.keys() == {"dla0", "dla1"} and all(int(count) >= 29 for count in counts.values())
        assert service.stop() == 0
    report = dla.report()
    assert (report.live, report.violations, report.calls["cudlaCreateDevice"]) == ("", "", 2)


def test_the_last_picture_of_two_cores_is_published_without_another_one_coming(
    tmp_path: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaSubmitTask:*=delay=20")
    source = ["--source", f"frames:{tmp_path / 'frames.ring'}", "--dla", "both"]
    with (
        FrameRing(tmp_path / "frames.ring", 72, 128) as ring,
        ServiceProcess(tmp_path, *on_dla, *source) as service,
    ):
        for number in range(5):
            ring.put(np.full((72, 128, 3), 40 * number, np.uint8))
            until(lambda n=number: service.answers() and service.status()["frames"] == n + 1, "the answer")


def test_a_reload_turns_one_core_into_both_and_back(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in()
    file = tmp_path / "detector.toml"
    file.write_text('dla = "both"\n')
    with ServiceProcess(tmp_path, "--config", file, *on_dla, *endless(frames)).wait_ready() as service:
        reader = service.connect()
        for number, (dla_key, devices) in enumerate((("1", "dla1"), ('"both"', "dla0+dla1"), ("0", "dla0")), 1):
            file.write_text(f"dla = {dla_key}\n")
            service.process.send_signal(signal.SIGHUP)
            until(lambda n=number: service.status()["reloads"] == n, f"the reload; log:\n{service.log}")
            assert service.status()["devices"] == devices
            frame_ids = [message["frame"] for message in service.messages(reader, 10)]
            assert frame_ids == sorted(set(frame_ids))
        assert service.stop() == 0
    assert (dla.report().live, dla.report().violations) == ("", "")


def test_with_both_cores_a_failure_of_one_ends_it_with_1(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaSubmitTask:7=fail")
    with ServiceProcess(tmp_path, *on_dla, "--dla", "both", *endless(frames)) as service:
        assert service.process.wait(20) == 1
        assert (dla.report().live, dla.report().violations) == ("", "")


def test_with_both_cores_sigterm_ends_it_while_one_hangs(
    tmp_path: Path, frames: Path, dla: Dla, on_dla: list[object]
) -> None:
    dla.plug_in("cudlaSubmitTask:4=hang")
    arguments = [*on_dla, "--dla", "both", *endless(frames), "--dla-timeout-ms", 60000]
    with ServiceProcess(tmp_path, *arguments, environment={"WATCHDOG_USEC": "40000"}).wait_ready() as service:
        until(lambda: service.status()["captured"] > 20, "the others are dropped")
        service.forget()
        until(lambda: service.status()["captured"] > 40, "time goes by")
        assert not service.told("WATCHDOG=1")
        assert service.stop() == 0
