"""`unina-export deepstream`: the folder from which DeepStream runs a bundle."""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from unina.cli.dla_lint_cache import version
from unina.cli.exit_code import exit_code
from unina.cli.iou_argument import iou
from unina.dla.tensorrt import TensorRt
from unina.dla.trtexec import LAYERS_FILE
from unina.export.bundle import MANIFEST
from unina.export.deepstream import (
    APP_FILE,
    CACHE_FILE,
    PARSER_LIBRARY,
    DeepStreamBundle,
    deepstream_files,
)
from unina_runtime import Bundle, UninaError

PROGRAM = "unina-export deepstream"
EXAMPLES = """examples:
  unina-export deepstream cones.unina --output build/deepstream
  unina-export deepstream yolo.unina --output build/deepstream --nms 0.6

On the Jetson, with libnvdsinfer_unina.so in the folder (docs/deepstream.md builds it):
  cd deepstream && deepstream-app -c deepstream_app.txt

Exit code: 0 written, 2 not written (the line on stderr says why; nothing is left behind).
"""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return exit_code(PROGRAM, lambda: _run(arguments), refusals=(ValueError, UninaError))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Writes what DeepStream needs of a bundle: ONNX, calibration cache, labels, nvinfer's "
        "configuration for the DLA and for the GPU, and a deepstream-app configuration.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", type=Path, metavar="NAME.unina", help="a detector's bundle; it stays as it is")
    add("--output", type=Path, required=True, metavar="DIR", help="folder to write; must not exist")
    add(
        "--nms",
        type=iou,
        metavar="IOU",
        help="have nvinfer drop boxes that overlap a better one of their class by more than this; for networks that "
        "find an object several times (default: none, our heads find every object once)",
    )
    add(
        "--trt",
        type=version,
        default=TensorRt(10, 3),
        metavar="VERSION",
        help="TensorRT on the device, for the cache's first line (default: 10.3, DeepStream 7.1 on JetPack 6)",
    )
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    bundle = Bundle(arguments.bundle)
    content = DeepStreamBundle(
        manifest=bundle.manifest,
        manifest_bytes=(arguments.bundle / MANIFEST).read_bytes(),
        model=bundle.read("model.onnx"),
        cache=bundle.read(CACHE_FILE),
        layer_precisions=bundle.read(LAYERS_FILE).decode() if LAYERS_FILE in bundle.manifest["files"] else "",
    )
    files = deepstream_files(content, arguments.trt, arguments.nms)
    _write(arguments.output, files)
    if arguments.json:
        told = {"output": str(arguments.output), "files": sorted(files), "parser": PARSER_LIBRARY}
        print(json.dumps(told, indent=2))
    else:
        print(f"wrote {arguments.output}: {', '.join(sorted(files))}")
        print(f"next, on the Jetson: {PARSER_LIBRARY} into the folder, then deepstream-app -c {APP_FILE}")
    return 0


def _write(output: Path, files: Mapping[str, bytes]) -> None:
    """The whole folder or nothing. Raises ValueError where it cannot be."""
    if output.exists() or output.is_symlink():
        raise ValueError(f"{output}: exists; remove it, or choose another --output")
    if any((folder / MANIFEST).exists() for folder in output.resolve().parents):
        raise ValueError(f"{output}: lies in a bundle, which holds only what its manifest names; write beside it")
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        for name, content in files.items():
            (draft / name).write_bytes(content)
        draft.chmod(0o755)
        draft.rename(output)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
