"""Refits the constants of the estimate to a user's own measurements, held to the shipped ones.

Bayesian in the simplest way: each row is known to a few per cent, each constant to a tolerance around what ships, both
in logarithms; what the rows say nothing about stays where it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.dla import least_squares
from unina.dla.constants import ORIN, DlaConstants
from unina.dla.estimate import estimate_plan
from unina.dla.measurements import Measurement, MeasurementError
from unina.dla.step import Plan

Values = npt.NDArray[np.float64]

TOLERANCE = {
    "efficiency": 0.1,
    "bandwidth_gb_s": 0.1,
    "clock_share": 0.3,
    "image_efficiency": 0.3,
    "depthwise_per_cycle": 0.3,
    "pass_per_cycle": 0.4,
    "fp16_macs_per_cycle": 0.4,
    "sparse_speed": 0.2,
    "layer_us": 0.5,
}
"""How far a constant may lie from the shipped one, in logarithms: what was fitted closer than what was set by hand."""
NETWORK_SPREAD = 0.04
"""What the form itself misses a network by, once its constants are right."""
LAYER_SPREAD = 0.2
"""The same of a layer, whose start and end overlap with its neighbours'."""
DIGITS = 5
WORSE = 1e-3
"""Of the mean error: more than rounding the constants can cost."""
FARTHEST = {True: 10.0, False: 3.0}
"""Times the shipped estimate, or its inverse, from which a row is taken for a mistake; of a layer, of a network."""


@dataclass(frozen=True)
class Target:
    """A measurement, and what the DLA did in that time."""

    measurement: Measurement
    steps: Plan
    """of the whole network"""
    fp16_layers: frozenset[str] = frozenset()

    @property
    def spread(self) -> float:
        """What the form misses such a row by when its constants are right, in logarithms."""
        return LAYER_SPREAD if self.measurement.layer else NETWORK_SPREAD

    def ms(self, constants: DlaConstants) -> float:
        """The estimate of what was measured, an image."""
        one, fp16 = self.measurement, self.fp16_layers
        options = {"precision": one.precision, "batch": one.batch, "sparse": one.sparse, "fp16_layers": fp16}
        return estimate_plan(self.steps, one.mode, constants, **options).latency_ms  # type: ignore[arg-type]


@dataclass(frozen=True)
class Calibration:
    """New constants, and each row estimated with the old and the new ones."""

    constants: DlaConstants
    measurements: tuple[Measurement, ...]
    before_ms: tuple[float, ...]
    after_ms: tuple[float, ...]

    def errors(self, estimates: Sequence[float]) -> Values:
        """Estimate over measurement, minus 1."""
        return np.array([ms / one.ms - 1 for ms, one in zip(estimates, self.measurements, strict=True)])

    @property
    def worse(self) -> bool:
        """Whether the rows are missed by more than with the shipped constants: rows that contradict each other."""
        before, after = (np.abs(self.errors(one)).mean() for one in (self.before_ms, self.after_ms))
        return bool(after > before + WORSE)

    @property
    def moved(self) -> dict[str, tuple[float, float]]:
        """Constants that changed by more than a thousandth: shipped and new value."""
        pairs = {name: (float(getattr(ORIN, name)), float(getattr(self.constants, name))) for name in TOLERANCE}
        return {name: pair for name, pair in pairs.items() if abs(pair[1] / pair[0] - 1) > 1e-3}


def calibrate(given: Sequence[Target]) -> Calibration:
    """Fits the constants to measurements.

    Raises:
        MeasurementError: a layer that the network has not, a network that is not all on the DLA, a value that is far
            from anything that the estimate could mean.
    """
    for target in given:
        _check(target.measurement, target.steps)
    targets = [replace(target, steps=_part(target.measurement, target.steps)) for target in given]
    before = tuple(target.ms(ORIN) for target in targets)
    for target, ms in zip(targets, before, strict=True):
        _check_size(target.measurement, ms)

    def residuals(tried: Mapping[str, float]) -> Values:
        constants = _replaced(tried)
        misses = [np.log(target.ms(constants) / target.measurement.ms) / target.spread for target in targets]
        held = [np.log(value / getattr(ORIN, name)) / TOLERANCE[name] for name, value in tried.items()]
        return np.array(misses + held)

    fitted = least_squares.fit(residuals, {name: getattr(ORIN, name) for name in TOLERANCE})
    found = _replaced({name: float(f"{value:.{DIGITS}g}") for name, value in fitted.items()})
    after = tuple(target.ms(found) for target in targets)
    return Calibration(found, tuple(one.measurement for one in given), before, after)


def _replaced(tried: Mapping[str, float]) -> DlaConstants:
    changes: dict[str, Any] = {**tried, "clock_share": min(tried["clock_share"], 1.0)}
    return replace(ORIN, **changes)


def _part(one: Measurement, steps: Plan) -> Plan:
    """All steps, or the one that a layer's name means: the profiler joins what was fused by " + "."""
    if not one.layer:
        return steps
    names = set(one.layer.replace("{ForeignNode[", "").replace("]}", "").split(" + "))
    hits = [step for step in steps.steps if not names.isdisjoint(step.nodes)]
    if len(hits) != 1:
        some = ", ".join(step.name for step in steps.steps[:3])
        text = "no such layer" if not hits else f"{len(hits)} steps of the DLA: {', '.join(s.name for s in hits[:3])}"
        raise MeasurementError(f"{one.where}: layer: {one.layer}: {text}; {one.model.name} has {some}, …")
    if hits[0].free:
        raise MeasurementError(f"{one.where}: layer: {one.layer}: costs nothing in the estimate: leave the row out")
    return Plan((hits[0],), ())


def _check(one: Measurement, steps: Plan) -> None:
    if steps.missing and not one.layer:
        first = steps.missing[0]
        raise MeasurementError(
            f"{one.where}: model: {one.model.name}: {len(steps.missing)} operators are not on the DLA, the first is "
            f"{first.name} ({first.op}): measure a network that is, or single layers"
        )


def _check_size(one: Measurement, ms: float) -> None:
    farthest = FARTHEST[bool(one.layer)]
    if not 1 / farthest <= one.ms / ms <= farthest:
        raise MeasurementError(
            f"{one.where}: value: {one.ms:.4g} ms an image: the estimate is {ms:.4g} ms: check unit, batch, power mode "
            f"and precision, or leave the row out (more than {farthest:g} times off cannot be calibrated away)"
        )
