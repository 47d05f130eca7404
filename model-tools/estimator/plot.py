"""Draws the fit: estimate over measurement, every published figure of an INT8 network."""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from fit import Report, Row

from unina.dla.estimate import UNCERTAINTY

MARKERS = {"MAXN": "o", "50W": "s", "30W": "^", "15W": "D"}


def draw(report: Report) -> bytes:
    """A PNG: networks side by side, filled as fitted, hollow with the network left out."""
    groups: dict[str, tuple[Row, ...]] = {}
    for row in (*report.ordinary, *report.apart["grouped"], *report.apart["depthwise"], *report.apart["SiLU"]):
        groups[row.run.network] = (*groups.get(row.run.network, ()), row)
    for row in report.apart["sparse"]:
        name = f"{row.run.network}\n2:4 sparse"
        groups[name] = (*groups.get(name, ()), row)
    figure, axes = plt.subplots(figsize=(8.6, 3.6), dpi=100)
    axes.axhspan(
        -100 * UNCERTAINTY, 100 * UNCERTAINTY, color="#e8eef7", label=f"band of ordinary networks, ±{UNCERTAINTY:.0%}"
    )
    axes.axhline(0, color="black", linewidth=0.8)
    for place, rows in enumerate(groups.values()):
        for i, row in enumerate(rows):
            marker = MARKERS.get(row.run.mode.name, "v")
            x = place + 0.08 * (i - (len(rows) - 1) / 2)
            if row.left_out_ms is not None:
                axes.plot(x, 100 * row.error(row.left_out_ms), marker, mfc="none", color="#c44e52", markersize=6)
            axes.plot(x, 100 * row.error(row.fitted_ms), marker, color="#4c72b0", markersize=6)
    for mode, marker in MARKERS.items():
        axes.plot([], [], marker, color="#4c72b0", label=mode)
    axes.plot([], [], "v", color="#4c72b0", label="1331 MHz, batch 1–16")
    axes.plot([], [], "o", mfc="none", color="#c44e52", label="network left out of the fit")
    axes.axvline(2.5, color="grey", linewidth=0.8, linestyle=":")
    axes.text(2.45, 22, "fitted to", ha="right", color="grey", fontsize=8)
    axes.text(2.55, 22, "not fitted to, or a constant of their own", color="grey", fontsize=8)
    names = [name.replace(" ResNeXt", "\nResNeXt").replace(" backbone", "\nbackbone") for name in groups]
    axes.set_xticks(np.arange(len(groups)), names, fontsize=7)
    axes.set_ylabel("estimate over measurement, %")
    axes.set_ylim(-30, 26)
    axes.legend(fontsize=7, ncols=4, loc="lower left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    plt.close(figure)
    return target.getvalue()
