"""`unina-dla estimate`: how long a network takes on one DLA, layer by layer, without a Jetson."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unina.cli.console import stdout_console
from unina.cli.dla_model import add_model_arguments, fp16_layers, read_model
from unina.cli.models import size_of
from unina.data.whole import check_place, write_whole
from unina.dla.check import Device, check
from unina.dla.constants import ORIN, DlaConstants, read_constants
from unina.dla.energy import PER_WATT
from unina.dla.estimate import (
    CLOCKS,
    Estimate,
    LayerEstimate,
    Precision,
    bandwidth_gb_s,
    estimate_plan,
    peak_macs,
)
from unina.dla.input_size import at_size
from unina.dla.network import Network
from unina.dla.platforms import PLATFORMS
from unina.dla.rules import JETPACK_6, Context
from unina.dla.rules.general import MAX_BATCH
from unina.dla.step import Plan
from unina.dla.steps import CONVOLUTIONS, plan

SLOWEST = 10
EXAMPLES = """examples:
  unina-dla estimate cones.unina                                      in total, and the slowest layers
  unina-dla estimate cones.unina --size 1280x384 --power-mode 30W     another input size, fewer watts
  unina-dla estimate yolo.onnx --input-shape images=1x3x640x640 --all
  unina-dla estimate cones.unina --plot roofline.png --json           for a page, for a program
  unina-dla estimate cones.unina --constants constants.json           after `unina-dla calibrate`

What the DLA does not run (`unina-dla check`, for TensorRT 10.3) is named and not counted. Estimates, never measured by
this project: docs/estimator.md says what they rest on and where they are weak.
Exit code: 0 estimated, 1 a part of the network is not on the DLA or there is nothing to plot, 2 it cannot be read.
"""


def add_estimate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "estimate",
        help="tell how long a network takes on one DLA",
        description="Estimates the latency of a network on one DLA core of Orin, with an uncertainty band, and for "
        "each layer the cycles, the DRAM traffic and which of them it waits for.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(parser)
    add = parser.add_argument
    add("--size", type=size_of, metavar="WxH", help="input size of a fully convolutional network, instead of its own")
    add("--platform", choices=tuple(PLATFORMS), default="agx-orin-64gb", help="default: agx-orin-64gb")
    modes = "; ".join(f"{one.name}: {', '.join(mode.name for mode in one.modes)}" for one in PLATFORMS.values())
    add("--power-mode", metavar="MODE", help=f"of nvpmodel; default: the platform's first ({modes})")
    add("--precision", choices=("int8", "fp16"), default="int8", help="default: int8")
    add("--sparse", action="store_true", help="2 of 4 weights are zero wherever the DLA can use that")
    add(
        "--batch",
        type=batch_of,
        default=1,
        metavar="N",
        help="images that share one reading of the weights (default: 1)",
    )
    add(
        "--constants",
        type=Path,
        metavar="FILE",
        help="what `unina-dla calibrate` wrote, instead of the shipped constants",
    )
    add("--layers", type=positive, default=SLOWEST, metavar="N", help=f"slowest layers to show (default: {SLOWEST})")
    add("--all", action="store_true", help="show every layer, in the order in which they run")
    add("--plot", type=Path, metavar="FILE.png", help="draw a roofline: layers over arithmetic intensity")
    add("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(command=run)


def positive(text: str) -> int:
    """A whole number from 1; raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


