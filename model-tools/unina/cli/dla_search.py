"""`unina-dla search`: widths and levels that meet a latency budget, the most work on small objects first."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import yaml

from unina.cli.models import CLASSES, size_of, traced
from unina.dla.constants import ORIN, DlaConstants, read_constants
from unina.dla.estimate import UNCERTAINTY
from unina.dla.input_size import at_size
from unina.dla.network import NetworkError
from unina.dla.platforms import PLATFORMS, PowerMode
from unina.dla.search import CELLS_AN_OBJECT, Family, Figures, family, figures, finest_outputs, grid, receptive_field

if TYPE_CHECKING:  # torch takes seconds to load: --help need not wait
    from unina.model import ModelSpec
    from unina.model.plan import Plan

STRIDES = (4, 8, 16, 32)
LEVELS = (("p2", "p3", "p4"), ("p2", "p3", "p4", "p5"), ("p3", "p4", "p5"))
SHIPPED, SHIPPED_LEVELS = "b1", LEVELS[0]
PROBE = {"classes": 3, "boxes": 4, "stem": 8} | {
    f"{part}.{stride}": 8 * (2 + 4 * i + j)
    for i, part in enumerate(("widths", "neck", "head"))
    for j, stride in enumerate(STRIDES)
}
"""Width → the channels that stand for it in the network that is traced; no two alike."""
EXAMPLES = f"""examples:
  unina-dla search model-tools/specs/cones.yaml --budget-ms 2.0
  unina-dla search model-tools/specs/cones.yaml --budget-ms 3 --size 1280x384 --levels p2,p3,p4 --object-px 16
  unina-dla search model-tools/specs/cones.yaml --budget-ms 2 --power-mode 30W --json

SPEC is a training spec: its model part gives block, depths, stem, head depth and reg_max; widths and levels are varied.
Ranked by detail: multiplications on maps where the smallest object is at least {CELLS_AN_OBJECT} cells tall (up to
stride 4 with --object-px 8) and that the finest level depends on; among equals, the faster one first. That is work
where it can be seen, not accuracy: train what you choose. Times are estimates.

Exit code: 0 found, 1 nothing meets the budget or no map is fine enough for the object, 2 the spec cannot be read.
"""


@dataclass(frozen=True)
class Row:
    """A network that was looked at."""

    name: str
    """where it is a known network; else "" """
    levels: tuple[str, ...]
    size: str
    """width×height"""
    plan: "Plan"
    latency_ms: float
    gmac: float
    detail_gmac: float
    parameters: int
    """weights and biases of the deployed network"""

    @property
    def share(self) -> float:
        """Part of all multiplications that is detail."""
        return self.detail_gmac / self.gmac

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "share": self.share}


@dataclass(frozen=True)
class Dla:
    """What the networks are estimated for."""

    mode: PowerMode
    constants: DlaConstants


@dataclass(frozen=True)
class Space:
    """All networks with one choice of levels at one input size."""

    levels: tuple[str, ...]
    size: tuple[int, int]
    """width, height"""
    opened: Family
    field_px: int
    """receptive field of a cell of the finest class map"""
    near_stride: int
    """of the coarsest maps that count as detail, or of the finest level where that is coarser"""
    near_field_px: int
    """receptive field along maps up to that stride"""

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(1 << int(level[1:]) for level in self.levels)

    @property
    def text(self) -> str:
        return f"{self.size[0]}×{self.size[1]}"


def add_search(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "search",
        help="find widths and levels that meet a latency budget",
        description="Finds widths and levels of a detector that meet a latency budget on one DLA: first those that do "
        "most work on small objects.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", metavar="SPEC.yaml", type=Path, help="a training spec; its model part is what counts")
    parser.add_argument("--budget-ms", type=positive, required=True, metavar="MS", help="the central estimate's limit")
    parser.add_argument(
        "--platform", choices=tuple(PLATFORMS), default="agx-orin-64gb", help="(default: agx-orin-64gb)"
    )
    parser.add_argument("--power-mode", default="MAXN", metavar="MODE", help="such as 50W, 30W, 15W (default: MAXN)")
    parser.add_argument(
        "--size", type=size_of, action="append", metavar="WxH", help="input; may be repeated (default: that of SPEC)"
    )
    parser.add_argument(
        "--levels",
        type=levels_of,
        action="append",
        metavar="P2,P3,P4",
        help="may be repeated (default: p2,p3,p4 and p2,p3,p4,p5 and p3,p4,p5)",
    )
    parser.add_argument("--constants", type=Path, metavar="FILE", help="what `unina-dla calibrate` wrote")
    parser.add_argument("--object-px", type=positive, default=8, metavar="PX", help="smallest object (default: 8)")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="rows to print (default: 10)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(command=run)


def positive(text: str) -> float:
    """A number above 0; raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return value


