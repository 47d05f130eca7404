"""`unina-export tensorrt-plugin`: a bundle's ONNX file with boxes as its outputs."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import onnx

from unina.cli.exit_code import exit_code
from unina.cli.iou_argument import iou
from unina.export.decode_plugin import NO_NMS, PLUGIN, with_decode_plugin
from unina_runtime import Bundle, UninaError

PROGRAM = "unina-export tensorrt-plugin"
LIBRARY = "libunina_plugin.so"
EXAMPLES = f"""examples:
  unina-export tensorrt-plugin cones.unina --output cones_boxes.onnx
  unina-export tensorrt-plugin yolo.unina --output yolo_boxes.onnx --nms 0.6

Then where TensorRT is, with {LIBRARY} (docs/tensorrt-plugin.md builds it):
  trtexec --onnx=cones_boxes.onnx --staticPlugins=./{LIBRARY} --fp16 --saveEngine=cones_boxes.engine

Exit code: 0 written, 2 not written (the line on stderr says why; nothing is left behind).
"""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return exit_code(PROGRAM, lambda: _run(arguments), refusals=(ValueError, UninaError))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=f"Writes a bundle's network with the node {PLUGIN} behind it, so that an engine of TensorRT on the "
        "GPU gives boxes instead of raw maps.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", type=Path, metavar="NAME.unina", help="a detector's bundle; it stays as it is")
    add("--output", type=Path, required=True, metavar="FILE.onnx", help="file to write; must not exist")
    add(
        "--nms",
        type=iou,
        default=NO_NMS,
        metavar="IOU",
        help="drop boxes that overlap a better one of their class by more than this; for networks that find an object "
        "several times (default: none, our heads find every object once)",
    )
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    bundle = Bundle(arguments.bundle)
    output: Path = arguments.output
    try:
        model = with_decode_plugin(onnx.load_from_string(bundle.read("model.onnx")), bundle.manifest, arguments.nms)
    except ValueError as error:
        raise ValueError(f"{arguments.bundle}: {error}") from error
    if output.resolve().is_relative_to(arguments.bundle.resolve()):
        raise ValueError(f"{output}: lies in the bundle, which holds only what its manifest names; write beside it")
    try:
        with output.open("xb") as file:
            file.write(model.SerializeToString())
    except FileExistsError as error:
        raise ValueError(f"{output}: exists; remove it, or choose another --output") from error
    except OSError:
        output.unlink(missing_ok=True)  # half of it
        raise
    node = model.graph.node[-1]
    told = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if arguments.json:
        plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in told.items()}
        print(json.dumps({"output": str(output), "plugin": PLUGIN, "inputs": list(node.input), **plain}, indent=2))
    else:
        print(f"wrote {output}: {', '.join(node.output)} of at most {told['max_detections']} boxes a picture")
        print(f"next: trtexec --onnx={output} --staticPlugins=./{LIBRARY} --saveEngine=…")
    return 0
