"""Fits a handful of positive constants: Levenberg–Marquardt on their logarithms, derivatives by differences."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

STEPS = 60
LARGEST_STEP = 0.7
"""In logarithms: no constant more than doubles or halves at once."""
DIFFERENCE = 1e-5
ENOUGH = 1e-12
"""Gain in the sum of squares below which it stops."""


def fit(residuals: Callable[[Mapping[str, float]], Values], start: Mapping[str, float]) -> dict[str, float]:
    """The constants, all above zero, that make the sum of squared residuals least; a local search from `start`."""
    names = list(start)

    def at(x: Values) -> Values:
        return residuals(dict(zip(names, np.exp(x).tolist(), strict=True)))

    x = np.log(np.array([start[name] for name in names], np.float64))
    found, damping = at(x), 1e-3
    for _ in range(STEPS):
        slopes = [(at(x + DIFFERENCE * unit) - found) / DIFFERENCE for unit in np.eye(len(names))]
        jacobian = np.stack(slopes, axis=1)
        normal = jacobian.T @ jacobian
        damped = normal + damping * np.diag(np.diag(normal) + ENOUGH)
        step = np.clip(-np.linalg.solve(damped, jacobian.T @ found), -LARGEST_STEP, LARGEST_STEP)
        tried = at(x + step)
        gain = float(found @ found - tried @ tried)
        if gain > 0:
            x, found, damping = x + step, tried, damping / 4
            if gain < ENOUGH:
                break
        else:
            damping *= 6
            if damping > 1e9:
                break
    return dict(zip(names, np.exp(x).tolist(), strict=True))
