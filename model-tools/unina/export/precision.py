"""Which convolutions of a bundle run in FP16: none, those of a list, or the fewest that keep the accuracy."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from unina.compress.calibrate import Input
from unina.compress.promote import NotReached, Trial, smallest_set
from unina.compress.sensitivity import PriceMs, Sensitivity, measure_sensitivity
from unina.dla.estimate import estimate_plan
from unina.dla.graph import Conv, Graph
from unina.dla.network import read_network
from unina.dla.precision import reads_picture
from unina.dla.scales import ScaleMap
from unina.dla.steps import plan
from unina.dla.trtexec import layer_names

SHOWN = 10
"""Layers in the table of the command line."""


class LayersError(ValueError):
    """A list of layers that cannot be taken; the text says which line or name."""


class NotAccurate(ValueError):
    """No set of layers in FP16 is accurate enough."""

    def __init__(self, reached: NotReached, sensitivity: Sensitivity) -> None:
        super().__init__(str(reached))
        self.best = reached.best
        self.sensitivity = sensitivity


@dataclass(frozen=True)
class PromotedLayer:
    """A convolution in FP16."""

    name: str
    price_ms: float
    """estimated on one DLA, that INT8 here would save, the other layers staying as they are"""
    error_removed: float | None
    """part of INT8's error of the raw maps that would come back with it; None: not measured"""

    def to_json(self) -> dict[str, Any]:
        """As plain Python values."""
        removed = None if self.error_removed is None else round(self.error_removed, 6)
        return {"name": self.name, "price_ms": round(self.price_ms, 4), "error_removed": removed}


@dataclass(frozen=True)
class Precision:
    """What runs in FP16, and why."""

    layers: tuple[PromotedLayer, ...] = ()
    """in the order of the graph"""
    price_ms: float = 0.0
    """of all of them together"""
    max_drop: float | None = None
    """points of mAP50-95 that may be lost against FP32; None: nobody asked"""
    sensitivity: Sensitivity | None = None
    trials: tuple[Trial, ...] = ()
    """sets that were scored"""

    @property
    def promoted(self) -> tuple[str, ...]:
        """The names of the layers."""
        return tuple(layer.name for layer in self.layers)

    def to_json(self, drop: float | None) -> dict[str, Any]:
        """For the manifest; `drop`: points of mAP50-95 that the host engine loses against FP32."""
        return {
            "fp16_layers": [layer.to_json() for layer in self.layers],
            "price_ms": round(self.price_ms, 4),
            "max_drop": self.max_drop,
            "drop": None if drop is None else round(drop, 4),
        }


def price_of(model: bytes) -> PriceMs:
    """Latency of a serialised deploy graph on one DLA of an AGX Orin at full clocks, given what runs in FP16."""
    steps = plan(read_network(model))
    return lambda promoted: estimate_plan(steps, fp16_layers=promoted).latency_ms


def listed_layers(path: Path, graph: Graph) -> tuple[str, ...]:
    """The layers of a `layer_precisions.txt`.

    Raises:
        LayersError: unreadable, empty, a name twice, or one that is no convolution of the graph or reads the picture.
    """
    try:
        names = layer_names(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TrtexecError, or not text
        why = error.strerror if isinstance(error, OSError) else error
        raise LayersError(f"--fp16-layers {path}: {why}") from error
    if not names:
        raise LayersError(f"--fp16-layers {path}: names no layer; leave the option out, everything is INT8 then")
    convolutions = {op.name: op for op in graph.ops if isinstance(op, Conv)}
    others = {op.name: type(op).__name__ for op in graph.ops}
    for name in names:
        if names.count(name) > 1:
            raise LayersError(f"--fp16-layers {path}: {name} is there twice")
        if name not in convolutions:
            what = f"is a {others[name]}, not a convolution" if name in others else "is no node of the network"
            hint = "only convolutions can be chosen, by the names of their nodes in model.onnx"
            raise LayersError(f"--fp16-layers {path}: {name} {what}; {hint}")
        if reads_picture(graph, convolutions[name]):
            raise LayersError(
                f"--fp16-layers {path}: {name} reads the picture, which is int8, and the DLA computes it in INT8, too; "
                "leave it out"
            )
    return names


def given_precision(names: Collection[str], graph: Graph, price_ms: PriceMs) -> Precision:
    """Layers that somebody chose."""
    layers = tuple(PromotedLayer(name, _saved(name, names, price_ms), None) for name in _in_order(names, graph))
    return Precision(layers, price_ms(names) - price_ms(()))


def found_precision(
    graph: Graph,
    scales: ScaleMap,
    inputs: Sequence[Input],
    price_ms: PriceMs,
    drop_of: Callable[[tuple[str, ...]], float],
    max_drop: float,
    advance: Callable[[], None] = lambda: None,
) -> Precision:
    """The fewest layers with which the drop is met; none, where INT8 meets it.

    Args:
        inputs: a few calibration pictures, for the sensitivity.
        drop_of: points of mAP50-95 that the host engine loses against FP32 with these layers in FP16.
        advance: called after each convolution of each picture.

    Raises:
        NotAccurate: no set meets it.
    """
    sensitivity = measure_sensitivity(graph, scales, inputs, price_ms, advance)
    try:
        found = smallest_set(sensitivity.order(price_ms), drop_of, max_drop)
    except NotReached as error:
        raise NotAccurate(error, sensitivity) from error
    names = found.chosen.layers
    whole = sensitivity.removed(names)
    layers = tuple(
        PromotedLayer(
            name, _saved(name, names, price_ms), whole - sensitivity.removed([one for one in names if one != name])
        )
        for name in _in_order(names, graph)
    )
    return Precision(layers, price_ms(names) - price_ms(()), max_drop, sensitivity, found.trials)


def sensitivity_table(sensitivity: Sensitivity, promoted: Collection[str] = ()) -> Table:
    """The most sensitive layers."""
    many = len(sensitivity.layers)
    shown = sensitivity.by_error[:SHOWN]
    title = f"INT8's error in the raw maps, the {len(shown)} most sensitive of {many} convolutions"
    table = Table(title=f"{title} ({sensitivity.pictures} pictures)", title_justify="left")
    table.add_column("convolution", overflow="fold")
    for column in ("weights dB", "by weights", "by its output", "FP16 alone wins", "for ms"):
        table.add_column(column, justify="right")
    for layer in shown:
        shares = (layer.weights_error, layer.output_error, layer.removed)
        table.add_row(
            f"{layer.name} (FP16)" if layer.name in promoted else layer.name,
            f"{layer.weights_db:.0f}",
            *(f"{share:.1%}" for share in shares),
            f"{layer.price_ms:.2f}",
        )
    return table


def _in_order(names: Collection[str], graph: Graph) -> tuple[str, ...]:
    return tuple(op.name for op in graph.ops if op.name in names)


def _saved(name: str, names: Collection[str], price_ms: PriceMs) -> float:
    return price_ms(names) - price_ms([one for one in names if one != name])
