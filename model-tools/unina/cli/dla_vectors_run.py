"""What `unina-dla vectors` does once its command line is understood: write vectors, or compare and print."""

import argparse
import json
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unina.cli.console import stdout_console
from unina.evaluate.arithmetic import POINTWISES, modes
from unina.evaluate.band import CAVEAT
from unina.evaluate.replay import Agreement, Comparison, Tolerance, compare
from unina.evaluate.vectors import INDEX, SCRIPT, VectorBundle, pictures_in, scenes, write_vectors

BARS = 24
"""Characters of the longest bar of a histogram."""


def write_or_compare(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    try:
        bundle = VectorBundle.open(arguments.bundle)
        return _write(bundle, arguments) if arguments.output else _compare(bundle, arguments)
    except (ValueError, OSError) as error:
        print(f"unina-dla: {error}", file=sys.stderr)
        return 2


def _write(bundle: VectorBundle, arguments: argparse.Namespace) -> int:
    if arguments.images is not None and not arguments.images.is_dir():
        raise ValueError(f"--images {arguments.images}: no such folder")
    made = modes(arguments.rounding or (bundle.rounding,), arguments.pointwise or POINTWISES[:1])
    if arguments.images is not None:
        pictures = pictures_in(arguments.images, arguments.count)
    else:
        pictures = scenes(arguments.count, arguments.seed)
    index = write_vectors(bundle, pictures, arguments.output, made, force=arguments.force)
    if arguments.json:
        print(json.dumps(index, indent=2))
        return 0
    listed = ", ".join(map(str, made))
    print(f"wrote {len(pictures)} vectors of {bundle.name} ({listed}) and {INDEX} to {arguments.output}")
    print(f"on a Jetson: {arguments.output / SCRIPT} ENGINE; unina-dla command {arguments.bundle} --engine builds it")
    return 0


def _compare(bundle: VectorBundle, arguments: argparse.Namespace) -> int:
    if arguments.images or arguments.rounding or arguments.pointwise or arguments.force:
        raise ValueError("--images, --rounding, --pointwise and --force belong to --output; --compare tries every mode")
    comparison = compare(bundle, arguments.compare, Tolerance(arguments.tolerance, arguments.share))
    if arguments.json:
        print(json.dumps(comparison.to_json(), indent=2))
    else:
        show(comparison, stdout_console())
    return 0 if comparison.agrees else 1


def show(comparison: Comparison, console: Console) -> None:
    """Every mode's outputs, then the best mode's differences, then the verdict."""
    tolerance = comparison.tolerance
    table = Table(title=f"{comparison.vectors} vectors, returned − expected in steps of int8", title_justify="left")
    for name in ("mode", "output", "values", "equal", f"within {tolerance.steps}", "largest"):
        text = name in {"mode", "output"}
        table.add_column(name, justify="left" if text else "right", no_wrap=name != "output", overflow="fold")
    for mode, outputs in comparison.modes.items():
        for name, one in outputs.items():
            shares = (f"{100 * value:.4f} %" for value in (one.within(0), one.within(tolerance.steps)))
            style = "bold" if mode == comparison.best else None
            table.add_row(mode, escape(name), str(one.values), *shares, str(one.largest), style=style)
        table.add_section()
    console.print(table)
    for name, one in comparison.modes[comparison.best].items():
        console.print(f"{name}, {comparison.best}:", highlight=False, markup=False)
        for line in histogram(one):
            console.print(line, highlight=False, markup=False)
    verdict = "agrees with" if comparison.agrees else "does not agree with"
    console.print(
        f"What came back {verdict} the best mode, {comparison.best}: {100 * tolerance.share:g} % of each output's "
        f"values within {tolerance.steps} asked for. {CAVEAT}",
        highlight=False,
        markup=False,
    )


def histogram(one: Agreement, reach: int = 4) -> list[str]:
    """A line a difference up to ±reach, those beyond gathered at the ends."""
    gathered: dict[int, int] = {}
    for step, count in one.differences.items():
        at = max(-reach - 1, min(reach + 1, step))
        gathered[at] = gathered.get(at, 0) + count
    longest = max(gathered.values())
    names = {-reach - 1: f"< -{reach}", reach + 1: f"> {reach}"}
    return [
        f"  {names.get(step, f'{step:+d}'):>5}  {count:>10}  {'█' * max(1, round(BARS * count / longest))}"
        for step, count in sorted(gathered.items())
    ]
