"""Charts as HTML: curves are stretched to the width that there is, words are not, so that both stay readable."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unina_runtime.profile.series import Floats

COLORS = 8
"""of the style's --c0, --c1, …"""
MOST_POINTS = 600
"""of a curve; of more, the least and the greatest of each stretch are drawn"""
BINS = 60
MINUTES_FROM_S = 150
"""Longer times are told in minutes."""
STYLE = """
:root { --c0: #1769e0; --c1: #c96a00; --c2: #2a9d63; --c3: #b0347a; --c4: #7c4dcc; --c5: #0e8a9c; --c6: #8a7300;
  --c7: #6b7280; --hot: #e5484d; }
@media (prefers-color-scheme: dark) { :root { --c0: #6aa9ff; --c1: #f5a850; --c2: #5fd399; --c3: #f58cc4;
  --c4: #b79bff; --c5: #4fd0e3; --c6: #d8c65a; --c7: #a3abb8; --hot: #ff6b6f; } }
.chart { margin: 1rem 0 1.6rem; } .chart figcaption { font-size: .9rem; opacity: 1; margin-bottom: .3rem; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .82rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
.plot { position: relative; height: 210px; margin: .7rem .4rem 1.7rem 3.1rem; border-left: 1px solid var(--line);
  border-bottom: 1px solid var(--line); }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.plot span { position: absolute; font-size: .75rem; line-height: 1; opacity: .8; white-space: nowrap; }
.plot .y { right: 100%; margin-right: .4rem; transform: translateY(-50%); }
.plot .x { top: 100%; margin-top: .45rem; transform: translateX(-50%); }
.plot .at { transform: translateX(-50%); top: 0; background: Canvas; padding: 1px 3px; border-radius: 3px; opacity: 1; }
.curve { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; opacity: .6; }
.dash { stroke-dasharray: 5 4; stroke-width: 1.2; vector-effect: non-scaling-stroke; }
.hot { fill: var(--hot); opacity: .18; }
@media (max-width: 600px) { .plot { height: 180px; margin-left: 2.6rem; } .plot .x.odd { display: none; } }
"""


@dataclass(frozen=True)
class Mark:
    """A stretch of time that is shaded."""

    begin: float
    end: float
    why: str


def time_chart(
    title: str,
    unit: str,
    seconds: Floats,
    curves: Mapping[str, Floats],
    *,
    marks: Sequence[Mark] = (),
    limit: tuple[float, str] | None = None,
    top: float | None = None,
    zero: bool = True,
) -> str:
    """Curves over time. `limit`: a dashed line and its name; `top`: the axis ends there at least; `zero`: and begins
    at 0."""
    known = [values[np.isfinite(values)] for values in curves.values()]
    whole = np.concatenate(known) if known else np.empty(0)
    if len(seconds) == 0 or len(whole) == 0:
        return ""
    high = max(float(whole.max()), top or -math.inf)
    low = min(0.0, float(whole.min())) if zero else float(whole.min())
    rows = ticks(low, high if high > low else low + 1, 4)
    low, high = rows[0], rows[-1]
    end = float(seconds[-1]) if seconds[-1] > seconds[0] else float(seconds[0]) + 1
    begin = float(seconds[0])
    span = end - begin
    scale, clock = (60, "min") if span > MINUTES_FROM_S else (1, "s")
    columns = [tick * scale for tick in ticks(begin / scale, end / scale, 6)]
    columns = [tick for tick in columns if begin <= tick <= end + span / 100]
    shapes = [_grid(1000 - 1000 * _share(row, low, high)) for row in rows]
    for mark in marks:
        left, right = (1000 * _share(min(max(at, begin), end), begin, end) for at in (mark.begin, mark.end))
        why = html.escape(mark.why)
        shapes.append(
            f"<rect class=hot x='{left:.1f}' y=0 width='{max(right - left, 2):.1f}' height=1000>"
            f"<title>{why}</title></rect>"
        )
    for index, (name, values) in enumerate(curves.items()):
        path = _path(seconds, values, (begin, end), (low, high))
        style = f"stroke:{color(index)}"
        shapes.append(f"<path class=curve style='{style}' d='{path}'><title>{html.escape(name)}</title></path>")
    labels = _row_labels(rows)
    for index, tick in enumerate(columns):
        odd = " odd" if index % 2 else ""
        left = 100 * _share(tick, begin, end)
        labels += f"<span class='x{odd}' style='left:{left:.2f}%'>{tick / scale:g} {clock}</span>"
    names = list(curves)
    if limit is not None and low <= limit[0] <= high:
        y = 1000 - 1000 * _share(limit[0], low, high)
        shapes.append(f"<line class=dash style='stroke:var(--hot)' x1=0 x2=1000 y1='{y:.1f}' y2='{y:.1f}'/>")
    extra = "" if limit is None else f"<span><i style='background:var(--hot)'></i>{html.escape(limit[1])}</span>"
    return _figure(f"{title}, {unit}", names, extra, shapes, labels)


