"""The MODEL argument that the `unina-dla` commands share: an .onnx file or a bundle folder, and its input shapes."""

import argparse
import re
from pathlib import Path

from unina.dla.network import Network, NetworkError, read_network
from unina.dla.trtexec import LAYERS_FILE, layer_names

BUNDLE_MODEL = "model.onnx"


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds MODEL (`arguments.model`, a Path) and the repeatable `--input-shape` (`arguments.input_shape`, pairs)."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="an .onnx file, or a bundle folder")
    parser.add_argument(
        "--input-shape",
        metavar="NAME=1x3x640x640",
        type=input_shape,
        action="append",
        default=[],
        help="shape of an input that the file leaves open; once for each such input",
    )


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Name and sizes out of "images=1x3x640x640"; names may hold "=" and ":" themselves.

    Raises:
        argparse.ArgumentTypeError: not of this form, or a size below 1.
    """
    name, _, sizes = text.rpartition("=")
    if not name or not re.fullmatch(r"[0-9]{1,9}([x,×][0-9]{1,9})*", sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=1x3x640x640")
    shape = tuple(int(size) for size in re.split("[x,×]", sizes))
    if min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: every size is at least 1")
    return name, shape


def model_path(argument: Path) -> Path:
    """The .onnx file that MODEL means: itself, or the deploy graph in a bundle folder.

    Raises:
        NetworkError: nothing there, or a folder that is no bundle.
    """
    if not argument.is_dir():
        return argument
    inside = argument / BUNDLE_MODEL
    if not inside.is_file():
        raise NetworkError(f"{argument}: a folder without {BUNDLE_MODEL}, so not a bundle")
    return inside


def read_model(arguments: argparse.Namespace) -> Network:
    """The network that `add_model_arguments` has asked for.

    Raises:
        NetworkError: unreadable; the text says where and why.
    """
    return read_network(model_path(arguments.model), dict(arguments.input_shape))


def fp16_layers(model: Path, network: Network) -> tuple[str, ...]:
    """The layers that a bundle keeps in FP16; none for a file, or a bundle without such a list.

    Raises:
        NetworkError: a list that cannot be read, or a name that the network has not: trtexec would pass over it.
    """
    path = model / LAYERS_FILE
    if not model.is_dir() or not path.is_file():
        return ()
    try:
        layers = layer_names(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TrtexecError, too, or not text
        raise NetworkError(f"{path}: {error}") from error
    nodes = {node.name for node in network.nodes}
    for name in layers:
        if name not in nodes:
            raise NetworkError(f"{path}: {name}: the network has no such node; export the bundle again")
    return layers
