"""The ROS 2 bridge without ROS: a recorded stream of the socket becomes the messages that vision_msgs defines."""

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "ros"))

from unina_bridge.conversion import build, detection_array
from unina_bridge.socket_messages import messages

RECORDED = Path(__file__).parent / "recorded" / "detections.jsonl"  # of the shipped bundle on synthetic scenes


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


def test_every_box_keeps_its_place_class_score_and_stamp() -> None:
    stream = recorded()
    assert sum(len(message["detections"]) for message in stream) > 5
    for message in stream:
        array = detection_array(message, "front")
        stamp = array.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == message["captured_realtime_ns"]
        assert 0 <= stamp.nanosec < 10**9 and array.header.frame_id == "front"
        assert len(array.detections) == len(message["detections"])
        for one, said in zip(array.detections, message["detections"], strict=True):
            assert one.header == array.header
            [result] = one.results
            assert (result.hypothesis.class_id, result.hypothesis.score) == (said["class"], said["score"])
            center, box = one.bbox.center.position, one.bbox
            sides = [center.x - box.size_x / 2, center.y - box.size_y / 2]
            sides += [center.x + box.size_x / 2, center.y + box.size_y / 2]
            assert sides == pytest.approx(said["box"], abs=1e-9) and box.center.theta == 0


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="speaks schema 3, this bridge schema 2"):
        detection_array({**recorded()[0], "schema": 3}, "front")


class Recorder:
    """Stands for any ROS message: it takes the fields that it is given."""


def test_real_messages_are_built_field_by_field() -> None:
    names = ("Time", "Header", "BoundingBox2D", "Detection2D", "Detection2DArray", "ObjectHypothesis")
    names += ("ObjectHypothesisWithPose", "Point2D", "Pose2D")
    types = {name: type(name, (Recorder,), {}) for name in names}
    plain = detection_array(next(m for m in recorded() if m["detections"]), "front")
    built = build(plain, types)
    assert type(built).__name__ == "Detection2DArray" and isinstance(built.detections, list)
    first, expected = built.detections[0], plain.detections[0]
    assert type(first.bbox.center.position).__name__ == "Point2D"
    assert first.bbox.center.position.x == expected.bbox.center.position.x
    assert first.results[0].hypothesis.class_id == expected.results[0].hypothesis.class_id
    assert first.header.stamp.nanosec == plain.header.stamp.nanosec


def test_the_reader_connects_again_when_the_service_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    lines = RECORDED.read_bytes().splitlines(keepends=True)[:2]
    reported: list[str] = []
    running = threading.Event()
    running.set()
    stream = messages(str(path), running.is_set, reported.append, retry_s=0.01, tick_s=0.01)
    for line in lines:  # two services, one after the other
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as service:
            service.bind(str(path))
            service.listen()

            def serve(service: socket.socket = service, line: bytes = line) -> None:
                connection, _ = service.accept()
                with connection:
                    connection.send(line)

            serving = threading.Thread(target=serve)
            serving.start()
            assert next(stream) == json.loads(line)
            serving.join()
        path.unlink()
    running.clear()
    assert list(stream) == []
    assert sum("connected" in line for line in reported) == 2


def test_a_service_without_room_is_not_asked_without_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    running = threading.Event()
    running.set()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            running.clear()

    monkeypatch.setattr("unina_bridge.socket_messages.time.sleep", pause)
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as service:
        service.bind(str(path))
        service.listen()

        def close_at_once() -> None:
            for _ in range(3):
                service.accept()[0].close()

        full = threading.Thread(target=close_at_once)
        full.start()
        assert list(messages(str(path), running.is_set, lambda _: None, retry_s=0.25, tick_s=0.01)) == []
        full.join()
    assert pauses == [0.25] * 3