def histogram(
    title: str, unit: str, runs: Mapping[str, Sequence[float]], markers: Mapping[str, float] | None = None
) -> str:
    """How often which value was, of one run or of several; `markers` stand where they are."""
    known = {name: np.asarray(values, np.float64) for name, values in runs.items() if len(values)}
    if not known:
        return ""
    everything = np.concatenate(list(known.values()))
    low, high = float(everything.min()), float(np.quantile(everything, 0.999))
    high = max([high, *(markers or {}).values()])
    if high <= low:
        high = low + max(abs(low) * 0.01, 1e-6)
    span = high - low
    low, high = max(low - 0.02 * span, 0.0 if low >= 0 else low), high + 0.02 * span
    edges = np.linspace(low, high, BINS + 1)
    counts = {name: np.histogram(np.clip(v, low, high), edges)[0] / len(v) * 100 for name, v in known.items()}
    rows = ticks(0.0, max(float(one.max()) for one in counts.values()), 4)
    shapes = [_grid(1000 - 1000 * _share(row, 0.0, rows[-1])) for row in rows]
    for index, shares in enumerate(counts.values()):
        points = []
        for left, right, share in zip(edges, edges[1:], shares, strict=False):
            y = 1000 - 1000 * _share(float(share), 0.0, rows[-1])
            points += [
                f"{1000 * _share(float(left), low, high):.1f} {y:.1f}",
                f"{1000 * _share(float(right), low, high):.1f} {y:.1f}",
            ]
        outline = "L".join(points)
        style = f"fill:{color(index)};fill-opacity:.22;stroke:{color(index)}"
        shapes.append(f"<path class=curve style='{style}' d='M0 1000L{outline}L1000 1000'/>")
    labels = _row_labels(rows)
    for index, tick in enumerate(tick for tick in ticks(low, high, 6) if low <= tick <= high):
        odd = " odd" if index % 2 else ""
        left = 100 * _share(tick, low, high)
        labels += f"<span class='x{odd}' style='left:{left:.2f}%'>{tick:g} {html.escape(unit)}</span>"
    for row, (name, value) in enumerate((markers or {}).items()):
        share = _share(value, low, high)
        x = 1000 * share
        shapes.append(f"<line class=dash style='stroke:currentColor' x1='{x:.1f}' x2='{x:.1f}' y1=0 y2=1000 />")
        shift = 0 if share < 0.1 else 100 if share > 0.9 else 50
        labels += (
            f"<span class=at style='left:{100 * share:.2f}%;top:{row * 1.25:.2f}rem;transform:translateX(-{shift}%)'>"
            f"{html.escape(name)} {value:.3g}</span>"
        )
    return _figure(f"{title}, % of all", list(known) if len(known) > 1 else [], "", shapes, labels)


def color(index: int) -> str:
    """Of a curve."""
    return f"var(--c{index % COLORS})"


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from at most `low` to at least `high` (steps of 1, 2 or 5 times a power of ten)."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low, low + 1]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if rough <= power * factor * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 12) for index in range(first, last + 1)]


def _figure(title: str, names: Sequence[str], extra: str, shapes: Sequence[str], labels: str) -> str:
    swatches = "".join(
        f"<span><i style='background:{color(index)}'></i>{html.escape(name)}</span>" for index, name in enumerate(names)
    )
    return (
        f"<figure class=chart><figcaption><b>{html.escape(title)}</b>"
        f"<div class=legend>{swatches}{extra}</div></figcaption>"
        f"<div class=plot role=img aria-label='{html.escape(title)}'>"
        f"<svg viewBox='0 0 1000 1000' preserveAspectRatio=none>{''.join(shapes)}</svg>{labels}</div></figure>"
    )


def _row_labels(rows: Sequence[float]) -> str:
    return "".join(
        f"<span class=y style='top:{100 - 100 * _share(row, rows[0], rows[-1]):.2f}%'>{row:g}</span>" for row in rows
    )


def _grid(y: float) -> str:
    return f"<line class=grid x1=0 x2=1000 y1='{y:.1f}' y2='{y:.1f}'/>"


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _path(seconds: Floats, values: Floats, xs: tuple[float, float], ys: tuple[float, float]) -> str:
    """SVG's; a value that is not known breaks the curve."""
    if len(seconds) > MOST_POINTS:
        seconds, values = _envelope(seconds, values)
    x = 1000 * (seconds - xs[0]) / (xs[1] - xs[0])
    y = 1000 - 1000 * (values - ys[0]) / (ys[1] - ys[0])
    parts, pen = [], "M"
    for across, down in zip(x, y, strict=True):
        if not math.isfinite(down):
            pen = "M"
            continue
        parts.append(f"{pen}{across:.1f} {down:.1f}")
        pen = "L"
    return "".join(parts)


def _envelope(seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    at: list[float] = []
    told: list[float] = []
    for places in np.array_split(np.arange(len(seconds)), MOST_POINTS // 2):
        piece = values[places]
        known = piece[np.isfinite(piece)]
        when = float(seconds[places].mean())
        at += [when, when]
        told += [float(known.min()), float(known.max())] if len(known) else [math.nan, math.nan]
    return np.asarray(at), np.asarray(told)
