#!/usr/bin/env python3
"""Times the host integer engine beside ONNX Runtime and OpenVINO: one network, one thread each, one interleaved run.

Every round runs each engine once, so that whatever else the machine does falls on all alike. What is timed is inference
alone: inputs are in place, outputs are not converted. Without --loadable it builds a detector-like network of its own.

ONNX Runtime's QLinearConv is timed in two forms that compute the same values: "int8", what the DLA needs, and "uint8",
with 128 added to every activation, which suits its x86 kernels better.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # counts only before onnxruntime starts
# The openvino package counts every import at Google Analytics through this module, and does without where it is absent.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "runtime"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402  (after the switches above)
from loadable_writer import Network, loadable_bytes, read_loadable  # noqa: E402  (needs the path above)
from networks import detector  # noqa: E402
from onnx_graphs import integer_graph, qdq_graph  # noqa: E402

from unina_runtime import HostEngine, UninaError  # noqa: E402

OURS = "unina host engine"
NO_OPENVINO = "openvino: not installed, pip install 'unina-model-tools[bench]'"

Runner = Callable[[], Any]


def our_engine(network: Network, feeds: dict[str, np.ndarray]) -> tuple[Runner, dict[str, np.ndarray]]:
    engine = HostEngine(loadable_bytes(network), threads=1, rounding="half-even")
    return engine.infer, engine.run(feeds)


def onnxruntime_session(model: bytes, feeds: dict[str, np.ndarray]) -> tuple[Runner, dict[str, np.ndarray]]:
    import onnxruntime as ort  # noqa: PLC0415  (after the telemetry switch)

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(None, feeds), strict=True))
    return lambda: session.run_with_iobinding(binding), results


def openvino_request(model: bytes, feeds: dict[str, np.ndarray]) -> Runner | None:
    try:
        import openvino  # noqa: PLC0415  (optional)
    except ImportError:
        return None
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(model, b""), "CPU", settings).create_infer_request()
    for name, value in feeds.items():
        request.set_tensor(name, openvino.Tensor(value))
    return request.infer


def time_interleaved(runners: dict[str, Runner], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median wall and CPU milliseconds of a run, an engine. Three rounds first warm up and are not counted.

    The CPU time is the fairer figure where other processes share the cores.
    """
    wall: dict[str, list[float]] = {name: [] for name in runners}
    cpu: dict[str, list[float]] = {name: [] for name in runners}
    for i in range(-3, rounds):
        for name, run in runners.items():
            begin, cpu_begin = time.perf_counter(), time.process_time()
            run()
            if i >= 0:
                wall[name].append((time.perf_counter() - begin) * 1e3)
                cpu[name].append((time.process_time() - cpu_begin) * 1e3)
    medians = [{name: statistics.median(values) for name, values in times.items()} for times in (wall, cpu)]
    return medians[0], medians[1]


def multiply_accumulates(network: Network) -> int:
    total = 0
    for op in network.ops:
        if op["type"] == "conv":
            _, height, width = network.shape(op["output"])
            total += op["weights"].size * height * width
    return total


def measure(network: Network, onnx_model: bytes | None, rounds: int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    feeds = {name: random.integers(-128, 128, (1, *network.shape(name))).astype(np.int8) for name in network.inputs}
    real_feeds = {name: value.astype(np.float32) * network.scale(name) for name, value in feeds.items()}
    qdq = onnx_model or qdq_graph(network)
    ours, our_values = our_engine(network, feeds)
    biased_feeds = {name: (value.astype(np.int16) + 128).astype(np.uint8) for name, value in feeds.items()}
    signed, signed_values = onnxruntime_session(integer_graph(network), feeds)
    biased, biased_values = onnxruntime_session(integer_graph(network, "uint8"), biased_feeds)
    runners = {
        OURS: ours,
        "onnxruntime QLinearConv int8": signed,
        "onnxruntime QLinearConv uint8": biased,
        "onnxruntime Q/DQ (float inside)": onnxruntime_session(qdq, real_feeds)[0],
    }
    openvino = openvino_request(qdq, real_feeds)
    if openvino:
        runners["openvino Q/DQ"] = openvino
    p50, cpu = time_interleaved(runners, rounds)
    return {
        "gmac": multiply_accumulates(network) / 1e9,
        "rounds": rounds,
        "openvino": bool(openvino),
        "p50_ms": p50,
        "ratio": {name: value / p50[OURS] for name, value in p50.items()},
        "cpu_p50_ms": cpu,
        "cpu_ratio": {name: value / cpu[OURS] for name, value in cpu.items()},
        "differing_from_qlinearconv": {
            "int8": sum(int((value != signed_values[n]).sum()) for n, value in our_values.items()),
            "uint8": sum(
                int((value != biased_values[n].astype(np.int16) - 128).sum()) for n, value in our_values.items()
            ),
        },
        "values": sum(value.size for value in our_values.values()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loadable", type=Path, help="a host.loadable instead of the built-in network")
    parser.add_argument(
        "--onnx", type=Path, help="its model.qdq.onnx; by default the Q/DQ graph is rebuilt from the loadable"
    )
    parser.add_argument("--rounds", type=int, default=30, help="runs of every engine (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    try:
        network = read_loadable(arguments.loadable.read_bytes()) if arguments.loadable else detector()
        onnx_model = arguments.onnx.read_bytes() if arguments.onnx else None
        result = measure(network, onnx_model, max(1, arguments.rounds))
    except (OSError, UninaError, ValueError) as error:
        print(f"engine.py: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{result['gmac']:.2f} GMAC, one thread each, {result['rounds']} interleaved rounds")
    print(f"  {'p50 of':32} {'wall time':26} CPU time")
    for name, p50 in result["p50_ms"].items():
        cpu, ratio, cpu_ratio = result["cpu_p50_ms"][name], result["ratio"][name], result["cpu_ratio"][name]
        print(f"  {name:32} {p50:8.2f} ms = {ratio:5.2f} x ours   {cpu:8.2f} ms = {cpu_ratio:5.2f} x ours")
    if not result["openvino"]:
        print(f"  {NO_OPENVINO}")
    for form, differing in result["differing_from_qlinearconv"].items():
        print(f"  {differing} of {result['values']} output values differ from QLinearConv {form}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
