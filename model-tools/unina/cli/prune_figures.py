"""What pruning saves: filters, parameters, multiplications and estimated time, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from rich.console import Group
from rich.table import Table

from unina.cli.models import deploy_network
from unina.compress.prune_rounds import Round
from unina.dla.estimate import estimate
from unina.dla.platforms import PowerMode
from unina.model.plan import Plan
from unina.model.spec import ModelSpec


@dataclass(frozen=True)
class Figures:
    """A detector as it is deployed."""

    filters: int
    """output channels of all convolutions but the last of each tower"""
    parameters: int
    """weights and biases"""
    macs: int
    """multiplications for one picture"""
    latency_ms: float
    """estimate for one DLA, all INT8"""
    uncertainty: float
    """of the estimate, as a fraction of it"""
    mode: str
    """power mode"""


def figures_of(spec: ModelSpec, classes: int, mode: PowerMode) -> Figures:
    """The figures of a detector of this spec, at its input size."""
    network = deploy_network(spec, classes)
    found = estimate(network, mode)
    convolutions = [node for node in network.nodes if node.op == "Conv"]
    parameters = sum(network.constants[name].size for node in convolutions for name in node.inputs[1:])
    filters = sum(
        network.constants[node.inputs[1]].shape[0]
        for node in convolutions
        if not set(node.outputs) & set(network.outputs)
    )
    return Figures(filters, parameters, found.macs, found.latency_ms, found.uncertainty, mode.name)


def table(
    before: Figures, after: Figures | None, was: ModelSpec, now: ModelSpec | None, rounds: Sequence[Round]
) -> Group:
    """For a person: the figures, the widths, and the rounds where there were any."""
    figures = Table(title=f"deployed at {was.input_width}×{was.input_height}", title_justify="left")
    for column in ("", "before", "after", ""):
        figures.add_column(column, justify="left" if not column else "right")
    rows = (
        ("filters", "filters", 1.0, "{:.0f}"),
        ("parameters, M", "parameters", 1e6, "{:.3f}"),
        ("GMAC", "macs", 1e9, "{:.3f}"),
        (f"DLA ms, estimated ±{before.uncertainty:.0%}, {before.mode}", "latency_ms", 1.0, "{:.2f}"),
    )
    for title, name, unit, form in rows:
        old, new = getattr(before, name), None if after is None else getattr(after, name)
        cells = ("–", "") if new is None else (form.format(new / unit), f"{new / old - 1:+.0%}")
        figures.add_row(title, form.format(old / unit), *cells)
    parts: list[Table] = [figures]
    if now is not None:
        parts.append(widths_table(was.stages, now.stages))
    if rounds:
        trained = Table(title="rounds", title_justify="left")
        for column in ("round", "filters left", "mAP50", "mAP50-95", "drop, points"):
            trained.add_column(column, justify="right")
        for one in rounds:
            accuracy = (f"{one.map50:.3f}", f"{one.map50_95:.3f}", f"{one.drop:+.2f}")
            trained.add_row(str(one.number), str(one.filters), *accuracy)
        parts.append(trained)
    return Group(*parts)


def widths_table(was: Plan, now: Plan) -> Table:
    """The widths of the plan that changed."""
    widths = Table(title="channels", title_justify="left")
    widths.add_column("width")
    widths.add_column("stride", justify="right")
    widths.add_column("before", justify="right")
    widths.add_column("after", justify="right")
    for field in fields(Plan):
        old, new = getattr(was, field.name), getattr(now, field.name)
        pairs = zip(old, new, (4, 8, 16, 32), strict=True) if isinstance(old, tuple) else [(old, new, 2)]
        for left, right, stride in pairs:
            if left != right:
                widths.add_row(field.name, str(stride), str(left), str(right))
    return widths