def levels_of(text: str) -> tuple[str, ...]:
    """ "p2,p3,p4" as levels; raises ArgumentTypeError."""
    levels = tuple(part.strip().lower() for part in text.split(","))
    numbers = [int(level[1:]) if level in {"p2", "p3", "p4", "p5"} else 0 for level in levels]
    if 0 in numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise argparse.ArgumentTypeError(f"{text}: levels go from fine to coarse without gaps, such as p2,p3,p4")
    return levels


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    try:
        mode = PLATFORMS[arguments.platform].mode(arguments.power_mode)
        dla = Dla(mode, read_constants(arguments.constants) if arguments.constants else ORIN)
    except ValueError as error:  # another platform's mode, not the file that calibrate writes
        raise NetworkError(str(error)) from error
    spec, classes = read_spec(arguments.spec)
    smallest = CELLS_AN_OBJECT * STRIDES[0]
    if arguments.object_px < smallest:
        print(
            f"unina-dla: --object-px {arguments.object_px:g}: no map is fine enough: at stride {STRIDES[0]}, the "
            f"finest whose width is varied, {CELLS_AN_OBJECT} cells are {smallest} px tall: enlarge the input",
            file=sys.stderr,
        )
        return 1
    sizes = arguments.size or [(spec.input_width, spec.input_height)]
    own = () if arguments.levels else (spec.levels,)
    choices = dict.fromkeys((*own, *(arguments.levels or LEVELS)))
    spaces = [space(spec, levels, size, arguments.object_px) for levels in choices for size in sizes]
    found = [row for one in spaces for row in look(one, spec, classes, dla, arguments.budget_ms)]
    found.sort(key=lambda row: (-row.detail_gmac, row.latency_ms))
    known = known_rows(spec, classes, sizes, dla, arguments.object_px)
    if arguments.json:
        print(json.dumps(document(arguments, mode, spaces, found, known), indent=2, ensure_ascii=False))
    else:
        print(report(arguments, mode, spaces, found, known))
    return 0 if found else 1


def read_spec(path: Path) -> "tuple[ModelSpec, int]":
    """The model of a training spec and its number of classes (4 where it names none).

    Raises:
        NetworkError: not there, not YAML, or a model that cannot be.
    """
    from unina.model import ModelSpec  # noqa: PLC0415
    from unina.model.plan import PLANS  # noqa: PLC0415

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        model = {} if content is None else content.get("model") or {}
        unknown = set(model) - {field.name for field in fields(ModelSpec)}
        if unknown:
            raise ValueError(f"model.{min(unknown)}: no such field")
        spec = ModelSpec(**model)
        if spec.backbone not in PLANS:
            raise ValueError(f"model.backbone: {spec.backbone}: must be one of {', '.join(PLANS)}")
        return spec, len((content or {}).get("classes") or ()) or CLASSES
    except OSError as error:
        raise NetworkError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise NetworkError(f"{path}: not a training spec: {' '.join(str(error).split())}") from error


