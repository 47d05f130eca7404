"""`unina-dla check`: does a network run on the DLA, what falls back, why, and what to change."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unina.cli.console import stdout_console
from unina.cli.dla_lint_cache import BUNDLE_CACHE, version
from unina.cli.dla_model import add_model_arguments, fp16_layers, model_path
from unina.dla.cache_file import CacheError, read_cache
from unina.dla.check import Device, Fix, Report, Verdict, check
from unina.dla.network import NetworkError, read_network
from unina.dla.rules import FORMATS, JETPACK_6, Context

QUANTISED_MODEL = "model.qdq.onnx"
"""Of a bundle: what TensorRT 11 builds from."""
COLOURS = {Device.DLA: "green", Device.DLA_FP16: "yellow", Device.GPU: "red", Device.REMOVED: "dim"}
EXAMPLES = """examples:
  unina-dla check cones.unina                                     a bundle, with the scales of its cache
  unina-dla check yolo.onnx --input-shape images=1x3x640x640      a network that leaves its input size open
  unina-dla check yolo.onnx --trt 8.6 --precision fp16 --all      every node, for JetPack 6.0 and FP16
  unina-dla check yolo.onnx --json | jq '.fixes[0]'               what would win the most

Exit code: 0 everything runs on the DLA, 1 something falls back, 2 the network cannot be read.
"""


def add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "check",
        help="tell for every node whether the DLA runs it",
        description="Tells for every node whether Orin's DLA runs it, in INT8 or FP16, by which rule it does not, and "
        "what to change; counts the regions that TensorRT would cut the network into. It knows the documented rules "
        "(`unina-dla rules`); the device can still refuse what keeps them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--trt", type=version, default=JETPACK_6, metavar="VERSION", help="TensorRT (default: 10.3, JetPack 6)"
    )
    parser.add_argument("--precision", choices=("int8", "fp16"), default="int8", help="default: int8")
    parser.add_argument(
        "--input-format",
        choices=sorted(FORMATS),
        help="of all inputs (default: dla_hwc4 for pictures, chw32 or chw16 else)",
    )
    parser.add_argument("--sparse", action="store_true", help="list convolutions that 2:4 sparsity would not speed up")
    parser.add_argument("--all", action="store_true", help="show every node, one a line")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    model: Path = arguments.model
    quantised = arguments.precision == "int8"
    if quantised and arguments.trt.strongly_typed and (model / QUANTISED_MODEL).is_file():
        model /= QUANTISED_MODEL
    network = read_network(model_path(model), dict(arguments.input_shape))
    scales = _scales(model) if quantised and not arguments.trt.strongly_typed else None
    layers = fp16_layers(model, network) if quantised and not arguments.trt.strongly_typed else ()
    context = Context(
        arguments.trt, arguments.precision, arguments.input_format, arguments.sparse, scales, frozenset(layers)
    )
    report = check(network, context)
    if arguments.json:
        print(json.dumps(_document(model, report), indent=2, ensure_ascii=False))
    else:
        _print(model, report, arguments.all)
    return 0 if report.on_dla else 1


def _scales(model: Path) -> dict[str, float] | None:
    """Those of a bundle's cache; None for a network without one. Raises NetworkError: a cache that can't be read."""
    path = model / BUNDLE_CACHE
    if not model.is_dir() or not path.exists():
        return None
    try:
        return {name: float(scale) for name, scale in read_cache(path).scales.items()}
    except CacheError as error:
        raise NetworkError(str(error)) from error


def _document(model: Path, report: Report) -> dict[str, object]:
    return {
        "model": str(model),
        "tensorrt": str(report.context.trt),
        "precision": report.context.precision,
        "on_dla": report.on_dla,
        "nodes": {device.name.lower(): report.count(device) for device in Device},
        "regions": [[node.name for node in nodes] for nodes in report.partition.regions],
        "reformats": list(report.partition.reformats),
        "precision_changes": report.precision_changes,
        "warnings": [str(fault) for fault in report.warnings],
        "fixes": [
            {
                "fix": fix.text,
                "rules": list(fix.rules),
                "device": fix.device.value,
                "nodes": [node.name for node in fix.nodes],
                "reformats_saved": fix.reformats_saved,
                "nodes_left": fix.nodes_left,
                "regions_left": fix.regions_left,
                "reformats_left": fix.reformats_left,
            }
            for fix in report.fixes
        ],
        "verdicts": [
            {
                "node": verdict.node.name,
                "operator": verdict.node.op,
                "device": verdict.device.value,
                "rule": verdict.rule.id if verdict.rule else None,
                "found": verdict.faults[0].found if verdict.rule else None,
                "certainty": verdict.rule.certainty.name.lower() if verdict.rule else None,
                "fix": verdict.fix or None,
                "notes": [{"rule": note.rule.id, "found": note.found} for note in verdict.notes],
            }
            for verdict in report.verdicts
        ],
    }


def _print(model: Path, report: Report, every: bool) -> None:
    console = stdout_console()
    context = report.context
    console.print(
        f"[bold]{escape(str(model))}[/bold]: {len(report.verdicts)} nodes, TensorRT {context.trt}, "
        f"{context.precision.upper()}"
    )
    table = _every_node(report) if every else _grouped(report)
    if table.row_count:
        console.print()
        console.print(table)
    console.print()
    _print_notes(console, report)
    _print_fixes(console, report)
    _print_answer(console, report)


def _every_node(report: Report) -> Table:
    table = _table("node", "operator", "runs as", "rule", "why")
    for verdict in report.verdicts:
        why = verdict.faults[0].found if verdict.rule else ""
        table.add_row(escape(verdict.node.name), verdict.node.op, _device(verdict.device), _rule(verdict), escape(why))
    return table


def _grouped(report: Report) -> Table:
    """Nodes that are not plain DLA, those with the same operator and rule in one line."""
    groups: dict[tuple[Device, str, str], list[Verdict]] = {}
    for verdict in report.verdicts:
        if verdict.rule:
            groups.setdefault((verdict.device, verdict.rule.id, verdict.node.op), []).append(verdict)
    table = _table("nodes", "operator", "runs as", "rule", "why, at the first of them")
    for (device, _, op), members in sorted(
        groups.items(), key=lambda item: (item[0][0] is not Device.GPU, -len(item[1]))
    ):
        first = members[0]
        why = f"{escape(first.node.name)}: {escape(first.faults[0].found)}"
        table.add_row(str(len(members)), op, _device(device), _rule(first), why)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column == "nodes" else "left")
    return table


def _device(device: Device) -> str:
    return f"[{COLOURS[device]}]{device.value}[/]"


def _rule(verdict: Verdict) -> str:
    return verdict.rule.id if verdict.rule else ""


def _print_notes(console: Console, report: Report) -> None:
    notes: dict[str, list[str]] = {}
    fixes = {}
    for verdict in report.verdicts:
        for note in verdict.notes:
            notes.setdefault(note.rule.id, []).append(f"{verdict.node.name}: {note.found}")
            fixes[note.rule.id] = note.rule
    for rule, places in notes.items():
        row = fixes[rule]
        console.print(
            f"[cyan]note[/] {rule}, {_count(len(places), 'node')} ({escape(places[0])}): {escape(row.condition)} "
            f"{escape(row.limit)}; {escape(row.fix)}"
        )
    for warning in report.warnings:
        console.print(f"[yellow]warning[/] {escape(str(warning))}")
    if notes or report.warnings:
        console.print()


def _print_fixes(console: Console, report: Report) -> None:
    if not report.fixes:
        return
    console.print("[bold]What to change, what wins most first[/bold]")
    for number, fix in enumerate(report.fixes, 1):
        nodes = _count(len(fix.nodes), "node")
        left = "to INT8" if fix.device is Device.DLA_FP16 else f"then {fix.nodes_left} fall back, {_cut(fix)}"
        console.print(f"{number:>3}. {escape(fix.text)} [dim]({nodes}; {', '.join(fix.rules)}; {left})[/dim]")
    console.print()


def _cut(fix: Fix) -> str:
    return f"{_count(fix.regions_left, 'region')}, {_count(fix.reformats_left, 'reformat')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _print_answer(console: Console, report: Report) -> None:
    counts = {device: report.count(device) for device in Device}
    parts = [f"{count} {_device(device)}" for device, count in counts.items() if count]
    cut = report.partition
    crossing = (
        f", {_count(report.precision_changes, 'tensor')} between INT8 and FP16" if report.precision_changes else ""
    )
    console.print(
        f"{', '.join(parts)}; {_count(len(cut.regions), 'region')}, {_count(len(cut.reformats), 'reformat')} "
        f"between DLA and GPU{crossing}"
    )
    if report.on_dla:
        console.print("[green]Everything runs on the DLA[/], as far as its documented rules tell.")
    elif counts[Device.GPU]:
        console.print(
            f"[red]{counts[Device.GPU]} of {len(report.verdicts)} nodes fall back to the GPU[/]: silently with "
            "--allowGPUFallback; a standalone loadable can't be built."
        )
