"""Messages over MQTT: a broker gets them; one that is absent, refuses, stops reading or goes holds up nobody."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from programs import run
from service_process import ServiceProcess, make_frames, until
from tiny_bundle import TinyBundle

CONNECT, CONNACK, PUBLISH, PINGREQ, PINGRESP = 1, 2, 3, 12, 13


@pytest.fixture(autouse=True)
def mqtt(bundle: TinyBundle) -> None:
    """Skips where the build has no MQTT, which is a line that says what is missing."""
    arguments = ["--bundle", bundle.path, "--source", "images:none", "--mqtt", "127.0.0.1:1", "--control", ""]
    done = run("unina-detector", "serve", *arguments, "--socket", "/no/such/folder/socket")
    if "this build has no MQTT; install libmosquitto-dev" in done.stderr:
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        pytest.skip("THIS BUILD HAS NO MQTT: libmosquitto-dev, then ./setup.sh")
    assert "/no/such/folder/socket" in done.stderr


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return make_frames(tmp_path / "frames")


class Broker:
    """What MQTT 3.1.1 asks of a broker for one client that publishes with QoS 0."""

    def __init__(self, port: int = 0, answer: int = 0, reads: bool = True) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._answer, self._reads = answer, reads
        self.published: list[tuple[str, bytes]] = []
        self.connections = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                connection.settimeout(0.05)
                self.connections += 1
                with connection:
                    for kind, body in self._packets(connection):
                        self._react(connection, kind, body)

    def _react(self, connection: socket.socket, kind: int, body: bytes) -> None:
        if kind == CONNECT:
            assert body[:7] == b"\0\4MQTT\4"
            connection.sendall(bytes([CONNACK << 4, 2, 0, self._answer]))
            if self._answer == 0 and not self._reads:
                self._stop.wait()
        elif kind == PUBLISH:
            (length,) = struct.unpack_from(">H", body)
            self.published.append((body[2 : 2 + length].decode(), body[2 + length :]))
        elif kind == PINGREQ:
            connection.sendall(bytes([PINGRESP << 4, 0]))

    def _packets(self, connection: socket.socket) -> Iterator[tuple[int, bytes]]:
        buffer = b""
        while not self._stop.is_set():
            length, shift, at = 0, 0, 1
            while at < len(buffer) and shift < 28:
                length |= (buffer[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if buffer[at - 1] < 128:
                    break
            else:
                at = len(buffer) + 1
            if at + length <= len(buffer):
                yield buffer[0] >> 4, buffer[at : at + length]
                buffer = buffer[at + length :]
                continue
            try:
                part = connection.recv(65536)
            except TimeoutError:
                continue
            if not part:
                return
            buffer += part


def counter(service: ServiceProcess, name: str) -> int:
    lines = service.ask(b"metrics\n").decode().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"unina_{name} ")))


def arguments(bundle: TinyBundle, frames: Path, port: int, fps: int = 100) -> list[object]:
    source = ["--bundle", bundle.path, "--source", f"images:{frames}?fps={fps}&loop=1"]
    return [*source, "--mqtt", f"127.0.0.1:{port}", "--mqtt-topic", "car/front"]


def test_the_broker_gets_the_messages_of_the_socket(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with Broker() as broker, ServiceProcess(tmp_path, *arguments(bundle, frames, broker.port)).wait_ready() as service:
        said = {message["frame"]: message for message in service.messages(service.connect(), 20)}
        until(lambda: len(broker.published) > 30, "pictures at the broker")
        assert {topic for topic, _ in broker.published} == {"car/front"}
        got = [json.loads(payload) for _, payload in broker.published]
        ids = [message["frame"] for message in got]
        assert ids == sorted(set(ids))
        both = [message for message in got if message["frame"] in said]
        assert both and all(message == said[message["frame"]] for message in both)
        assert counter(service, "mqtt_up") == 1
        assert service.stop() == 0


def test_a_broker_that_comes_later_and_goes_is_found_again(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with Broker() as broker:
        port = broker.port
    with ServiceProcess(tmp_path, *arguments(bundle, frames, port)).wait_ready() as service:
        until(lambda: "event=mqtt state=lost" in service.log, "nobody is there")
        until(lambda: counter(service, "mqtt_dropped_total") > 0, "what nobody takes is dropped")
        for _ in range(2):
            with Broker(port) as broker:
                until(lambda b=broker: len(b.published) > 5, "pictures at the broker")
                newest = json.loads(broker.published[0][1])["frame"]
                assert newest > service.status()["captured"] - 200, "what waited for long is not sent"
            until(lambda: counter(service, "mqtt_up") == 0, "the broker went")
        assert service.stop() == 0


def test_a_broker_that_stops_reading_holds_up_nobody(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    flags = [*arguments(bundle, frames, 0, 500)]
    with Broker(reads=False) as broker:
        flags[flags.index("--mqtt") + 1] = f"127.0.0.1:{broker.port}"
        with ServiceProcess(tmp_path, *flags, "--score-threshold", 0).wait_ready() as service:
            until(lambda: counter(service, "mqtt_dropped_total") > 100, "the oldest are dropped")
            last = service.status()["frames"]
            until(lambda: service.status()["frames"] > last + 50, "pictures go on")
            assert service.stop() == 0


def test_a_refusal_is_said(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    with (
        Broker(answer=5) as broker,
        ServiceProcess(tmp_path, *arguments(bundle, frames, broker.port)).wait_ready() as service,
    ):
        until(lambda: "not authorised" in service.log, "why")
        assert service.stop() == 0