def space(spec: "ModelSpec", levels: Sequence[str], size: tuple[int, int], object_px: float) -> Space:
    """Traces the form of the networks once, at a small size, and stretches it."""
    from unina.model.plan import Plan  # noqa: PLC0415

    base = spec.stages
    parts = {part: tuple(PROBE[f"{part}.{stride}"] for stride in STRIDES) for part in ("widths", "neck", "head")}
    plan = Plan(PROBE["stem"], depths=base.depths, head_depth=base.head_depth, **parts)  # type: ignore[arg-type]
    side = 2 << int(levels[-1][1:])
    small = replace(spec, plan=plan, levels=cast(Any, levels), reg_max=1, input_height=side, input_width=side)
    try:
        network = at_size(traced(small, PROBE["classes"]), size[1], size[0])
    except ValueError as error:
        raise NetworkError(f"--size {size[0]}x{size[1]} with levels {','.join(levels)}: {error}") from error
    finest = finest_outputs(network)[0]
    near = max(int(object_px / CELLS_AN_OBJECT), 1 << int(levels[0][1:]))  # the finest map itself is part of the way
    fields_px = receptive_field(network, finest), receptive_field(network, finest, near)
    return Space(tuple(levels), size, family(network, PROBE, object_px), fields_px[0], near, fields_px[1])


def look(one: Space, spec: "ModelSpec", classes: int, dla: Dla, budget_ms: float) -> list[Row]:
    """The networks within the budget: of all with one backbone, the neck and head with the most detail."""
    widths = list(grid(one.strides))
    seen = evaluate(one, widths, spec, classes, dla)
    best: dict[tuple[int, ...], int] = {}
    order = np.lexsort((seen.latency_ms, -seen.detail_macs))
    for index in order[seen.latency_ms[order] <= budget_ms]:
        backbone = tuple(width for name, width in widths[index].items() if name.startswith("widths."))
        best.setdefault(backbone, int(index))
    return [_row(one, "", widened(spec.stages, widths[index]), seen, index) for index in best.values()]


def known_rows(
    spec: "ModelSpec", classes: int, sizes: Sequence[tuple[int, int]], dla: Dla, object_px: float
) -> list[Row]:
    """The network that ships, and that of the spec where it is another one, at every size."""
    shipped = replace(spec, backbone=SHIPPED, plan=None, levels=SHIPPED_LEVELS)  # type: ignore[arg-type]
    named = {f"{SHIPPED}, ships": shipped}
    if (spec.stages, spec.levels) != (shipped.stages, shipped.levels):
        named[f"{spec.backbone} of the spec" if spec.plan is None else "plan of the spec"] = spec
    rows = []
    for name, known in named.items():
        for size in sizes:
            one = space(known, known.levels, size, object_px)
            rows.append(_row(one, name, known.stages, evaluate(one, [widths_of(known.stages)], known, classes, dla), 0))
    return rows


def evaluate(one: Space, widths: Sequence[Mapping[str, int]], spec: "ModelSpec", classes: int, dla: Dla) -> Figures:
    """Estimates of networks given by their widths."""
    fixed = {"stem": spec.stages.stem, "classes": classes, "boxes": 4 * spec.reg_max}
    values = np.array([[{**fixed, **row}.get(name, 0) for name in one.opened.widths] for row in widths], np.int64)
    return figures(one.opened, values, dla.mode, dla.constants)


def widths_of(plan: "Plan") -> dict[str, int]:
    """The widths of a plan by name."""
    parts = {"widths": plan.widths, "neck": plan.neck, "head": plan.head}
    return {f"{part}.{stride}": plan.at(values, stride) for part, values in parts.items() for stride in STRIDES}


def widened(base: "Plan", widths: Mapping[str, int]) -> "Plan":
    """The plan with these widths; strides that are not named keep the base's."""
    given = {**widths_of(base), **widths}
    parts = {part: tuple(given[f"{part}.{stride}"] for stride in STRIDES) for part in ("widths", "neck", "head")}
    return replace(base, **parts)  # type: ignore[arg-type]


def _row(one: Space, name: str, plan: "Plan", seen: Figures, index: int) -> Row:
    macs = int(seen.macs[index]), int(seen.detail_macs[index])
    latency, parameters = float(seen.latency_ms[index]), int(seen.parameters[index])
    return Row(name, one.levels, one.text, plan, latency, macs[0] / 1e9, macs[1] / 1e9, parameters)