def batch_of(text: str) -> int:
    """A batch that the DLA takes; raises ArgumentTypeError."""
    if not text.isdecimal() or len(text) > len(str(MAX_BATCH)) or not 1 <= int(text) <= MAX_BATCH:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1 to {MAX_BATCH}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    try:
        if arguments.plot:
            check_place(arguments.plot)
            if arguments.plot.suffix.lower() != ".png":
                raise ValueError(f"{arguments.plot}: a plot is a PNG: name it .png")
        platform = PLATFORMS[arguments.platform]
        mode = platform.mode(arguments.power_mode) if arguments.power_mode else platform.modes[0]
        constants = read_constants(arguments.constants) if arguments.constants else ORIN
        network = read_model(arguments)
        if arguments.size:
            width, height = arguments.size
            network = at_size(network, height, width)
        fp16 = fp16_layers(arguments.model, network)
    except ValueError as error:
        print(f"unina-dla: {error}", file=sys.stderr)
        return 2
    steps, half = steps_on_dla(network, arguments.precision)
    options = {"precision": arguments.precision, "batch": arguments.batch, "sparse": arguments.sparse}
    found = estimate_plan(steps, mode, constants, **options, fp16_layers={*fp16, *half})
    if arguments.json:
        print(json.dumps(document(arguments, found, constants), indent=2, ensure_ascii=False))
    else:
        _print(arguments, found, constants)
    if arguments.plot:
        from unina.dla.roofline import draw_roofline  # noqa: PLC0415 (matplotlib takes a second)

        try:
            write_whole(arguments.plot, draw_roofline(found, arguments.model.name, constants))
        except ValueError as error:
            print(f"unina-dla: {arguments.plot}: not written: {error}", file=sys.stderr)
            return 1
    return 0 if found.complete else 1


def steps_on_dla(network: Network, precision: Precision) -> tuple[Plan, frozenset[str]]:
    """What the checker leaves on the DLA, and the convolutions that run there in FP16 although INT8 was asked for."""
    verdicts = check(network, Context(JETPACK_6, precision)).verdicts
    elsewhere = {
        verdict.node: f"{verdict.faults[0].found} ({verdict.faults[0].rule.id})"
        for verdict in verdicts
        if verdict.device is Device.GPU
    }
    half = frozenset(v.node.name for v in verdicts if v.device is Device.DLA_FP16 and v.node.op in CONVOLUTIONS)
    return plan(network, elsewhere), half


def document(arguments: argparse.Namespace, found: Estimate, constants: DlaConstants) -> dict[str, object]:
    """For programs."""
    ratio = _energy(arguments, found)
    return {
        "model": str(arguments.model),
        "platform": arguments.platform,
        "mode": dataclasses.asdict(found.mode),
        "precision": found.precision,
        "sparse": arguments.sparse,
        "batch": found.batch,
        "constants": dataclasses.asdict(constants),
        "latency_ms": found.latency_ms,
        "complete": found.complete,
        "uncertainty": found.uncertainty if found.complete else None,
        "band_ms": None if found.band_ms is None else list(found.band_ms),
        "wide_for": list(found.wide_for),
        "macs": found.macs,
        "dram_bytes": found.dram_bytes,
        "cycles": sum(layer.cycles for layer in found.layers),
        "dram_ms": sum(layer.dram_ms for layer in found.layers),
        "effective_tops": found.tera_ops,
        "roofline_share": found.roofline_share,
        "energy": None
        if ratio is None
        else {"images_per_joule_over_gpu": list(ratio), "of": "other networks, published"},
        "layers": [{**dataclasses.asdict(layer), "bound": layer.bound} for layer in found.layers],
        "not_estimated": [dataclasses.asdict(one) for one in found.missing],
    }


def _energy(arguments: argparse.Namespace, found: Estimate) -> tuple[float, float] | None:
    """Known for whole networks in INT8 on one platform."""
    if arguments.platform != "agx-orin-64gb" or found.precision != "int8" or not (found.complete and found.latency_ms):
        return None
    return PER_WATT.get((found.mode.name, arguments.sparse))


def _print(arguments: argparse.Namespace, found: Estimate, constants: DlaConstants) -> None:
    console = stdout_console()
    mode, layers = found.mode, found.layers
    sparse = ", 2:4 sparse" if arguments.sparse else ""
    where = f"one DLA of {arguments.platform} at {mode.name} ({mode.clock_mhz:g} MHz, memory {mode.emc_mhz:g} MHz)"
    console.print(
        f"[bold]{escape(str(arguments.model))}[/bold], {found.precision.upper()}{sparse}, batch {found.batch}, {where}"
    )
    if layers:
        _print_total(console, arguments, found, constants)
        shown = layers if arguments.all else sorted(layers, key=lambda layer: -layer.latency_ms)[: arguments.layers]
        console.print(_table(shown, found))
        if len(shown) < len(layers):
            console.print(f"[dim]the {len(shown)} slowest of {len(layers)} layers; --all shows every one[/dim]")
    if mode.doubt:
        wider = f"; the band is ±{mode.uncertainty:.0%} for that" if CLOCKS in found.wide_for and found.complete else ""
        console.print(f"[yellow]clocks[/]: {mode.doubt}{wider}")
    kinds = [why for why in found.wide_for if why != CLOCKS]
    if kinds and found.complete:
        console.print(f"[yellow]the band is wide[/]: {', '.join(kinds)} work rests on one published network or none")
    if found.missing:
        _print_missing(console, found)


