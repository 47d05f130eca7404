"""On the device: runs what the test on the other end of a virtio line asks for. One line of JSON each way.

    {"id": 1, "run": "systemctl is-active unina-detector", "timeout": 60}  ->  {"id": 1, "code": 0, "out": "active\n"}
    {"id": 2, "read": "/path"}                                             ->  {"id": 2, "data": base64}
    {"id": 3, "write": "/path", "data": base64}                            ->  {"id": 3}

Each is answered when it is done, whatever else is at work meanwhile.
"""

import base64
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

LINE = "/dev/virtio-ports/unina.agent"


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Does it."""
    if "read" in asked:
        return {"data": base64.b64encode(Path(asked["read"]).read_bytes()).decode()}
    if "write" in asked:
        with Path(asked["write"]).open("wb") as file:
            file.write(base64.b64decode(asked["data"]))
            os.fsync(file.fileno())
        return {}
    words = ["/bin/sh", "-c", asked["run"]]
    done = subprocess.run(
        words,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=asked["timeout"],
    )
    return {"code": done.returncode, "out": done.stdout.decode("utf-8", "replace")}


def serve(line: int) -> None:
    """Until the machine is cut off."""
    writing = threading.Lock()

    def work(text: bytes) -> None:
        asked = json.loads(text)
        try:
            said = answer(asked)
        except Exception as error:  # the test is told
            said = {"error": f"{type(error).__name__}: {error}"}
        data = json.dumps({"id": asked["id"], **said}).encode() + b"\n"
        with writing:
            while data:
                data = data[os.write(line, data) :]

    rest = b""
    while True:
        rest += os.read(line, 1 << 16)
        *whole, rest = rest.split(b"\n")
        for text in whole:
            threading.Thread(target=work, args=(text,), daemon=True).start()


if __name__ == "__main__":
    line = os.open(LINE, os.O_RDWR)
    os.write(line, b'{"id": 0}\n')
    serve(line)
