"""Fits the constants of `unina.dla.estimate` to NVIDIA's published figures and says how far they can be trusted.

    python model-tools/estimator/fit.py                       prints constants and errors, as docs/estimator.md has them
    python model-tools/estimator/fit.py --plot estimator.png  and draws estimate against measurement

What is fitted to: the dense INT8 rows of the three networks of ordinary convolutions, four power modes each. Then one
constant each for depthwise convolutions and for 2:4 sparsity, from the rows that have them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from forms import CHOSEN, FAMILY, Form, Workload
from published import ORDINARY, Run, measured, predictors, steps

from unina.data.whole import check_place, write_whole
from unina.dla import least_squares
from unina.dla.constants import ORIN, DlaConstants
from unina.dla.estimate import estimate_plan

Values = npt.NDArray[np.float64]
Work = tuple[Workload, Values]
"""What there is to do, and the milliseconds that it took, for each power mode."""

START = {"efficiency": 0.9, "bandwidth_gb_s": 50.0, "clock_share": 0.25}
DIGITS = 3
"""Significant ones of the constants that are committed."""


@dataclass(frozen=True)
class Row:
    """One published figure beside its estimates."""

    run: Run
    fitted_ms: float
    """with the committed constants"""
    left_out_ms: float | None = None
    """with constants that have not seen its network"""
    nested_ms: float | None = None
    """with form and constants chosen without its network"""

    def error(self, ms: float) -> float:
        return ms / self.run.ms - 1


@dataclass(frozen=True)
class Report:
    """All that docs/estimator.md says of the fit."""

    constants: DlaConstants
    without: Mapping[str, DlaConstants]
    """fitted leaving the named network out"""
    nested_forms: Mapping[str, Form]
    """chosen leaving the named network out"""
    ordinary: tuple[Row, ...]
    apart: Mapping[str, tuple[Row, ...]]
    """kinds of networks that were not fitted to, or have a constant of their own"""


def dense(network: str) -> Work:
    """A network of `ORDINARY` as work, and what it took."""
    found = measured(network)
    work = Workload(steps(network), [run.mode for run in found], ORIN, found[0].batch)
    return work, np.array([run.ms for run in found])


def fit_dense(form: Form, work: Mapping[str, Work]) -> DlaConstants:
    """Least squares of the logarithms over the given networks."""

    def residuals(constants: Mapping[str, float]) -> Values:
        tried = replace(ORIN, **constants)
        return np.concatenate([np.log(one.latency_ms(form, tried) / ms) for one, ms in work.values()])

    return replace(ORIN, **least_squares.fit(residuals, {name: START[name] for name in form.free}))


def misfit(form: Form, constants: DlaConstants, work: Mapping[str, Work]) -> float:
    return float(sum(np.square(np.log(one.latency_ms(form, constants) / ms)).sum() for one, ms in work.values()))


def fit_depthwise(constants: DlaConstants) -> DlaConstants:
    """From SSD-MobileNetV1, the only network that has any."""
    found = measured("SSD-MobileNetV1")

    def residuals(tried: Mapping[str, float]) -> Values:
        return np.array([np.log(ms_of(run, replace(constants, **tried)) / run.ms) for run in found])

    return replace(constants, **least_squares.fit(residuals, {"depthwise_per_cycle": 5.0}))


def fit_sparse(constants: DlaConstants, networks: Sequence[str]) -> DlaConstants:
    """How much faster an eligible convolution runs with 2 of 4 weights zero."""
    found = [run for network in networks for run in measured(network, "int8 sparse")]

    def residuals(tried: Mapping[str, float]) -> Values:
        return np.array([np.log(ms_of(run, replace(constants, **tried)) / run.ms) for run in found])

    return replace(constants, **least_squares.fit(residuals, {"sparse_speed": 1.5}))


def ms_of(run: Run, constants: DlaConstants) -> float:
    """The estimate of a published run."""
    fp16 = predictors(run.network) if run.precision == "int8 last 3 fp16" else ()
    found = estimate_plan(
        steps(run.network),
        run.mode,
        constants,
        batch=run.batch,
        sparse=run.precision == "int8 sparse",
        fp16_layers=fp16,
    )
    return found.latency_ms


def rounded(constants: DlaConstants, names: Sequence[str]) -> DlaConstants:
    return replace(constants, **{name: float(f"{getattr(constants, name):.{DIGITS}g}") for name in names})


@lru_cache(maxsize=1)
def report() -> Report:
    """Fits everything; takes a few seconds."""
    work = {network: dense(network) for network in ORDINARY}
    rest = {network: {other: work[other] for other in ORDINARY if other != network} for network in ORDINARY}
    constants = rounded(fit_dense(CHOSEN, work), CHOSEN.free)
    constants = rounded(fit_depthwise(constants), ["depthwise_per_cycle"])
    sparse_networks = ("ResNet-34 backbone", "SSD-ResNet-34", "RetinaNet ResNeXt-50")
    constants = rounded(fit_sparse(constants, sparse_networks), ["sparse_speed"])

    without = {network: fit_dense(CHOSEN, rest[network]) for network in ORDINARY}
    nested: dict[str, tuple[Form, DlaConstants]] = {}
    for network in ORDINARY:
        fits = ((form, fit_dense(form, rest[network])) for form in FAMILY)
        nested[network] = min(fits, key=lambda one: misfit(*one, rest[network]))
    ordinary = []
    for network in ORDINARY:
        left_out = work[network][0].latency_ms(CHOSEN, without[network])
        chosen = work[network][0].latency_ms(*nested[network])
        for run, alone, blind in zip(measured(network), left_out, chosen, strict=True):
            ordinary.append(Row(run, ms_of(run, constants), float(alone), float(blind)))

    sparse = []
    for network in sparse_networks:
        others = fit_sparse(constants, [other for other in sparse_networks if other != network])
        found = measured(network, "int8 sparse")
        sparse += [Row(run, ms_of(run, constants), ms_of(run, others)) for run in found]
    apart = {
        "grouped": tuple(Row(run, ms_of(run, constants)) for run in measured("RetinaNet ResNeXt-50")),
        "depthwise": tuple(Row(run, ms_of(run, constants)) for run in measured("SSD-MobileNetV1")),
        "SiLU": tuple(Row(run, ms_of(run, constants)) for run in measured("YOLOv5s", "int8 last 3 fp16")),
        "sparse": tuple(sparse),
    }
    return Report(constants, without, {network: form for network, (form, _) in nested.items()}, tuple(ordinary), apart)


def errors(found: Sequence[Row], which: str = "fitted_ms") -> Values:
    """Estimate over measurement, minus 1."""
    return np.array([row.error(getattr(row, which)) for row in found])


def worst_and_mean(values: Values) -> str:
    return f"{100 * np.abs(values).mean():.1f} | {100 * np.abs(values).max():.1f}"


def markdown(found: Report) -> str:
    """The tables of docs/estimator.md."""
    lines = [
        "| constant | fitted | " + " | ".join(f"without {name}" for name in ORDINARY) + " |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in CHOSEN.free:
        values = [f"{getattr(found.without[network], name):.{DIGITS}g}" for network in ORDINARY]
        lines.append(f"| `{name}` | **{getattr(found.constants, name):g}** | {' | '.join(values)} |")
    lines += ["", "| rows | figures | mean error, % | worst, % |", "|---|---:|---:|---:|"]
    for title, which in (
        ("ordinary convolutions, fitted", "fitted_ms"),
        ("ordinary convolutions, the network left out", "left_out_ms"),
        ("ordinary convolutions, the form chosen without the network, too", "nested_ms"),
    ):
        lines.append(f"| {title} | {len(found.ordinary)} | {worst_and_mean(errors(found.ordinary, which))} |")
    notes = {
        "grouped": "grouped: RetinaNet ResNeXt-50, never fitted to, but it judged the form",
        "depthwise": "depthwise: SSD-MobileNetV1, one constant of its own",
        "SiLU": "SiLU, three FP16 convolutions: YOLOv5s, batch 1 to 16, constants by hand",
        "sparse": "2:4 sparse: three networks, one constant",
    }
    for kind, rows in found.apart.items():
        lines.append(f"| {notes[kind]} | {len(rows)} | {worst_and_mean(errors(rows))} |")
    sparse = errors(found.apart["sparse"], "left_out_ms")
    lines.append(f"| 2:4 sparse, the network left out of that constant | {len(sparse)} | {worst_and_mean(sparse)} |")
    lines += ["", "| network | MAXN | 50W | 30W | 15W | left out: MAXN | 50W | 30W | 15W |", "|---|" + "---:|" * 8]
    for network in ORDINARY:
        rows = [row for row in found.ordinary if row.run.network == network]
        cells = [f"{100 * error:+.1f}" for which in ("fitted_ms", "left_out_ms") for error in errors(rows, which)]
        lines.append(f"| {network} | {' | '.join(cells)} |")
    for kind in ("grouped", "depthwise"):
        rows = list(found.apart[kind])
        cells = [f"{100 * error:+.1f}" for error in errors(rows)]
        lines.append(f"| {rows[0].run.network} | {' | '.join(cells)} | | | | |")
    for i in range(0, len(found.apart["sparse"]), 4):
        rows = list(found.apart["sparse"][i : i + 4])
        cells = [f"{100 * error:+.1f}" for which in ("fitted_ms", "left_out_ms") for error in errors(rows, which)]
        lines.append(f"| {rows[0].run.network}, sparse | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the constants and the tables; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Fits the constants of the latency estimate to NVIDIA's published figures.",
        epilog="Exit code: 0 the fit gives the constants that are committed, 1 it does not, 2 can't write the plot.",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw estimate against measurement")
    arguments = parser.parse_args(argv)
    found = report()
    print(markdown(found))
    print()
    for network, form in found.nested_forms.items():
        print(f"form chosen without {network}: {form}")
    if arguments.plot:
        from plot import draw  # noqa: PLC0415 (matplotlib takes a second)

        try:
            check_place(arguments.plot)
            write_whole(arguments.plot, draw(found))
        except (OSError, ValueError) as error:
            print(f"fit.py: {error}", file=sys.stderr)
            return 2
    if found.constants != ORIN:
        changed = {k: v for k, v in vars(found.constants).items() if v != getattr(ORIN, k)}
        print(f"fit.py: unina.dla.constants has other values than the fit: {changed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
