"""`report.html` and `report.json` of a bundle: what was checked when it was made, and what is only estimated."""

import html
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from unina.data.scenes.render import render_scene, scene_layout
from unina.dla.check import Device, Report, check
from unina.dla.estimate import Estimate, estimate
from unina.dla.network import read_network
from unina.dla.platforms import PLATFORMS
from unina.dla.rules import Context
from unina.dla.scales import ScaleMap
from unina.evaluate import Stage
from unina.evaluate.page import cards, page, pictures
from unina.evaluate.stage_table import CAPTION, HEADS, StageRow
from unina.export.precision import Precision

PLATFORM = "agx-orin-64gb"
SCENES, SEED, OF = 3, 2026, 24
"""The rendered scenes on the page: those with most cones of the first OF, of a seed that nothing trains on.

Real pictures have owners."""
COLORS = ((255, 120, 30), (0, 215, 255), (0, 120, 255), (40, 40, 240), (90, 220, 60), (230, 80, 230))
"""BGR of class 0, 1, …"""
BAR = "<div style='width:{width}px;height:.8em;background:var(--accent)'></div>"


@dataclass(frozen=True)
class DlaFindings:
    """What can be said of a network without a device."""

    check: Report
    estimates: Mapping[str, Estimate]
    """by power mode"""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        first = next(iter(self.estimates.values()))
        devices = {verdict.node.name: verdict.device.value for verdict in self.check.verdicts}
        return {
            "tensorrt": str(self.check.context.trt),
            "on_dla": self.check.on_dla,
            "regions": len(self.check.partition.regions),
            "reformats": len(self.check.partition.reformats),
            "precision_changes": self.check.precision_changes,
            "nodes": devices,
            "estimated_ms": {mode: round(one.latency_ms, 3) for mode, one in self.estimates.items()},
            "uncertainty": first.uncertainty,
            "layers": [
                {
                    "name": layer.name,
                    "kind": layer.kind,
                    "precision": layer.precision,
                    "us": round(layer.latency_ms * 1e3, 1),
                    "bound": layer.bound,
                }
                for layer in first.layers
            ],
        }


def dla_findings(model: bytes, scales: ScaleMap, promoted: Collection[str] = ()) -> DlaFindings:
    """Checks and estimates a deploy graph (serialised ONNX) for one DLA of an AGX Orin, at every power mode."""
    network = read_network(model)
    context = Context(scales={name: float(scale) for name, scale in scales.items()}, fp16_layers=frozenset(promoted))
    modes = PLATFORMS[PLATFORM].modes
    return DlaFindings(
        check(network, context), {mode.name: estimate(network, mode, fp16_layers=promoted) for mode in modes}
    )


def report_json(
    manifest: Mapping[str, Any], dla: DlaFindings, stages: Sequence[StageRow], precision: Precision
) -> bytes:
    """What a program may read."""
    told = {key: manifest[key] for key in ("schema", "name", "classes", "thresholds", "accuracy", "parity")}
    told["stages"] = {row.stage: row.to_json() for row in stages}
    if "precision" in manifest:
        told["precision"] = manifest["precision"] | sensitivity_json(precision)
    return (json.dumps(told | {"dla": dla.to_json()}, indent=2, ensure_ascii=False) + "\n").encode()


def sensitivity_json(precision: Precision) -> dict[str, Any]:
    """What `--precision auto` found out on its way, and what it tried."""
    if precision.sensitivity is None:
        return {}
    trials = [{"fp16_layers": list(trial.layers), "drop": round(trial.drop, 4)} for trial in precision.trials]
    return {"trials": trials, "sensitivity": precision.sensitivity.to_json()}


def report_html(
    manifest: Mapping[str, Any], dla: DlaFindings, host: Stage, stages: Sequence[StageRow], precision: Precision
) -> bytes:
    """The page; `host` is the bundle's own integer stage."""
    size, accuracy = manifest["input"], manifest["accuracy"]
    now = next(iter(dla.estimates.values()))
    told = dla.check
    halves = told.count(Device.DLA_FP16)
    where = f"nodes on the DLA in INT8, {halves} in FP16" if halves else "nodes on the DLA in INT8"
    figures = [
        (f"{told.count(Device.DLA)} of {len(told.verdicts)}", where),
        (f"{now.latency_ms:.2f} ms", f"±{now.uncertainty:.0%}, estimated, one DLA at {now.mode.name}"),
    ]
    if accuracy:
        first, last = accuracy["torch"], accuracy["host"]
        figures = [
            (f"{first['map50']:.3f}", f"mAP50 in float, {first['images']} pictures of val"),
            (f"{last['map50']:.3f}", "mAP50 in INT8, the integer engine"),
            *figures,
        ]
    body = [
        f"<h1>{html.escape(manifest['name'])}</h1>",
        f"<p class=lead>{html.escape(', '.join(manifest['classes']))} · input {size['width']}×{size['height']} · made "
        f"{html.escape(manifest['provenance']['created'])}</p>",
        cards(figures),
        "<h2>What it sees</h2>",
        "<p>Rendered scenes that nothing trained on, through the integer engine, at the bundle's thresholds.</p>",
        pictures([_example(index, manifest, host) for index in _fullest()]),
        *_accuracy(accuracy),
        *_stages(stages),
        *_precision(manifest.get("precision"), precision),
        "<h2>From float to integers</h2>",
        "<p>On a few calibration pictures. What the columns mean: docs/quantisation.md.</p>",
        table(manifest["parity"]),
        *dla_section(dla),
    ]
    return page(f"{manifest['name']}: what was checked", body).encode()


