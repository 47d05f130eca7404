"""`python -m unina.cli.models`: the model family as a table: parameters, multiplications, estimated time on one DLA."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

from unina.dla.estimate import UNCERTAINTY, estimate
from unina.dla.input_size import at_size
from unina.dla.network import Network, read_network
from unina.dla.platforms import POWER_MODES, PowerMode

if TYPE_CHECKING:  # torch takes seconds to load: --help need not wait
    from unina.model import ModelSpec

EXAMPLES = """examples:
  python -m unina.cli.models                           the table of docs/models.md
  python -m unina.cli.models --mode 30W --json         the same figures at another power mode, for a program
  python -m unina.cli.models --size 960x544 --size 1280x384   width x height

Times are estimates (±15 %) for one DLA of a Jetson AGX Orin, everything INT8; docs/models.md says where they come from.
Exit code: 0 printed, 2 wrong arguments.
"""
CLASSES = 4
LEVELS = {"P2–P4": ("p2", "p3", "p4"), "P3–P5": ("p3", "p4", "p5")}


@dataclass(frozen=True)
class ModelRow:
    """A backbone with one choice of pyramid levels, as it is deployed."""

    backbone: str
    levels: str
    parameters: int
    """weights and biases of the deployed network"""
    gmac: dict[str, float]
    """billions of multiplications, by input size "width×height" """
    latency_ms: dict[str, float]
    """estimate for one DLA, by input size"""


def deploy_network(spec: "ModelSpec", classes: int = CLASSES) -> Network:
    """The deploy graph of an untrained detector at the input size of the spec; all that an estimate needs.

    Traced small and then stretched: no operator's shape depends on the input size in any other way.
    """
    side = 2 * spec.strides[-1]
    small = traced(replace(spec, input_height=side, input_width=side), classes)
    return at_size(small, spec.input_height, spec.input_width)


@lru_cache(maxsize=32)
def traced(spec: "ModelSpec", classes: int) -> Network:
    """The deploy graph of an untrained detector."""
    from unina.export.onnx_graph import export_onnx  # noqa: PLC0415
    from unina.model import Detector  # noqa: PLC0415

    return read_network(export_onnx(Detector(spec, classes).deploy()))


def model_row(backbone: str, levels: str, sizes: Sequence[tuple[int, int]], mode: PowerMode) -> ModelRow:
    """Figures of one network at several sizes (width, height)."""
    from unina.model import ModelSpec  # noqa: PLC0415

    width, height = sizes[0]
    spec = ModelSpec(backbone=backbone, levels=LEVELS[levels], input_height=height, input_width=width)  # type: ignore[arg-type]
    network = deploy_network(spec)
    gmac, latency = {}, {}
    for width, height in sizes:
        found = estimate(at_size(network, height, width), mode)
        gmac[f"{width}×{height}"] = found.macs / 1e9
        latency[f"{width}×{height}"] = found.latency_ms
    parameters = sum(
        network.constants[name].size for node in network.nodes if node.op == "Conv" for name in node.inputs[1:]
    )
    return ModelRow(backbone, levels, parameters, gmac, latency)


def family(sizes: Sequence[tuple[int, int]], mode: PowerMode) -> list[ModelRow]:
    """All backbones with both choices of levels."""
    from unina.model.spec import Backbone  # noqa: PLC0415

    return [model_row(backbone, levels, sizes, mode) for backbone in get_args(Backbone) for levels in LEVELS]


def markdown(rows: Sequence[ModelRow], mode: PowerMode) -> str:
    """The rows as a Markdown table."""
    sizes = list(rows[0].latency_ms)
    head = ["backbone", "levels", "parameters, M", f"GMAC at {sizes[0]}", *(f"ms at {size}" for size in sizes)]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * (len(head) - 2)]
    for row in rows:
        cells = [f"{row.parameters / 1e6:.2f}", f"{row.gmac[sizes[0]]:.1f}"]
        cells += [f"{row.latency_ms[size]:.2f}" for size in sizes]
        lines.append(f"| {row.backbone} | {row.levels} | {' | '.join(cells)} |")
    lines += ["", f"ms: estimates, ±{UNCERTAINTY:.0%}, for one DLA of a Jetson AGX Orin at {mode.name}, all INT8."]
    return "\n".join(lines)


def size_of(text: str) -> tuple[int, int]:
    """ "1280x384" as (width, height); raises ArgumentTypeError."""
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (width.isdigit() and height.isdigit()) or not int(width) or int(width) % 32 or int(height) % 32:
        raise argparse.ArgumentTypeError(f"{text}: must be WIDTHxHEIGHT in multiples of 32, such as 1280x384")
    return int(width), int(height)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m unina.cli.models",
        description="Prints the model family: parameters, multiplications and estimated time on one DLA.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mode", choices=tuple(POWER_MODES), default="MAXN", help="power mode (default: MAXN)")
    size_help = "input, width x height; may be given more than once (default: 640x640 and 1280x384)"
    parser.add_argument("--size", type=size_of, action="append", metavar="WxH", help=size_help)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a Markdown table")
    arguments = parser.parse_args(argv)
    mode = POWER_MODES[arguments.mode]
    rows = family(arguments.size or [(640, 640), (1280, 384)], mode)
    if arguments.json:
        document = {"mode": asdict(mode), "uncertainty": UNCERTAINTY, "models": [asdict(row) for row in rows]}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(markdown(rows, mode))
    return 0


if __name__ == "__main__":
    sys.exit(main())
