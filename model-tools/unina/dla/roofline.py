"""Draws an estimate as a roofline (Williams, Waterman, Patterson, 2009): layers as points over arithmetic intensity."""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from unina.dla.constants import ORIN, DlaConstants
from unina.dla.estimate import Estimate, bandwidth_gb_s, peak_macs

NAMED = 6
"""Layers with a number: the slowest."""


def draw_roofline(found: Estimate, title: str, constants: DlaConstants = ORIN) -> bytes:
    """A PNG: every layer that multiplies, at its estimated speed, its area in proportion to its time.

    Raises ValueError where nothing takes time on the DLA.
    """
    if not found.latency_ms:
        raise ValueError("nothing to draw: no operator takes time on the DLA")
    mode = found.mode
    peak = (
        2 * peak_macs(found.precision, constants, sparse=found.sparse) * mode.clock_mhz / 1e6
    )  # tera-operations a second
    bandwidth = bandwidth_gb_s(mode, constants)
    layers = [layer for layer in found.layers if layer.macs and layer.dram_bytes]
    intensity = np.array([2 * layer.macs / layer.dram_bytes for layer in layers])
    speed = np.array([2 * layer.macs / layer.latency_ms / 1e9 for layer in layers])
    share = np.array([layer.latency_ms / found.latency_ms for layer in layers])
    figure, axes = plt.subplots(figsize=(7.2, 4.4), dpi=110)
    reach = [*intensity, 1000 * peak / bandwidth]
    x = np.geomspace(min(reach) / 2, max(reach) * 3, 200)
    axes.plot(x, np.minimum(peak, x * bandwidth / 1e3), color="black", linewidth=1.2)
    axes.text(
        x[-1],
        peak * 1.06,
        f"{peak:.1f} TOPS {found.precision.upper()}{', sparse' if found.sparse else ''} at {mode.clock_mhz:g} MHz",
        ha="right",
        fontsize=8,
    )
    left = x[40]
    axes.text(left, left * bandwidth / 1e3 * 1.5, f"{bandwidth:.1f} GB/s", ha="right", fontsize=8)
    for bound, colour in (("compute", "#4c72b0"), ("memory", "#dd8452")):
        chosen = np.array([layer.bound == bound for layer in layers], bool)
        busy = sum(layer.latency_ms for layer in found.layers if layer.bound == bound) / found.latency_ms
        label = f"{bound}-bound, {busy:.0%} of the time"
        axes.scatter(intensity[chosen], speed[chosen], 8 + 1200 * share[chosen], color=colour, alpha=0.6, label=label)
    named = []
    for place, i in enumerate(np.argsort(-share)[:NAMED], start=1):
        axes.annotate(str(place), (intensity[i], speed[i]), ha="center", va="center", fontsize=6)
        named.append(f"{place}  {layers[i].name.removesuffix('/Conv')[-40:]}, {layers[i].latency_ms * 1e3:.0f} µs")
    axes.text(0.02, 0.98, "slowest\n" + "\n".join(named), transform=axes.transAxes, va="top", fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations a byte of DRAM traffic")
    axes.set_ylabel("tera-operations a second")
    axes.set_title(f"{title}: {found}", fontsize=9)
    axes.legend(fontsize=8, loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    plt.close(figure)
    return target.getvalue()
