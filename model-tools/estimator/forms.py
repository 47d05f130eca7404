"""The family of forms that was searched, vectorised over the steps of a network: what the fit chooses from.

`CHOSEN` is what `unina.dla.estimate` computes, step by step; a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from unina.dla.estimate import (
    DlaConstants,
    Precision,
    can_be_sparse,
    convolution_cycles,
    map_bytes,
    weight_bytes,
)
from unina.dla.platforms import PowerMode
from unina.dla.step import Plan

Values = npt.NDArray[np.float64]
SRAM_BYTES = 1 << 20


@dataclass(frozen=True)
class Form:
    """One way to put a step's time together; the defaults are the form that was chosen."""

    buffer_kib: int = 128
    """of weights or input held while the other streams by"""
    again: Literal["cheaper", "input", "weights"] = "cheaper"
    """what is read again when both overflow the buffer"""
    sram: bool = False
    """an input that fits the 1 MiB of SRAM is read from DRAM once"""
    overlap: bool = True
    """arithmetic and traffic at the same time: the longer counts; or one after the other: their sum"""
    stride_cost: float = 1.0
    """of a strided convolution larger than 1×1"""
    clock_share: bool = True
    """part of the time of DRAM traffic follows the DLA's clock; fitted, or none"""

    @property
    def free(self) -> tuple[str, ...]:
        """The constants that are fitted."""
        return ("efficiency", "bandwidth_gb_s", *(("clock_share",) if self.clock_share else ()))

    def __str__(self) -> str:
        """What differs from the chosen one."""
        changed = [field.name for field in fields(self) if getattr(self, field.name) != getattr(CHOSEN, field.name)]
        return (
            ", ".join(
                f"{name} {getattr(self, name):.3g}" if name == "stride_cost" else f"{name} {getattr(self, name)}"
                for name in changed
            )
            or "–"
        )


CHOSEN = Form()
FAMILY = tuple(
    Form(*choice)
    for choice in product(
        (96, 128, 192, 256), ("cheaper", "input", "weights"), (False, True), (True, False), (1.0, 4 / 3), (True, False)
    )
)


class Workload:
    """A published run: the steps of a network as arrays, in the form that `Form` combines."""

    def __init__(
        self,
        plan: Plan,
        modes: Sequence[PowerMode],
        constants: DlaConstants,
        batch: int = 1,
        precision: Precision = "int8",
        sparse: bool = False,
    ) -> None:
        steps = [step for step in plan.steps if not step.free]
        size = len(steps)
        self.batch = batch
        self.clock = np.array([mode.clock_mhz for mode in modes])[:, None]
        self.emc = np.array([mode.emc_mhz for mode in modes])[:, None]
        self.fitted_cycles = np.zeros(size)
        """those that the efficiency divides, at an efficiency of 1"""
        self.other_cycles = np.zeros(size)
        self.strided = np.zeros(size, bool)
        self.weights, self.source, self.traffic = np.zeros(size), np.zeros(size), np.zeros(size)
        for i, step in enumerate(steps):
            self.other_cycles[i] = (step.passed + step.smooth) / constants.pass_per_cycle
            tensors = [map_bytes(one, precision, constants) for one in (*step.reads, step.writes)]
            self.source[i], self.traffic[i] = tensors[0], sum(tensors) + step.constant_bytes
            work = step.convolution
            if work is None:
                continue
            thin = sparse and can_be_sparse(work, precision)
            cycles = convolution_cycles(work, constants, precision, thin)
            if work.depthwise or work.inputs <= 4 or precision == "fp16":
                self.other_cycles[i] += cycles
            else:
                self.fitted_cycles[i] = cycles * constants.efficiency
            self.strided[i] = work.strided and work.inputs > 4
            self.weights[i] = weight_bytes(work, constants, precision, thin)

    def latency_ms(self, form: Form, constants: DlaConstants) -> Values:
        """Time of one image, for each mode."""
        cycles = self.fitted_cycles / constants.efficiency * np.where(self.strided, form.stride_cost, 1.0)
        compute = (cycles + self.other_cycles) / self.clock / 1e3
        share = constants.clock_share if form.clock_share else 0.0
        slower = (1 - share) * constants.emc_mhz / self.emc + share * constants.clock_mhz / self.clock
        bytes_ = self.traffic + self.weights / self.batch + self._again(form)
        dram = bytes_ / constants.bandwidth_gb_s / 1e6 * slower
        both = np.maximum(compute, dram) if form.overlap else compute + dram
        return np.asarray((both + constants.layer_us / 1e3).sum(axis=1))

    def _again(self, form: Form) -> Values:
        buffer = form.buffer_kib * 1024
        by_input = (np.ceil(self.weights / buffer) - 1) * self.source
        by_weights = (np.ceil(self.source / buffer) - 1) * self.weights
        chosen = {"cheaper": np.minimum(by_input, by_weights), "input": by_input, "weights": by_weights}[form.again]
        if form.sram:
            chosen = np.where(self.source <= SRAM_BYTES, 0.0, chosen)
        return np.where(np.minimum(self.source, self.weights) <= buffer, 0.0, chosen)