def _accuracy(accuracy: Mapping[str, Any]) -> list[str]:
    if not accuracy:
        return ["<h2>Accuracy</h2><p>Not measured: exported with <code>--no-accuracy</code>.</p>"]
    rows = [
        {"stage": stage, "mAP50": one["map50"], "mAP50-95": one["map50_95"]}
        | {f"AP50 {name}": value for name, value in one["ap50"].items()}
        for stage, one in accuracy.items()
    ]
    return [
        "<h2>Accuracy at every stage</h2>",
        "<p>One letterbox, decoder and metric for all: a drop between two rows is the network's.</p>",
        table(rows),
    ]


def _stages(stages: Sequence[StageRow]) -> list[str]:
    if not stages:
        return []
    rows = [dict(zip(HEADS, row.cells(), strict=True)) for row in stages]
    return ["<h2>Stage by stage</h2>", f"<p>{html.escape(CAPTION)}</p>", table(rows)]


def _precision(told: Mapping[str, Any] | None, precision: Precision) -> list[str]:
    """What runs in FP16 and why; nothing for a bundle that nobody asked about."""
    if told is None:
        return []
    body = ["<h2>INT8 and FP16</h2>", f"<p>{html.escape(precision_sentence(told))}</p>"]
    if told["fp16_layers"]:
        rows = [
            {"FP16 layer": one["name"], "ms": one["price_ms"]}
            | ({} if one["error_removed"] is None else {"error that INT8 would bring back": one["error_removed"]})
            for one in told["fp16_layers"]
        ]
        body.append(table(rows))
    if precision.sensitivity is None:
        return body
    rows = [
        {
            "convolution": html.escape(layer.name),
            "": BAR.format(width=max(1, round(200 * layer.error))),
            "error, %": 100 * layer.error,
            "by weights, %": 100 * layer.weights_error,
            "by its output, %": 100 * layer.output_error,
            "weights, dB": layer.weights_db,
            "FP16 alone wins, %": 100 * layer.removed,
            "for ms": layer.price_ms,
        }
        for layer in precision.sensitivity.by_error
    ]
    return [
        *body,
        "<p>Which convolution's INT8 costs what: the parts of the error that all together bring into the raw maps "
        f"({precision.sensitivity.pictures} calibration pictures). What a layer writes stays INT8 while a reader is "
        "INT8, so that FP16 in one layer alone seldom takes it away.</p>",
        table(rows, escape=False),
    ]


def precision_sentence(told: Mapping[str, Any]) -> str:
    """The manifest's `precision` in words."""
    count = len(told["fp16_layers"])
    what = f"{count} convolution{'s' * (count != 1)} in FP16, estimated +{told['price_ms']:.2f} ms"
    if count == 0:
        what = "Everything in INT8"
    if told["drop"] is not None:
        verb = "loses" if told["drop"] >= 0 else "gains"
        what += f"; the host engine {verb} {abs(told['drop']):.2f} points of mAP50-95 against FP32"
    return what + (f", {told['max_drop']:g} may be lost" if told["max_drop"] is not None else "")


def dla_section(dla: DlaFindings) -> list[str]:
    """Verdict, estimate and layers, as HTML."""
    told, now = dla.check, next(iter(dla.estimates.values()))
    verdict = "Everything runs on the DLA" if told.on_dla else "Not everything runs on the DLA"
    clocks = ", ".join(f"{mode} {one.latency_ms:.2f} ms" for mode, one in dla.estimates.items())
    return [
        "<h2>On the DLA</h2>",
        f"<p>{verdict}, as far as its documented rules for TensorRT {told.context.trt} tell; regions: "
        f"{len(told.partition.regions)}, reformats between DLA and GPU: {len(told.partition.reformats)}.</p>",
        "<p class=note>Times are <b>estimates</b> for one DLA of a Jetson AGX Orin 64 GB, "
        f"±{now.uncertainty:.0%} (docs/estimator.md); nothing was measured on a Jetson. {html.escape(clocks)}.</p>",
        table(
            [
                {
                    "layer": layer.name,
                    "kind": layer.kind,
                    "output": "×".join(map(str, layer.shape[1:])),
                    "MMAC": round(layer.macs / 1e6, 1),
                    "µs": round(layer.latency_ms * 1e3, 1),
                    "waits for": layer.bound,
                }
                for layer in now.layers
            ]
        ),
    ]


def table(rows: Sequence[Mapping[str, Any]], *, escape: bool = True) -> str:
    """Rows as an HTML table."""
    told = pd.DataFrame(list(rows))
    return str(told.to_html(index=False, float_format=lambda value: f"{value:.4g}", border=0, escape=escape))


def _fullest() -> list[int]:
    cones = [len(scene_layout(SEED, 2, index, 1280, 720).boxes) for index in range(OF)]
    return sorted(range(OF), key=lambda index: -cones[index])[:SCENES]


def _example(index: int, manifest: Mapping[str, Any], host: Stage) -> tuple[npt.NDArray[np.uint8], str]:
    """A scene with what the engine finds in it."""
    image = np.ascontiguousarray(render_scene(SEED, 2, index, 1280, 720).pixels)
    found = host(image)
    shown = 0
    for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True):
        if score < manifest["thresholds"][label]:
            continue
        shown += 1
        x0, y0, x1, y1 = (round(float(value)) for value in box)
        color = COLORS[int(label) % len(COLORS)]
        cv2.rectangle(image, (x0, y0), (x1, y1), color, 2)
        cv2.putText(image, f"{score:.2f}", (x0, max(y0 - 4, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)
    return np.asarray(image, np.uint8), f"scene {index}: {shown} found"
