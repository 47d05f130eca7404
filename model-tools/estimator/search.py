"""How the form of the estimate was chosen: every form of the family beside a network that none was fitted to.

    python model-tools/estimator/search.py

RetinaNet ResNeXt-50 is the judge: 200 GMAC, most of them ordinary convolutions, and no constant is fitted to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from fit import START, Values, Work, dense, fit_dense, misfit
from forms import CHOSEN, FAMILY, Form
from published import ORDINARY

from unina.dla import least_squares
from unina.dla.constants import ORIN, DlaConstants

JUDGE = "RetinaNet ResNeXt-50"
TOLERANCE = 0.05
"""Pull towards the start when one network has to determine three constants."""


@dataclass(frozen=True)
class Judged:
    """One form, with its errors as estimate over measurement minus 1."""

    form: Form
    efficiency: float
    """that it needs; above 1 it multiplies faster than the multipliers can"""
    fitted: Values
    left_out: Values
    judge: Values


def judged(form: Form, work: Mapping[str, Work], judge: Work) -> Judged:
    """Fits a form and leaves each network out in turn."""

    def error(constants: DlaConstants, one: Work) -> Values:
        return one[0].latency_ms(form, constants) / one[1] - 1

    constants = fit_dense(form, work)
    left_out = [
        error(fit_dense(form, {other: work[other] for other in work if other != network}), work[network])
        for network in work
    ]
    fitted = np.concatenate([error(constants, one) for one in work.values()])
    return Judged(form, constants.efficiency, fitted, np.concatenate(left_out), error(constants, judge))


def strictly_nested(work: Mapping[str, Work]) -> Values:
    """Errors of each network with the form that predicts best between the other two, one fitted to, one left out."""
    errors = []
    for network in work:
        rest = {other: work[other] for other in work if other != network}
        best = min(FAMILY, key=lambda form: _inner(form, rest))
        errors.append(work[network][0].latency_ms(best, fit_dense(best, rest)) / work[network][1] - 1)
    return np.concatenate(errors)


def _inner(form: Form, rest: Mapping[str, Work]) -> float:
    total = 0.0
    for network in rest:
        others = {other: rest[other] for other in rest if other != network}
        total += misfit(form, _fit_held(form, others), {network: rest[network]})
    return total


def _fit_held(form: Form, work: Mapping[str, Work]) -> DlaConstants:
    def residuals(constants: Mapping[str, float]) -> Values:
        tried = replace(ORIN, **constants)
        misses = [np.log(one.latency_ms(form, tried) / ms) for one, ms in work.values()]
        held = [TOLERANCE * np.log(value / START[name]) for name, value in constants.items()]
        return np.concatenate([*misses, np.array(held)])

    return replace(ORIN, **least_squares.fit(residuals, {name: START[name] for name in form.free}))


def cells(values: Values) -> str:
    return f"{100 * np.abs(values).mean():.1f} / {100 * np.abs(values).max():.1f}"


def main() -> None:
    work = {network: dense(network) for network in ORDINARY}
    judge = dense(JUDGE)
    found = sorted((judged(form, work, judge) for form in FAMILY), key=lambda one: float(np.abs(one.fitted).mean()))
    chosen = next(one for one in found if one.form == CHOSEN)
    near = [one for one in found if np.abs(one.judge).max() <= 0.05]
    best = {
        "best fit": found[0],
        "least error left out": min(found, key=lambda one: float(np.abs(one.left_out).mean())),
        f"best fit of the {len(near)} that predict {JUDGE} to 5 %": near[0],
        "least error left out of those": min(near, key=lambda one: float(np.abs(one.left_out).mean())),
        "**chosen**": chosen,
    }
    print(f"| of {len(FAMILY)} forms | fitted | left out | {JUDGE} | efficiency | unlike the chosen |")
    print("|---|---:|---:|---:|---:|---|")
    for title, one in best.items():
        errors = " | ".join(map(cells, (one.fitted, one.left_out, one.judge)))
        print(f"| {title} | {errors} | {one.efficiency:.2f} | {one.form} |")
    blind = cells(strictly_nested(work))
    print(
        f"| for each network, what predicts the other two best from each other | | {blind} | | | three different ones |"
    )


if __name__ == "__main__":
    main()
