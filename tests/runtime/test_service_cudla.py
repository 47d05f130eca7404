"""The service on the DLA, by the stand-ins of NVIDIA's libraries: what a driver that hangs or fails does to it."""

import signal
from pathlib import Path

import numpy as np
import pytest
from frame_ring import FrameRing
from service_process import ServiceProcess, make_frames, until
from standin_dla import Dla, standin_loadable
from tiny_bundle import TinyBundle


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
        report = dla.report()
        assert (report.live, report.violations) == ("", "")
