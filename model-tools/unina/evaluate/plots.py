"""The figures of a report, drawn by matplotlib without a display."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unina.data.dataset import ANY
from unina.evaluate.match import Ints, Matches
from unina.evaluate.precision_recall import curve
from unina.evaluate.summary import HeightRow, Summary

COLORS = {"blue": "#1769e0", "yellow": "#d9a400", "orange": "#e8590c", "large_orange": "#a61e4d"}
"""Of cones; other classes take matplotlib's."""


def color_of(name: str) -> str | None:
    """A plot colour that a person expects for a class."""
    return COLORS.get(name.split(ANY, maxsplit=1)[0].removesuffix("_cone"))


def precision_recall_plot(matches: Matches, summary: Summary) -> Figure:
    """One curve a class, with a dot at the recommended threshold."""
    figure, axes = _figure("precision against recall at IoU 0.5", "recall", "precision")
    for label in matches.labelled:
        name, falling = matches.names[label], curve(matches, label)
        color = color_of(name)
        (line,) = axes.plot(falling.recall, falling.precision, label=f"{name} {summary.ap50[name]:.3f}", color=color)
        point = summary.operating[name]
        axes.plot([point.recall], [point.precision], "o", color=line.get_color())
    axes.legend(loc="lower left", title="AP50")
    return figure


def f1_plot(matches: Matches, summary: Summary) -> Figure:
    """F1 against the threshold, with a dot at the recommended one."""
    figure, axes = _figure("F1 against the score threshold", "threshold", "F1")
    for label in matches.labelled:
        name, falling = matches.names[label], curve(matches, label)
        (line,) = axes.plot(falling.score, falling.f1, label=name, color=color_of(name))
        axes.plot([summary.thresholds[name]], [summary.operating[name].f1], "o", color=line.get_color())
    axes.legend()
    return figure


def heights_plot(heights: Sequence[HeightRow]) -> Figure:
    """Recall of each range of height, at the recommended thresholds and at any score."""
    figure, axes = _figure("recall by height at IoU 0.5", "height in pixels of the input", "recall")
    known = [row for row in heights if row.recall is not None and row.recall_lowest is not None]
    places = np.arange(len(known))
    axes.bar(places - 0.2, [row.recall for row in known], 0.4, label="recommended scores", color="#1769e0")
    axes.bar(places + 0.2, [row.recall_lowest for row in known], 0.4, label="any score", color="#9bbcf0")
    axes.set_xticks(places, [f"{row.range}\n{row.boxes} boxes" for row in known])
    axes.legend(loc="upper left")
    return figure


def confusion_plot(matrix: Ints, names: Sequence[str]) -> Figure:
    """(C+1)×(C+1) counts: rows are labels, columns detections; shaded by the share of the row."""
    size = 3.2 + 0.7 * len(matrix)
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares[-1] = 0  # what background there is has no count to be a share of
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        dark = shares[row, column] > 0.6
        text = "" if row == column == len(names) else str(matrix[row, column])
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    places = range(len(matrix))
    axes.set_xticks(places, [*names, "missed"], rotation=30, ha="right")
    axes.set_yticks(places, [*names, "background"])
    axes.set(title="what is taken for what, at the recommended scores", xlabel="detected as", ylabel="labelled")
    return figure


def _figure(title: str, x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y, ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes
