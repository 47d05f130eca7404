"""`unina-dla command`: the exact trtexec line that compiles a bundle for the DLA."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from unina.cli.dla_lint_cache import BUNDLE_CACHE, read_text, version
from unina.cli.dla_model import BUNDLE_MODEL, fp16_layers
from unina.dla.check import Device, check
from unina.dla.lint_cache import Finding, lint_cache
from unina.dla.network import Network, NetworkError, read_network
from unina.dla.rules import LOADABLES_PER_CORE, POOLS, Context
from unina.dla.tensorrt import TensorRt
from unina.dla.trtexec import (
    CORES,
    LAYERS_FILE,
    Dtype,
    IoTensor,
    Layout,
    Pool,
    TrtexecCommand,
    TrtexecError,
)

QDQ_MODEL = "model.qdq.onnx"
LAYOUTS: Mapping[str, Layout] = {"linear": "dla_linear", "hwc4": "dla_hwc4", "chw16": "chw16", "chw32": "chw32"}
"""The manifest's formats (docs/bundle.md) in trtexec's words."""
EXAMPLES = """examples:
  unina-dla command cones.unina                       a loadable for cuDLA, TensorRT 10.3 (JetPack 6.1, 6.2)
  unina-dla command cones.unina --trt 8.6 --dla-core 1
  unina-dla command cones.unina --trt 11.4.1          from the Q/DQ network: expected to work, not verified
  unina-dla command cones.unina --engine              a TensorRT engine instead, to be timed by trtexec itself
  unina-dla command cones.unina | sh                  compiles it, on a Jetson

