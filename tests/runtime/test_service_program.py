"""`unina-detector serve` from start to end: what readers get, what systemd is told, what it survives."""

import contextlib
import json
import re
import shutil
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from frame_ring import FrameRing
from programs import run
from service_process import ServiceProcess, make_frames, until
from tiny_bundle import CLASSES, TinyBundle

from unina_runtime import Detector

KEYS = [
    *("schema", "frame", "source", "width", "height", "captured_ns", "submitted_ns", "done_ns"),
    *("captured_realtime_ns", "drops", "gaps", "stale", "detections"),
]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return make_frames(tmp_path / "frames")


def flags(bundle: TinyBundle, frames: Path, fps: int = 100) -> list[str]:
    return ["--bundle", str(bundle.path), "--source", f"images:{frames}?fps={fps}&loop=1"]


def metrics(service: ServiceProcess) -> dict[str, float]:
    lines = service.ctl("metrics").stdout.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def test_readers_get_what_python_detects(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    detector = Detector(bundle.path)
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        reader = service.connect()
        last: dict[str, Any] = {"frame": -1, "captured_ns": 0}
        for message in service.messages(reader, 8):
            assert list(message) == KEYS and message["schema"] == 2
            assert message["frame"] > last["frame"] and message["captured_ns"] > last["captured_ns"]
            assert message["captured_ns"] < message["submitted_ns"] <= message["done_ns"]
            last = message
            found = detector.detect(cv2.imread(message["source"]))
            assert (message["width"], message["height"]) == (128, 72) and len(found) > 0
            said = message["detections"]
            np.testing.assert_array_equal(np.float32([one["box"] for one in said]), found.boxes)
            np.testing.assert_array_equal(np.float32([one["score"] for one in said]), found.scores)
            assert [one["class_id"] for one in said] == list(found.classes)
            assert [one["class"] for one in said] == [CLASSES[one["class_id"]] for one in said]


def test_ready_comes_with_the_first_picture_and_the_status_is_told(
    tmp_path: Path, bundle: TinyBundle, frames: Path
) -> None:
    absent = tmp_path / "absent"
    arguments = [*flags(bundle, absent), "--retry-first-ms", "20", "--retry-most-ms", "40"]
    with ServiceProcess(tmp_path, *arguments) as service:
        service.wait_told("EXTEND_TIMEOUT_USEC=")
        service.wait_told(f"STATUS=source lost: {absent}: is not a directory")
        assert not service.told("READY=1")
        assert service.ctl("status").returncode == 1
        frames.rename(absent)
        service.wait_ready()
        pattern = re.compile(r"STATUS=\d+\.\d fps · host \d+\.\d ms p99 \d+\.\d · \d+ drops? · \d+ detections?$")
        until(lambda: service.told("STATUS=") and pattern.match(service.notifications[-1]), "the status line")
        answer = service.ctl("status")
        assert json.loads(service.ctl("status", "--json").stdout).keys() == service.status().keys()
        assert answer.returncode == 0 and pattern.match("STATUS=" + answer.stdout.strip())


def test_sigterm_publishes_ends_with_0_and_leaves_nothing_behind(
    tmp_path: Path, bundle: TinyBundle, frames: Path
) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        reader = service.connect()
        list(service.messages(reader, 1))
        assert service.stop() == 0
        assert service.told("STOPPING=1")
        while reader.recv(1 << 20):
            pass  # the end, not a timeout
        assert not any(path.exists() for path in (service.socket, service.ring, service.control))


def test_sigterm_ends_it_while_the_source_hangs_and_the_ring_says_that_it_is_closed(
    tmp_path: Path, bundle: TinyBundle
) -> None:
    with FrameRing(tmp_path / "frames.ring", 72, 128) as ring:
        arguments = ["--bundle", bundle.path, "--source", f"frames:{tmp_path / 'frames.ring'}"]
        with ServiceProcess(tmp_path, *arguments) as service:
            picture = np.full((72, 128, 3), 200, np.uint8)
            until(lambda: (ring.put(picture), service.told("READY=1"))[1], "the first picture")
            mapped = service.ring.open("rb")
            assert service.stop() == 0  # the source waits 2 s for the next picture
            assert not any(path.exists() for path in (service.socket, service.ring, service.control))
            mapped.seek(48)
            assert mapped.read(4) == b"\1\0\0\0"
            mapped.close()


def test_sigterm_ends_it_while_a_lost_source_waits_to_be_opened_again(tmp_path: Path, bundle: TinyBundle) -> None:
    arguments = ["--bundle", bundle.path, "--source", f"images:{tmp_path / 'absent'}"]
    with ServiceProcess(tmp_path, *arguments, "--retry-first-ms", 60000, "--retry-most-ms", 60000) as service:
        service.wait_told("STATUS=source lost")
        assert service.stop() == 0
        assert not any(path.exists() for path in (service.socket, service.ring, service.control))


def test_what_a_killed_service_left_does_not_hinder_the_next(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        service.process.kill()
        service.process.wait()
        left = (service.socket, service.ring, service.control)
        assert all(path.exists() for path in left)
    (tmp_path / "notify").unlink()
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        assert list(service.messages(service.connect(), 2)) and service.ctl("status").returncode == 0
        assert service.stop() == 0
        assert not any(path.exists() for path in left)


def test_ready_is_told_even_when_systemd_had_no_room_for_it(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    absent = tmp_path / "absent"
    arguments = [*flags(bundle, absent), "--retry-first-ms", "20", "--retry-most-ms", "40"]
    with ServiceProcess(tmp_path, *arguments) as service:
        until(lambda: service.answers() and service.status()["attempts"], "it runs")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"X_FULL=1", str(tmp_path / "notify"))
        frames.rename(absent)
        until(lambda: service.status()["frames"] > 20, "pictures, of which systemd could not be told")
        service.wait_ready()


def test_a_slow_reader_is_dropped_and_the_others_go_on(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames, 200), "--score-threshold", "0").wait_ready() as service:
        slow, good = service.connect(), service.connect()
        read: list[int] = []
        stop = threading.Event()

        def keep_up() -> None:
            while not stop.is_set():
                read.extend(message["frame"] for message in service.messages(good, 1))

        keeping_up = threading.Thread(target=keep_up)
        keeping_up.start()
        try:
            status = until(lambda: (now := service.status())["readers_dropped"] and now, "the slow one is dropped")
            assert (status["readers"], status["readers_dropped"]) == (1, 1)
            until(lambda: read and read[-1] > status["captured"], "the other one reads on")
        finally:
            stop.set()
            keeping_up.join()
        assert read == sorted(set(read))
        assert "event=reader" in service.log
        while slow.recv(1 << 20):
            pass  # what was sent before, then the end


def test_a_lost_source_is_opened_again(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    arguments = [*flags(bundle, frames), "--retry-first-ms", "20", "--retry-most-ms", "40"]
    with ServiceProcess(tmp_path, *arguments).wait_ready() as service:
        frames.rename(tmp_path / "away")
        until(lambda: service.status()["state"] == "source lost", "the loss is seen")
        assert service.ctl("status").returncode == 1
        lost = service.status()["frames"]
        service.forget()
        (tmp_path / "away").rename(frames)
        until(lambda: service.status()["state"] == "running", "the source is back")
        until(lambda: service.status()["frames"] > lost, "pictures come again")
        assert service.status()["source_lost"] >= 1 and metrics(service)["unina_source_up"] == 1
        assert service.stop() == 0


def test_the_watchdog_is_fed_by_progress_only(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    watchdog = {"WATCHDOG_USEC": "40000"}  # looked after every 10 ms, while a picture comes every 200
    with ServiceProcess(tmp_path, *flags(bundle, frames, 5), environment=watchdog).wait_ready() as service:
        until(lambda: service.status()["frames"] >= 5, "five pictures")
        assert service.told("WATCHDOG=1")
        fed = sum(line == "WATCHDOG=1" for line in service.notifications)
        assert fed <= service.status()["frames"]


def test_a_source_that_is_tried_again_is_no_hang(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    arguments = [*flags(bundle, frames), "--retry-first-ms", "20", "--retry-most-ms", "40"]
    with ServiceProcess(tmp_path, *arguments, environment={"WATCHDOG_USEC": "40000"}).wait_ready() as service:
        shutil.rmtree(frames)
        until(lambda: service.status()["state"] == "source lost", "the loss is seen")
        service.forget()
        service.wait_told("WATCHDOG=1")


def test_sighup_takes_over_what_may_change_and_refuses_the_rest(
    tmp_path: Path, bundle: TinyBundle, frames: Path
) -> None:
    file = tmp_path / "detector.toml"
    other = make_frames(tmp_path / "other", 2, (40, 60))
    good = f'bundle = "{bundle.path}"\nscore_threshold = 1.0\n'
    file.write_text(f'bundle = "{bundle.path}"\nsource = "images:{frames}?fps=100&loop=1"\n')
    with ServiceProcess(tmp_path, "--config", file).wait_ready() as service:
        assert all(message["detections"] for message in service.messages(service.connect(), 3))

        def reload(text: str, counter: str) -> None:
            before = service.status()[counter]
            file.write_text(text)
            service.process.send_signal(signal.SIGHUP)
            until(lambda: service.status()[counter] == before + 1, f"{counter}; log:\n{service.log}")

        for refused, why in (
            (good + 'sorce = "images:x"\n', f"{file}, line 3: unknown key 'sorce'; did you mean 'source'?"),
            (good + f'source = "images:{other}"\nring_slots = 8\n', "ring_slots: changes only by a restart"),
            (f'bundle = "{tmp_path}"\nsource = "images:{other}"\n', "manifest.json"),
        ):
            reload(refused, "reloads_refused")
            assert why in service.log
            assert [m["width"] for m in service.messages(service.connect(), 2)] == [128, 128]
        reload(good + f'source = "images:{other}?fps=100&loop=1"\n', "reloads")
        reader = service.connect()
        until(
            lambda: all((m["width"], m["detections"]) == (60, []) for m in service.messages(reader, 1)),
            "pictures of the new source with the new threshold",
        )
        frame_ids = [m["frame"] for m in service.messages(reader, 3)]
        assert frame_ids == sorted(set(frame_ids))


def test_metrics_are_consistent_and_http_reads_them_without_a_port(
    tmp_path: Path, bundle: TinyBundle, frames: Path
) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        reader = service.connect()
        found = sum(len(m["detections"]) for m in service.messages(reader, 5))
        seen = metrics(service)
        assert seen["unina_captured_total"] >= seen["unina_frames_total"] >= 5
        assert sum(v for k, v in seen.items() if k.startswith("unina_detections_total")) >= found
        for stage in ("wait", "preprocess", "infer", "decode", "publish", "total"):
            name = f'unina_stage_seconds_bucket{{stage="{stage}",le='
            counts = [v for k, v in seen.items() if k.startswith(name)]
            assert counts == sorted(counts) and counts[-1] >= seen["unina_frames_total"]
        answer = service.ask(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
        assert b"# TYPE unina_stage_seconds histogram" in answer
        links = [str(link.readlink()) for link in Path(f"/proc/{service.process.pid}/fd").iterdir()]
        sockets = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
        for table in ("tcp", "tcp6", "udp", "udp6"):
            rows = Path(f"/proc/{service.process.pid}/net/{table}").read_text().splitlines()[1:]
            assert not sockets & {row.split()[9] for row in rows}


def test_metrics_come_over_the_network_where_an_address_was_named(
    tmp_path: Path, bundle: TinyBundle, frames: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
        refused = run("unina-detector", "serve", *flags(bundle, frames), "--metrics-listen", address, "--control", "")
        assert refused.returncode == 2 and f"metrics_listen '{address}': Address already in use" in refused.stderr
    with ServiceProcess(tmp_path, *flags(bundle, frames), "--metrics-listen", address).wait_ready() as service:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
            assert b"\nunina_frames_total " in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{address}/status", timeout=20)
        assert service.stop() == 0


def test_a_snapshot_is_the_picture_with_its_boxes(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        assert service.ctl("snapshot", "--output", tmp_path / "s.jpg").returncode == 0
        picture = cv2.imread(str(tmp_path / "s.jpg"))
        assert picture is not None and picture.shape == (72, 128, 3)
        refused = service.ctl("snapshot", "--output", tmp_path / "none" / "s.jpg")
        assert refused.returncode == 2 and "none/s.jpg: cannot be written" in refused.stderr


def test_a_stream_in_json_logs_is_json(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames), "--log-format", "json").wait_ready() as service:
        assert service.stop() == 0
        events = [json.loads(line) for line in service.log.splitlines()]
    states = [e["state"] for e in events if e["event"] == "service"]
    assert states == ["starting", "ready", "stopping", "stopped"]


def test_the_second_service_at_one_socket_is_refused(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with ServiceProcess(tmp_path, *flags(bundle, frames)).wait_ready() as service:
        line = run("unina-detector", "serve", *flags(bundle, frames), "--control", service.control)
        assert line.returncode == 2 and "another process listens there" in line.stderr
        assert list(service.messages(service.connect(), 1))


def test_ctl_without_a_service_is_one_line(tmp_path: Path) -> None:
    done = run("unina-detector", "ctl", "status", "--control", tmp_path / "none.sock")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "is the service running?" in done.stderr
