"""The ring of detections from Python: what the service writes is read whole, and what is no ring is refused."""

import ctypes
import mmap
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from service_process import ServiceProcess, make_frames
from tiny_bundle import CLASSES, TinyBundle

from unina_runtime import DetectionRing, UninaError

HEADER, SLOT, DETECTION = 4160, 80, 24


def test_the_ring_says_what_the_socket_says(tmp_path: Path, bundle: TinyBundle) -> None:
    frames = make_frames(tmp_path / "frames")
    source = f"images:{frames}?fps=20&loop=1"
    with ServiceProcess(tmp_path, "--bundle", bundle.path, "--source", source).wait_ready() as service:
        reader = service.connect()
        with DetectionRing(service.ring) as ring:
            assert ring.classes == list(CLASSES) and not ring.replaced
            compared = 0
            for message in service.messages(reader, 5):
                said = {one.frame: one for n in range(max(0, ring.written - 60), ring.written) if (one := ring.read(n))}
                one = said[message["frame"]]
                for key in ("captured_ns", "submitted_ns", "done_ns", "captured_realtime_ns", "drops", "gaps"):
                    assert getattr(one, key) == message[key]
                assert (one.width, one.height, one.stale) == (message["width"], message["height"], message["stale"])
                found = message["detections"]
                np.testing.assert_array_equal(one.detections.boxes, np.float32([d["box"] for d in found]))
                np.testing.assert_array_equal(one.detections.scores, np.float32([d["score"] for d in found]))
                assert list(one.detections.classes) == [d["class_id"] for d in found]
                compared += len(found)
            assert compared > 0
            newest = ring.latest()
            assert newest is not None and newest.frame >= message["frame"]
            assert ring.read(ring.written + 5) is None
            assert service.stop() == 0
            assert ring.replaced


def empty_ring(path: Path, slots: int, room: int) -> int:
    """Returns the bytes of a slot."""
    slot = SLOT + room * DETECTION
    header = struct.pack("<8sIIIIII", b"UNINARG1", 1, HEADER, slot, slots, room, 1)
    path.write_bytes(header.ljust(HEADER, b"\0") + bytes(slots * slot))
    return slot


def test_a_message_that_changes_while_it_is_read_is_never_returned(tmp_path: Path) -> None:
    """Another thread overwrites the slot word by word, with a ctypes call (no GIL) a message."""
    path = tmp_path / "ring"
    room = 2000
    slot = empty_ring(path, 1, room)
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    words = np.frombuffer(memory, np.uint64, offset=HEADER)
    stop = threading.Event()
    detections = words[SLOT // 8 :].view(np.uint8)
    bodies = [np.full(room * DETECTION, value, np.uint8) for value in range(256)]

    def write() -> None:
        n = 0
        while not stop.is_set():
            words[0] = 2 * n + 1
            words[1] = n
            words[9] = room << 32  # stale 0, detection_count
            ctypes.memmove(detections.ctypes.data, bodies[n % 256].ctypes.data, room * DETECTION)
            words[0] = 2 * n + 2
            n += 1
            time.sleep(0)  # lets go of the GIL while the message is whole

    writing = threading.Thread(target=write)
    writing.start()
    try:
        whole = 0
        with DetectionRing(path) as ring:
            while whole < 200:
                expected = (int(words[0]) - 1) // 2
                if message := ring.read(max(0, expected)):
                    whole += 1
                    assert message.frame == message.number
                    raw = message.detections.boxes.tobytes() + message.detections.classes.tobytes()
                    assert set(raw) == {message.number % 256}
    finally:
        stop.set()
        writing.join()
    assert slot == SLOT + room * DETECTION


@pytest.mark.parametrize(
    ("offset", "bytes_", "why"),
    [
        (0, b"x", "does not begin as a ring"),
        (8, b"\2", "has version 2, this reader knows 1"),
        (12, struct.pack("<I", 0), "sizes that contradict"),
        (16, struct.pack("<I", 88), "sizes that contradict"),
        (20, struct.pack("<I", 0), "sizes that contradict"),
        (20, struct.pack("<I", 9), "sizes that contradict"),
        (24, struct.pack("<I", 2**32 - 1), "sizes that contradict"),
        (28, struct.pack("<I", 129), "sizes that contradict"),
    ],
)
def test_what_is_no_ring_is_refused(tmp_path: Path, offset: int, bytes_: bytes, why: str) -> None:
    path = tmp_path / "ring"
    empty_ring(path, 4, 10)
    content = bytearray(path.read_bytes())
    content[offset : offset + len(bytes_)] = bytes_
    path.write_bytes(content)
    with pytest.raises(UninaError, match=f"{path}: .*{why}"):
        DetectionRing(path)


def test_short_files_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"UNINARG1"):
        (tmp_path / "ring").write_bytes(content)
        with pytest.raises(UninaError, match="ring: "):
            DetectionRing(tmp_path / "ring")
