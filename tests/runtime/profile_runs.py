"""Times of runs that never were, in the forms that programs write; every value is made up."""

import json
import random
from pathlib import Path
from typing import Any


def frames_ms(count: int, seed: int = 0, factor: float = 1.0, memory: float = 0.9) -> list[float]:
    """Latencies of frames that are alike the more the nearer they are (`memory`), as true ones are."""
    random_ = random.Random(seed)
    drift, told = 0.0, []
    for _ in range(count):
        drift = memory * drift + random_.gauss(0, 0.05)
        told.append(factor * (2.0 + drift) if drift > -1.9 else 0.1)
    return told


def trtexec_times(path: Path, latencies: list[float]) -> Path:
    """As trtexec --exportTimes."""
    told, at = [], 0.0
    for ms in latencies:
        begin, middle, end = at, at + 0.1, at + ms
        times = {"startH2dMs": begin, "endH2dMs": middle, "startComputeMs": middle, "endComputeMs": end - 0.05}
        times |= {"startD2hMs": end - 0.05, "endD2hMs": end, "h2dMs": 0.1, "computeMs": ms - 0.15, "d2hMs": 0.05}
        told.append({"startEnqMs": begin, "endEnqMs": middle, **times, "latencyMs": ms})
        at = end
    path.write_text(json.dumps(told))
    return path


def bench_json(latencies: list[float], samples: bool = True) -> dict[str, Any]:
    """As unina-bench --json, with --samples or without."""
    ordered = sorted(latencies)
    stage: dict[str, Any] = {f"p{p}_ms": ordered[len(ordered) * p // 100] for p in (50, 95, 99)}
    stage["mean_ms"] = sum(latencies) / len(latencies)
    if samples:
        stage["samples_ms"] = latencies
    speed = 1000 * len(latencies) / sum(latencies)
    head = {"schema": 1, "bundle": "cones", "accelerator": "cudla-hybrid", "frames_per_second": speed}
    return {**head, "stages": {"infer": stage, "total": stage}}


def messages(latencies: list[float], begin_s: float, interval_s: float = 0.1) -> str:
    """As unina-detector's socket gives them."""
    lines = []
    for index, ms in enumerate(latencies):
        captured = 10**9 + round(index * interval_s * 1e9)
        stamps = {"captured_ns": captured, "submitted_ns": captured + 200_000, "done_ns": captured + round(ms * 1e6)}
        stamps["captured_realtime_ns"] = round((begin_s + index * interval_s) * 1e9)
        lines.append(json.dumps({"schema": 2, "frame": index, **stamps, "detections": []}))
    return "\n".join(lines) + "\n"


def estimate_json(path: Path, macs: int = 10_000_000_000, complete: bool = True) -> Path:
    """As unina-dla estimate --json, as far as it is read."""
    layers = [
        {"name": f"/{name}/Conv", "kind": "Conv 3×3 + Relu", "latency_ms": ms, "bound": "compute", "macs": macs // 2}
        for name, ms in (("stem", 0.5), ("head", 0.25))
    ]
    told = {"model": "a/cones.unina", "latency_ms": 0.75, "complete": complete, "macs": macs, "layers": layers}
    path.write_text(json.dumps({**told, "mode": {"name": "MAXN"}, "precision": "int8", "batch": 1}))
    return path