def _print_total(console: Console, arguments: argparse.Namespace, found: Estimate, constants: DlaConstants) -> None:
    mode, ms = found.mode, found.latency_ms
    peak = 2 * peak_macs(found.precision, constants, sparse=found.sparse) * mode.clock_mhz / 1e6
    cycles, dram_ms = sum(layer.cycles for layer in found.layers), sum(layer.dram_ms for layer in found.layers)
    waits = sum(layer.latency_ms for layer in found.layers if layer.bound == "memory") / (ms or 1)
    if found.band_ms is None:
        console.print(f"\n  [bold]{ms:.2f} ms[/bold] an image, estimated: the DLA's part only, no band for a part")
    else:
        low, high = found.band_ms
        console.print(
            f"\n  [bold]{ms:.2f} ms ±{found.uncertainty:.0%}[/bold] an image ({low:.2f} to {high:.2f} ms), estimated"
        )
    console.print(
        f"  {found.macs / 1e9:.2f} GMAC: {found.tera_ops:.1f} TOPS of {peak:.1f}; "
        f"{found.dram_bytes / 1e6:.1f} MB of DRAM traffic at up to {bandwidth_gb_s(mode, constants):.1f} GB/s"
    )
    console.print(
        f"  arithmetic {cycles / 1e6:.2f} M cycles = {cycles / mode.clock_mhz / 1e3:.2f} ms, DRAM {dram_ms:.2f} ms, "
        f"at the same time; {waits:.0%} of the time waits for memory; {found.roofline_share:.0%} of the roofline"
    )
    ratio = _energy(arguments, found)
    if ratio is not None:
        console.print(
            f"  energy: {ratio[0]:g} to {ratio[1]:g} times as many images a joule as the GPU (published for other "
            "networks; watts are not)"
        )
    console.print()


def _table(layers: "tuple[LayerEstimate, ...] | list[LayerEstimate]", found: Estimate) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold")
    table.add_column("kind", overflow="fold")
    for name in ("output", "MMAC", "MB", "kcycles", "arithmetic µs", "DRAM µs", "µs", "%"):
        table.add_column(name, justify="right")
    table.add_column("waits for")
    for layer in layers:
        table.add_row(
            escape(layer.name),
            layer.kind + (" (FP16)" if layer.precision != found.precision else ""),
            "×".join(map(str, layer.shape[1:])),
            f"{layer.macs / 1e6:.1f}",
            f"{layer.dram_bytes / 1e6:.2f}",
            f"{layer.cycles / 1e3:.1f}",
            f"{layer.compute_ms * 1e3:.1f}",
            f"{layer.dram_ms * 1e3:.1f}",
            f"{layer.latency_ms * 1e3:.1f}",
            f"{layer.latency_ms / (found.latency_ms or 1):.1%}",
            {"compute": "arithmetic", "memory": "memory"}.get(layer.bound, "–"),
        )
    return table


def _print_missing(console: Console, found: Estimate) -> None:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in found.missing:
        groups.setdefault((one.op, one.why), []).append(one.name)
    console.print(
        f"\n[red]{len(found.missing)} operators are not estimated[/], nor what falling back to the GPU costs:"
    )
    for (op, why), names in sorted(groups.items(), key=lambda item: -len(item[1])):
        console.print(f"  {len(names)} {op} ({escape(names[0])}{', …' if len(names) > 1 else ''}): {escape(why)}")
