"""On the device: readers of the detector's socket, good ones and bad ones.

reader.py SOCKET collect COUNT       prints COUNT messages
reader.py SOCKET watch SECONDS       tells of ids that are missing or repeated in all that time
reader.py SOCKET first SECONDS       waits for a socket and one message; prints the message
reader.py SOCKET crowd COUNT         COUNT readers connect, take a message or none, and leave
reader.py SOCKET deaf SECONDS        connects, never reads, and prints whether it was disconnected
"""

import json
import socket
import sys
import time
from contextlib import suppress

MOST = 1 << 20


def connect(path: str) -> socket.socket:
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.settimeout(60)
    while True:
        try:
            reader.connect(path)
            return reader
        except BlockingIOError:  # too many wait already
            time.sleep(0.05)


def collect(path: str, count: int) -> None:
    with connect(path) as reader:
        for _ in range(count):
            message = reader.recv(MOST)
            if not message:
                raise SystemExit("the detector hung up")
            sys.stdout.write(message.decode())


def watch(path: str, seconds: int) -> None:
    gaps: list[dict[str, float]] = []
    seen, repeated, last, began = 0, 0, -1, time.monotonic()
    with connect(path) as reader:
        while (now := time.monotonic()) < began + seconds:
            message = reader.recv(MOST)
            if not message:
                raise SystemExit("the detector hung up")
            frame = json.loads(message)["frame"]
            repeated += frame <= last
            if seen and frame > last + 1:
                gaps.append(
                    {"lost": frame - last - 1, "after": last, "uptime": time.clock_gettime(time.CLOCK_BOOTTIME)}
                )
            seen, last = seen + 1, max(last, frame)
    print(json.dumps({"messages": seen, "repeated": repeated, "gaps": gaps, "seconds": now - began}))


def first(path: str, seconds: int) -> None:
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError), connect(path) as reader:
            if message := reader.recv(MOST):
                sys.stdout.write(message.decode())
                return
        if time.monotonic() > end:
            raise SystemExit(f"no message within {seconds} s")
        time.sleep(0.1)


def crowd(path: str, count: int) -> None:
    served, present = 0, []
    for number in range(count):
        reader = connect(path)
        if number % 50 == 0:  # some stay until they have read
            served += bool(reader.recv(MOST))
        if number % 3 == 0:  # some leave at once, others stay a while
            reader.close()
        else:
            present.append(reader)
        if len(present) > 30:
            present.pop(0).close()
    print(json.dumps({"readers": count, "served": served}))


def deaf(path: str, seconds: int) -> None:
    with connect(path) as reader:
        time.sleep(seconds)
        packets = 0
        while reader.recv(MOST):
            packets += 1
        print(json.dumps({"disconnected": True, "left_in_the_socket": packets}))


if __name__ == "__main__":
    place, mode, number = sys.argv[1:]
    {"collect": collect, "watch": watch, "first": first, "crowd": crowd, "deaf": deaf}[mode](place, int(number))
