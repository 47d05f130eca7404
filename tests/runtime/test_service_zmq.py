"""Messages over ZeroMQ, end to end; what its sink promises about slow readers is in test_service_zmq.cpp."""

import ctypes
import ctypes.util
import json
from pathlib import Path

import pytest
from programs import run
from service_process import ServiceProcess, make_frames
from tiny_bundle import TinyBundle

SUB, SUBSCRIBE, RCVTIMEO = 2, 6, 27  # of zmq.h


def test_a_reader_gets_the_messages_of_the_socket(tmp_path: Path, bundle: TinyBundle) -> None:
    endpoint = f"ipc://{tmp_path / 'zmq'}"
    arguments = ["--bundle", bundle.path, "--source", f"images:{make_frames(tmp_path / 'frames')}?fps=50&loop=1"]
    refused = run("unina-detector", "serve", *arguments, "--zmq", "ipc:///no/such/folder/zmq", "--control", "")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1, refused.stderr
    if "this build has no ZeroMQ; install libzmq3-dev" in refused.stderr:
        pytest.skip("THIS BUILD HAS NO ZEROMQ: libzmq3-dev, then ./setup.sh")
    assert "zmq 'ipc:///no/such/folder/zmq'" in refused.stderr
    zmq = ctypes.CDLL(ctypes.util.find_library("zmq"))
    zmq.zmq_ctx_new.restype = zmq.zmq_socket.restype = ctypes.c_void_p
    context = ctypes.c_void_p(zmq.zmq_ctx_new())
    reader = ctypes.c_void_p(zmq.zmq_socket(context, SUB))
    patience = ctypes.c_int(20000)
    zmq.zmq_setsockopt(reader, RCVTIMEO, ctypes.byref(patience), 4)
    zmq.zmq_setsockopt(reader, SUBSCRIBE, b"", 0)
    with ServiceProcess(tmp_path, *arguments, "--zmq", endpoint).wait_ready() as service:
        assert zmq.zmq_connect(reader, endpoint.encode()) == 0
        room = ctypes.create_string_buffer(1 << 20)
        sizes = (zmq.zmq_recv(reader, room, len(room), 0) for _ in range(10))
        got = [json.loads(room.raw[:size]) for size in sizes]
        assert all(message["schema"] == 2 and message["detections"] for message in got)
        ids = [message["frame"] for message in got]
        assert ids == sorted(set(ids))
        assert service.stop() == 0
        assert not (tmp_path / "zmq").exists()
    zmq.zmq_close(reader)
    zmq.zmq_ctx_term(context)


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--zmq", "tcp://*", "expected tcp://ADDRESS:PORT"),
        ("--zmq", "ipc://relative", "expected ipc:///PATH"),
        ("--zmq", "inproc://x", "expected ipc:///PATH"),
        ("--mqtt", "broker", "expected HOST:PORT"),
        ("--mqtt", "broker:0", "expected 1 to 65535"),
        ("--mqtt-topic", "cones/#", "expected a topic"),
    ],
)
def test_an_endpoint_that_cannot_be_is_named(flag: str, value: str, expected: str) -> None:
    refused = run("unina-detector", "serve", flag, value)
    assert refused.returncode == 2 and flag in refused.stderr and expected in refused.stderr, refused.stderr
