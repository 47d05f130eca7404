"""Stands in for trtexec in tests of `unina-profile engines`: builds "engines" that know their flags, and "times" them.

Every time is made up. What it is told lies beside it in orders.json, every call is noted in calls.jsonl.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

MS = {"gpu-fp16": 2.0, "gpu-int8": 1.0, "dla-fp16": 30.0, "dla-int8": 2.5}
"""of one picture; made up"""


def install_trtexec(folder: Path, **orders: Any) -> Path:
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


def calls(program: Path) -> list[list[str]]:
    """The arguments of each call so far but of those that ask for help."""
    log = program.parent / "calls.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def value(arguments: list[str], flag: str, default: str = "") -> str:
    return next((a.partition("=")[2] for a in arguments if a.startswith(f"{flag}=")), default)


def build(arguments: list[str], orders: dict[str, Any]) -> int:
    model = Path(value(arguments, "--onnx")).read_bytes()
    kind = ("dla" if value(arguments, "--useDLACore") else "gpu") + ("-int8" if "--int8" in arguments else "-fp16")
    if kind in orders.get("refuses", []):
        print(f"[11/21/2026-12:00:00] [E] Error Code 9: {kind} is refused\x1b[31m")
        return 1
    if calibration := value(arguments, "--calib"):
        assert Path(calibration).read_text().startswith("TRT-100300-EntropyCalibration2\n")
    cache = Path(value(arguments, "--timingCacheFile"))
    known = cache.read_text().split() if cache.exists() else []
    cache.write_text(" ".join([*known, kind]))
    engine = {"kind": kind, "batch": orders.get("batch_of", {}).get(str(len(model)), 1)}
    Path(value(arguments, "--saveEngine")).write_text(json.dumps(engine))
    return 0


def run(arguments: list[str], here: Path) -> int:
    engine = json.loads(Path(value(arguments, "--loadEngine")).read_text())
    seconds = float(value(arguments, "--duration"))
    load = here / "load"
    if seconds > 1000:  # the load on the GPU
        load.write_text(str(os.getpid()))
        time.sleep(600)
    busy = load.exists() and Path(f"/proc/{load.read_text()}").exists()
    ms = MS[engine["kind"]] * engine["batch"] * (2 if busy and engine["kind"].startswith("gpu") else 1)
    time.sleep(min(seconds, 0.3))
    if path := value(arguments, "--exportTimes"):
        told, at = [], 0.0
        for number in range(100):
            took = ms * (1 + number / 1000)
            told.append({"startH2dMs": at, "endD2hMs": at + took, "computeMs": took, "latencyMs": took})
            at += took
        Path(path).write_text(json.dumps(told))
    if path := value(arguments, "--exportProfile"):
        layers = [{"name": "/stem/Conv", "timeMs": 100 * ms, "averageMs": ms, "medianMs": ms, "percentage": 100.0}]
        Path(path).write_text(json.dumps([{"count": 100}, *layers]))
    return 0


def main(arguments: list[str]) -> int:
    """Orders: refuses (kinds), batch_of (bytes of a model: its batch), power_cut (call at which the caller dies)."""
    here = Path(__file__).resolve().parent
    orders = json.loads((here / "orders.json").read_text())
    print(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{orders.get('number', 100300)}]", flush=True)
    if arguments == ["--help"]:
        return 0
    with (here / "calls.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    if len((here / "calls.jsonl").read_text().splitlines()) == orders.get("power_cut"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return run(arguments, here) if value(arguments, "--loadEngine") else build(arguments, orders)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
