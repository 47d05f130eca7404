"""`unina-dla calibrate`: from times that you measured on a Jetson to constants of your own."""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from unina.cli.console import stdout_console
from unina.cli.dla_estimate import steps_on_dla
from unina.cli.dla_model import fp16_layers, model_path
from unina.data.whole import check_place, write_whole
from unina.dla.calibrate import Calibration, Target, calibrate
from unina.dla.constants import constants_json
from unina.dla.estimate import UNCERTAINTY, Precision
from unina.dla.measurements import Measurement, MeasurementError, read_measurements
from unina.dla.network import NetworkError, read_network
from unina.dla.step import Plan

EXAMPLES = """examples:
  unina-dla calibrate measurements.csv --output constants.json
  unina-dla estimate cones.unina --constants constants.json

measurements.csv, one time a row; empty columns may be left out (docs/estimator.md has all of them):
  model,layer,power_mode,batch,precision,value,unit
  cones.unina,,MAXN,1,int8,1.71,ms
  cones.unina,,30W,1,int8,1.88,ms
  resnet50.onnx,,MAXN,2,int8,2.05,ms
  cones.unina,/backbone/stem/conv/Conv,MAXN,1,int8,101,us

A time is what `trtexec` prints for a run (GPU compute time, median), or a layer's of cuDLA's statistics. The shipped
constants are where it starts and what it holds on to: a few rows shift them, many replace them.
Exit code: 0 written; 1 written, but the estimate still misses the rows by more than its band, or not written, because
the shipped constants miss them by less; 2 nothing could be fitted.
"""


def add_calibrate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "calibrate",
        help="refit the estimate to your own measurements",
        description="Refits the constants of `unina-dla estimate` to times measured on a Jetson, of whole networks or "
        "of layers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("measurements", metavar="MEASUREMENTS.csv", type=Path, help="one measured time a row")
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="constants to write, as JSON")
    parser.add_argument("--json", action="store_true", help="print what is written, instead of a table")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    try:
        check_place(arguments.output)
        rows = read_measurements(arguments.measurements)
        check_output(arguments.output, [arguments.measurements, *(row.model for row in rows)])
        found = calibrate([_target(row) for row in rows])
    except ValueError as error:
        print(f"unina-dla: {error}", file=sys.stderr)
        return 2
    if found.worse:
        if not arguments.json:
            _print(found)
        before, after = (float(np.abs(found.errors(one)).mean()) for one in (found.before_ms, found.after_ms))
        print(
            f"unina-dla: {arguments.output}: not written: constants fitted to these rows miss them by {after:.0%} on "
            f"average, the shipped ones by {before:.0%}: the rows contradict each other",
            file=sys.stderr,
        )
        return 1
    text = json.dumps(document(found), indent=2, ensure_ascii=False)
    write_whole(arguments.output, f"{text}\n".encode())
    if arguments.json:
        print(text)
    else:
        _print(found)
        print(f"wrote {arguments.output}")
    missed = float(np.abs(found.errors(found.after_ms)).mean())
    if missed > UNCERTAINTY:
        print(f"unina-dla: the estimate still misses these rows by {missed:.0%} on average", file=sys.stderr)
        return 1
    return 0


def check_output(output: Path, read: Sequence[Path]) -> None:
    """Raises ValueError where writing would replace what was read: the measurements, a model, a file of a bundle."""
    target = output.resolve()
    for path in read:
        if path.resolve() in (target, *target.parents):
            raise ValueError(f"{output}: would replace what is read ({path}): name another file")


@lru_cache(maxsize=8)
def _read(model: Path, precision: Precision) -> tuple[Plan, frozenset[str]]:
    network = read_network(model_path(model))
    steps, half = steps_on_dla(network, precision)
    return steps, half.union(fp16_layers(model, network))


def _target(row: Measurement) -> Target:
    try:
        return Target(row, *_read(row.model, row.precision))
    except NetworkError as error:
        raise MeasurementError(f"{row.where}: model: {error}") from error


def document(found: Calibration) -> dict[str, object]:
    """What `read_constants` reads, with what it was fitted to."""
    before, after = found.errors(found.before_ms), found.errors(found.after_ms)
    return {
        **constants_json(found.constants),
        "shipped": {name: pair[0] for name, pair in found.moved.items()},
        "rows": len(found.measurements),
        "mean_error_before": round(float(np.abs(before).mean()), 4),
        "mean_error_after": round(float(np.abs(after).mean()), 4),
        "worst_error_before": round(float(np.abs(before).max()), 4),
        "worst_error_after": round(float(np.abs(after).max()), 4),
    }


def _print(found: Calibration) -> None:
    console = stdout_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("row", "model", "layer", "mode"):
        table.add_column(name, overflow="fold")
    for name in ("measured ms", "before", "error", "after", "error"):
        table.add_column(name, justify="right")
    errors = found.errors(found.before_ms), found.errors(found.after_ms)
    for i, one in enumerate(found.measurements):
        times = (one.ms, found.before_ms[i], found.after_ms[i])
        measured, before, after = (f"{ms:.4g}" for ms in times)
        names = (one.where.rpartition(":")[2], escape(one.model.name), escape(one.layer), one.mode.name)
        table.add_row(*names, measured, before, f"{errors[0][i]:+.1%}", after, f"{errors[1][i]:+.1%}")
    console.print(table)
    console.print()
    for name, (shipped, new) in found.moved.items():
        console.print(f"  {name:<22} {shipped:8.4g} → {new:.4g}")
    mean = [np.abs(one).mean() for one in errors]
    worst = [np.abs(one).max() for one in errors]
    console.print(
        f"\n{len(found.measurements)} rows: mean error {mean[0]:.1%} → {mean[1]:.1%}, worst {worst[0]:.1%} → "
        f"{worst[1]:.1%}"
    )
