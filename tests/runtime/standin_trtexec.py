"""Stands in for trtexec in tests: takes its time, writes a loadable for the stand-in of libcudla, and fails as told.

What it is told lies beside it in orders.json, since unina-compile gives it nothing of our environment; every call is
noted in calls.jsonl. `install_standin` makes a copy. It needs the standard library only, as an emulated device has it.
"""

import json
import os
import signal
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

GREETING = "&&&& RUNNING TensorRT.trtexec [TensorRT v{number}] # trtexec {arguments}"
PIECES = 20


def install_standin(folder: Path, **orders: Any) -> Path:
    """An executable trtexec in `folder`. Orders: see `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "trtexec"
    program.write_text(f"#!{sys.executable} -IS\n" + Path(__file__).read_text())
    program.chmod(0o755)
    order(program, **orders)
    return program


def order(program: Path, **orders: Any) -> None:
    """Tells it what to do from now on."""
    (program.parent / "orders.json").write_text(json.dumps(orders))


def calls(program: Path) -> list[dict[str, Any]]:
    """Arguments, working directory and environment of each compilation so far."""
    log = program.parent / "calls.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def value(arguments: list[str], flag: str) -> str:
    return next(a.partition("=")[2] for a in arguments if a.startswith(f"{flag}="))


def main(arguments: list[str]) -> int:
    """Orders: number (of TensorRT), seconds, task_ms (that a picture takes with what it makes); does: write,
    refuse[-dla], hang, fill, eat, devour, silent or die."""
    here = Path(__file__).resolve().parent
    orders = json.loads((here / "orders.json").read_text())
    does = orders.get("does", "write")
    if orders.get("number", 100300):
        print(GREETING.format(number=orders.get("number", 100300), arguments=" ".join(arguments)), flush=True)
    if arguments == ["--help"]:
        return 0
    onnx = Path(value(arguments, "--onnx"))
    called = {"arguments": arguments, "cwd": str(Path.cwd()), "environment": dict(os.environ)}
    called["calibration"] = Path(value(arguments, "--calib")).read_text().split("\n")[0]
    called["bundle"] = sorted(path.name for path in onnx.parent.iterdir())
    with suppress(OSError), (here / "calls.jsonl").open("a") as log:  # a unit may not write there
        log.write(json.dumps(called) + "\n")
    dla = any(a.startswith("--useDLACore") for a in arguments)
    if does == "refuse" or (does == "refuse-dla" and dla):
        print("[11/21/2026-20:00:00] [E] Error[9]: Error Code 9: DLA does not support \x1b[31mthis layer", flush=True)
        print("&&&& FAILED TensorRT.trtexec", flush=True)
        return 1
    if does == "hang":
        time.sleep(3600)
    if does == "eat":
        bytearray(8 << 30)
    hoard = []
    while does == "devour":  # not only asked for, but written to
        hoard.append(b"x" * (1 << 20))
    if does == "silent":
        return 0
    content = (
        b"UNINASIL"
        + struct.pack("<III", 1, 64, orders.get("task_ms", 0))
        + (onnx.parent / "host.loadable").read_bytes()
    )
    if not dla:
        content = b"ftrt" + content
    with Path(value(arguments, "--saveEngine")).open("wb") as output:
        for number in range(PIECES):
            output.write(content[number * len(content) // PIECES : (number + 1) * len(content) // PIECES])
            output.flush()
            time.sleep(orders.get("seconds", 0) / PIECES)
            if does == "die" and number == PIECES // 2:
                os.abort()
        if does == "fill":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores and trtexec does not
            output.truncate(1 << 40)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
