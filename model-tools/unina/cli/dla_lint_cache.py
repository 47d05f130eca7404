"""`unina-dla lint-cache`: what is wrong with a calibration cache, line by line, before a Jetson finds out."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from unina.cli.dla_model import add_model_arguments, fp16_layers, read_model
from unina.dla.lint_cache import lint_cache, scaled_tensors
from unina.dla.network import NetworkError
from unina.dla.tensorrt import TensorRt

BUNDLE_CACHE = "calibration.cache"
LARGEST_BYTES = 1 << 26
EXAMPLES = """examples:
  unina-dla lint-cache cones.unina                          the cache of a bundle
  unina-dla lint-cache model.onnx calib.cache --trt 8.6     any network and the cache that belongs to it
  unina-dla lint-cache model.onnx calib.cache --json        for a program

Exit code: 0 nothing found, 1 something found, 2 the network or the cache cannot be read.
"""


def add_lint_cache(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "lint-cache",
        help="find what is wrong with a calibration cache",
        description="Finds tensors without scale, scales that the DLA wants equal and are not, names that the network "
        "has not, a header of another TensorRT, lines and scales that are none.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(parser)
    parser.add_argument(
        "cache", metavar="CACHE", type=Path, nargs="?", help="the cache; a bundle brings its own, calibration.cache"
    )
    parser.add_argument(
        "--trt", type=version, default=TensorRt(10, 3), metavar="VERSION", help="TensorRT (default: 10.3, JetPack 6)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(command=run)


def version(text: str) -> TensorRt:
    """TensorRT's version as an argument."""
    try:
        return TensorRt.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    tensorrt: TensorRt = arguments.trt
    if tensorrt.strongly_typed:
        raise NetworkError(f"--trt {tensorrt}: reads no cache; scales come with the Q/DQ nodes of model.qdq.onnx")
    if tensorrt.without_dla:
        raise NetworkError(f"--trt {tensorrt}: {tensorrt.without_dla}")
    path: Path | None = arguments.cache
    if path is None:
        if not arguments.model.is_dir():
            raise NetworkError(f"{arguments.model}: brings no cache of its own: give CACHE behind it")
        path = arguments.model / BUNDLE_CACHE
    text = read_text(path)
    network = read_model(arguments)
    findings = lint_cache(text, network, tensorrt, fp16_layers(arguments.model, network))
    if arguments.json:
        document = {
            "model": str(arguments.model),
            "cache": str(path),
            "tensorrt": str(tensorrt),
            "tensors": len(scaled_tensors(network)),
            "findings": [asdict(finding) for finding in findings],
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            print(finding.text(str(path)))
        if not findings:
            print(
                f"{path}: clean: {len(scaled_tensors(network))} tensors, each with its scale, for TensorRT {tensorrt}"
            )
    return 1 if findings else 0


def read_text(path: Path) -> str:
    """The text of a cache. Raises NetworkError: not there, too large, or not text."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise NetworkError(f"{path}: {path.stat().st_size / 1e6:.0f} MB; a cache has a line a tensor")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise NetworkError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise NetworkError(f"{path}: not text, so not a calibration cache") from error