What is not verified is said on stderr and stands in --json. Exit code: 0 printed, 1 these settings do not go together
(no such combination can be printed), 2 the bundle cannot be read.
"""


@dataclass(frozen=True)
class BundleIo:
    """What a command needs of a manifest."""

    name: str
    inputs: tuple[IoTensor, ...]
    outputs: tuple[IoTensor, ...]


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "command",
        help="print the trtexec line that compiles a bundle for the DLA",
        description="Prints the trtexec line that compiles a bundle for the DLA of a Jetson AGX Orin.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="a bundle folder")
    parser.add_argument(
        "--trt", type=version, default=TensorRt(10, 3), metavar="VERSION", help="8.6, 10.3 (default), 11.4.1, …"
    )
    parser.add_argument("--dla-core", type=int, choices=CORES, default=0, help="(default: 0)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--standalone", action="store_true", help="a loadable for cuDLA (default)")
    form.add_argument("--engine", action="store_true", help="a TensorRT engine whose layers run on the DLA")
    parser.add_argument("--gpu-fallback", action="store_true", help="let the engine run on the GPU what the DLA cannot")
    parser.add_argument("--output", metavar="FILE", help="what trtexec writes (default: NAME-trtVERSION-dlaCORE.bin)")
    for pool, what in (("sram", "at most 1"), ("local-dram", "default 1024"), ("global-dram", "default 512")):
        parser.add_argument(f"--{pool}", type=float, metavar="MIB", help=f"pool size, a power of two; {what}")
    parser.add_argument(
        "--loadables",
        type=int,
        default=1,
        metavar="N",
        help=f"loadables that the core will hold, this one included (default: 1, at most {LOADABLES_PER_CORE})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: the arguments as a list, and the notes")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    try:
        line, notes = compose(arguments)
    except TrtexecError as error:
        print(f"unina-dla: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        document = {"tensorrt": str(line.tensorrt), "arguments": line.arguments, "shell": line.shell, "notes": notes}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(line.shell)
        for note in notes:
            print(f"unina-dla: note: {note}", file=sys.stderr)
    return 0


def compose(arguments: argparse.Namespace) -> tuple[TrtexecCommand, list[str]]:
    """The line and what to know of it.

    Raises:
        TrtexecError: settings that do not go together.
        NetworkError: a bundle that cannot be read.
    """
    bundle: Path = arguments.bundle
    tensorrt: TensorRt = arguments.trt
    io = read_io(bundle)
    network = read_network(Path(_file(bundle, BUNDLE_MODEL)))
    for tensor in io.inputs:
        for reader in network.consumers.get(tensor.name, ()):
            for problem in tensor.problems("input", reader.op):
                raise TrtexecError(problem)
    layers = fp16_layers(bundle, network)
    typed = tensorrt.strongly_typed
    sizes = {"dlaSRAM": arguments.sram, "dlaLocalDRAM": arguments.local_dram, "dlaGlobalDRAM": arguments.global_dram}
    pools = {
        "dlaSRAM": POOLS["dlaSRAM"],
        **{pool: _bytes(pool, size) for pool, size in sizes.items() if size is not None},
    }
    ending = "engine" if arguments.engine else "bin"
    own_name = f"{io.name}-trt{tensorrt}-dla{arguments.dla_core}.{ending}"
    line = TrtexecCommand(
        tensorrt=tensorrt,
        onnx=_file(bundle, QDQ_MODEL if typed else BUNDLE_MODEL),
        save=own_name if arguments.output is None else arguments.output,
        inputs=io.inputs,
        outputs=io.outputs,
        calibration=None if typed else _file(bundle, BUNDLE_CACHE),
        standalone=not arguments.engine,
        dla_core=arguments.dla_core,
        gpu_fallback=arguments.gpu_fallback,
        fp16_layers=() if typed else layers,
        pools=cast(Mapping[Pool, int], pools),
        loadables=arguments.loadables,
    )
    built = read_network(Path(line.onnx)) if typed else network
    notes = [*line.unverified, *_rule_notes(built, line)]
    if typed and layers:
        notes.append(f"{LAYERS_FILE} is for TensorRT up to 10.7; here the Q/DQ nodes say what is INT8")
    if not typed:
        notes += _cache_notes(bundle / BUNDLE_CACHE, network, line)
    return line, notes


def read_io(bundle: Path) -> BundleIo:
    """Name, inputs and outputs of a bundle, from its manifest.

    Raises:
        NetworkError: no bundle, or its manifest is damaged.
        TrtexecError: a tensor in a form that the DLA does not have.
    """
    path = bundle / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        tensors = {role: [t for t in manifest["tensors"] if t["role"] == role] for role in ("input", "output")}
        found = {role: tuple(_tensor(entry) for entry in entries) for role, entries in tensors.items()}
        return BundleIo(Path(str(manifest["name"])).name, found["input"], found["output"])
    except TrtexecError:
        raise
    except OSError as error:
        raise NetworkError(f"{bundle}: not a bundle: {path.name}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise NetworkError(f"{path}: not a manifest as docs/bundle.md has it: {error!r}") from error


def _tensor(entry: dict[str, Any]) -> IoTensor:
    layout = LAYOUTS.get(entry["format"], entry["format"])
    dtype = "fp16" if entry["dtype"] == "float16" else entry["dtype"]
    return IoTensor(str(entry["name"]), int(entry["shape"][1]), cast(Dtype, dtype), cast(Layout, layout))


def _file(bundle: Path, name: str) -> str:
    if not (bundle / name).is_file():
        raise NetworkError(f"{bundle}: has no {name}; export it again")
    return str(bundle / name)


def _rule_notes(network: Network, line: TrtexecCommand) -> list[str]:
    left = check(network, Context(line.tensorrt)).count(Device.GPU)
    if not left:
        return []
    ends = "go to the GPU" if line.gpu_fallback else "stop the build"
    return [
        f"{left} of {len(network.nodes)} nodes are not for the DLA and {ends}: `unina-dla check` says which and why"
    ]


def _cache_notes(cache: Path, network: Network, line: TrtexecCommand) -> Iterator[str]:
    """What is odd about a cache. Raises TrtexecError: the build would stop, or do something else than INT8, by it."""
    text = read_text(cache)
    findings = lint_cache(text, network, line.tensorrt, line.fp16_layers)
    stopping = [finding for finding in findings if _stops(finding, network, line)]
    if stopping:
        more = f" (and {len(stopping) - 1} more: unina-dla lint-cache says all)" if len(stopping) > 1 else ""
        raise TrtexecError(stopping[0].text(str(cache)) + more)
    header, wanted = text.split("\n", 1)[0].strip(), f"TRT-{line.tensorrt.cache_number}-EntropyCalibration2"
    if header != wanted:
        yield f"{cache.name} says {header[:60]}: let its first line be {wanted} (with the patch of your TensorRT)"
    for finding in findings:
        if finding.kind != "version":
            yield finding.text(cache.name)


def _stops(finding: Finding, network: Network, line: TrtexecCommand) -> bool:
    """Whether a line that uses this cache would be a wrong one; a layer that is not to be INT8 may lack its scale."""
    if finding.kind in {"version", "digits", "unknown name"}:
        return False
    if finding.kind not in {"no scale", "broken tie"}:
        return True
    border = {tensor.name: tensor.dtype for tensor in (*line.inputs, *line.outputs)}
    if finding.value in border:
        return border[finding.value] == "int8"
    if line.gpu_fallback:
        return False
    if finding.kind == "no scale" and finding.value in network.producers:
        return network.producers[finding.value].name not in line.fp16_layers
    return finding.value.partition(" ")[2] not in line.fp16_layers  # of a tie: operator and node


def _bytes(pool: str, mebibytes: float) -> int:
    size = mebibytes * (1 << 20)
    if not 0 < size < 1 << 60 or size != int(size):
        raise TrtexecError(f"{pool}: {mebibytes:g} MiB: not a size; a pool is a power of two, at least 4 KiB")
    return int(size)