def place(row: Row, found: Sequence[Row], budget_ms: float) -> str:
    """Where a network that is known would stand among those found."""
    if row.latency_ms > budget_ms:
        return "outside the budget"
    return f"would stand at {1 + sum(other.detail_gmac > row.detail_gmac for other in found)} of {len(found)}"


def report(
    arguments: argparse.Namespace, mode: PowerMode, spaces: Sequence[Space], found: Sequence[Row], known: Sequence[Row]
) -> str:
    """For people: the table, the known networks, and the first one as YAML."""
    budget, where = arguments.budget_ms, f"one DLA of {arguments.platform} at {mode.name}"
    lines = [
        f"{'#':>3} {'levels':<7} {'size':<9} {'backbone':<17} {'neck':<15} {'head':<15} {'param M':>7} {'GMAC':>6} "
    ]
    lines[0] += f"{'ms':>5} {'detail':>6} {'share':>5}"
    lines += [f"{number:>3} {_cells(row)}" for number, row in enumerate(found[: arguments.top], start=1)]
    if not found:
        lines.append(f"nothing meets {budget:g} ms")
    lines += [f"  = {_cells(row)}  {row.name}: {place(row, found, budget)}" for row in known]
    lines += [
        "",
        f"{len(found)} backbones within {budget:g} ms on {where}, each with the neck and head of most detail.",
    ]
    lines.append(
        f"detail: GMAC up to stride {arguments.object_px / CELLS_AN_OBJECT:g} that the finest level depends on; "
        f"ms: estimates, ±{max(UNCERTAINTY, mode.uncertainty):.0%}, all INT8."
    )
    lines += dict.fromkeys(
        f"{_levels(one.levels)}: a cell of the finest class map depends on {one.near_field_px} px of the input over "
        f"maps up to stride {one.near_stride}, on {one.field_px} px in all"
        for one in spaces
    )
    if found:
        lines += ["", "The first one, for the model part of a spec:", yaml_of(found[0])]
    return "\n".join(lines)


def yaml_of(row: Row) -> str:
    """Levels, size and plan as a spec spells them."""
    width, height = row.size.split("×")
    content = {"levels": list(row.levels), "input_height": int(height), "input_width": int(width)}
    plan = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(row.plan).items()}
    text = yaml.safe_dump({**content, "plan": plan}, sort_keys=False, default_flow_style=None, width=120)
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


def document(
    arguments: argparse.Namespace, mode: PowerMode, spaces: Sequence[Space], found: Sequence[Row], known: Sequence[Row]
) -> dict[str, Any]:
    """For programs."""
    return {
        "platform": arguments.platform,
        "mode": asdict(mode),
        "budget_ms": arguments.budget_ms,
        "object_px": arguments.object_px,
        "uncertainty": max(UNCERTAINTY, mode.uncertainty),
        "spaces": [
            {
                "levels": one.levels,
                "size": one.text,
                "receptive_field_px": one.field_px,
                "near_stride": one.near_stride,
                "near_receptive_field_px": one.near_field_px,
            }
            for one in spaces
        ],
        "found": len(found),
        "rows": [row.to_json() for row in found[: arguments.top]],
        "known": [{**row.to_json(), "place": place(row, found, arguments.budget_ms)} for row in known],
    }


def _cells(row: Row) -> str:
    finest, coarsest = (int(level[1:]) - 2 for level in (row.levels[0], row.levels[-1]))
    backbone = "/".join(map(str, row.plan.widths[: coarsest + 1]))
    neck, head = ("/".join(map(str, part[finest : coarsest + 1])) for part in (row.plan.neck, row.plan.head))
    return (
        f"{_levels(row.levels):<7} {row.size:<9} {backbone:<17} {neck:<15} {head:<15} {row.parameters / 1e6:7.2f} "
        f"{row.gmac:6.1f} {row.latency_ms:5.2f} {row.detail_gmac:6.2f} {row.share:5.0%}"
    )


def _levels(levels: Sequence[str]) -> str:
    return f"{levels[0].upper()}–{levels[-1].upper()}"
