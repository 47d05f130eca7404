"""The demo's `report.html`: one self-contained page, pictures first."""

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from unina.data import Dataset
from unina.data.whole import write_whole
from unina.evaluate.page import cards, page, pictures

PICTURES = 12
STAGE_NAMES = {
    "torch": "PyTorch, FP32",
    "onnx": "ONNX Runtime, FP32",
    "qdq": "Q/DQ graph in ONNX Runtime (float inside)",
    "host": "INT8, the integer host engine",
}


def write(path: Path, result: dict[str, Any], dataset: Dataset, *, frames: Path, metrics: Path) -> None:
    """Writes the page atomically.

    Args:
        path: the file to write.
        result: what `unina.cli.demo.run` returns.
        dataset: the data set of the run.
        frames: folder of annotated pictures.
        metrics: the training's `metrics.csv`.
    """
    accuracy, manifest = result["accuracy"], result["manifest"]
    timing = pd.DataFrame([frame["latency_ms"] for frame in result["frames"]])
    work = timing[["preprocess", "infer", "decode"]].sum(axis=1)
    network = manifest["input"]
    drop = 100 * (accuracy["torch"]["map50"] - accuracy["host"]["map50"])
    body = [
        f"<h1>{html.escape(manifest['name'])}: from a data set to detections</h1>",
        f"<p class=lead>{html.escape(result['data'])} · {len(manifest['classes'])} classes · "
        f"input {network['width']}×{network['height']} · made {html.escape(manifest['provenance']['created'])}</p>",
        cards(
            [
                (f"{accuracy['torch']['map50']:.3f}", f"mAP50 FP32, {result['split']} split"),
                (f"{accuracy['host']['map50']:.3f}", f"mAP50 INT8 ({-drop:+.1f} points)"),
                (f"{work.median():.1f} ms", "a frame, median, on this computer"),
                (str(len(result["frames"])), "unseen pictures"),
            ]
        ),
        "<h2>What it sees</h2>",
        _pictures(result["frames"], frames),
        "<h2>Accuracy at every stage</h2>",
        "<p>The same letterbox, decoder and metric at every stage, so a drop between two rows is the network's.</p>",
        _accuracy_table(accuracy),
        "<h2>Training</h2>",
        _training_plot(metrics),
        "<h2>Time a frame</h2>",
        timing.describe(percentiles=[0.5, 0.95, 0.99])
        .loc[["50%", "95%", "99%"]]
        .rename(index={"50%": "p50 ms", "95%": "p95 ms", "99%": "p99 ms"})
        .to_html(float_format="{:.2f}".format, border=0),
        "<p class=note>Times of this computer's CPU, with the integer host engine. They say nothing about a Jetson: "
        "no speed of a device is ever concluded from here.</p>",
        "<h2>Data</h2>",
        _data_table(dataset),
        "<h2>The bundle</h2>",
        _bundle_table(manifest),
        f"<p>Calibration: {html.escape(str(manifest['provenance']['calibration']['method']))} over "
        f"{len(manifest['provenance']['calibration']['images'])} pictures. Thresholds: "
        + ", ".join(
            f"{html.escape(name)} {value:.2f}"
            for name, value in zip(manifest["classes"], manifest["thresholds"], strict=True)
        )
        + ".</p>",
    ]
    write_whole(path, page(f"UNINA-DLA: {manifest['name']}", body).encode())


def _pictures(frames: Sequence[dict[str, Any]], folder: Path) -> str:
    """An even choice of annotated pictures."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".png"})
    chosen = np.unique(np.linspace(0, len(files) - 1, min(PICTURES, len(files))).round().astype(int))
    shown = []
    for index in chosen:
        image = cv2.imread(str(files[index]))
        if image is not None:
            found = len(frames[index]["detections"]) if index < len(frames) else 0
            shown.append((np.asarray(image, np.uint8), f"{files[index].name} · {found} found"))
    return pictures(shown)


def _accuracy_table(accuracy: dict[str, Any]) -> str:
    rows = [
        {
            "stage": STAGE_NAMES.get(stage, stage),
            "mAP50": values["map50"],
            "mAP50-95": values["map50_95"],
            **{f"AP50 {name}": value for name, value in values["ap50"].items()},
        }
        for stage, values in accuracy.items()
    ]
    return str(pd.DataFrame(rows).to_html(index=False, float_format="{:.3f}".format, border=0))


def _training_plot(metrics: Path) -> str:
    """Loss parts and, where it was measured more than once, mAP over the epochs, as inline SVG."""
    table = pd.read_csv(metrics)
    losses = [name for name in table.columns if "loss" in name]
    scores = [name for name in table.columns if name.startswith("map") and table[name].notna().sum() > 1]
    figure, axes = plt.subplots(1, 1 + bool(scores), figsize=(10, 3.2), squeeze=False, layout="constrained")
    for axis, names, title in zip(axes[0], (losses, scores), ("loss", "mAP on val"), strict=False):
        for name in names:
            known = table[table[name].notna()]
            axis.plot(known["epoch"], known[name], marker="." if len(known) < 40 else None, label=name)
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    plt.close(figure)
    return buffer.getvalue().partition("<svg")[1] + buffer.getvalue().partition("<svg")[2]


def _data_table(dataset: Dataset) -> str:
    rows = [
        {
            "split": split,
            "pictures": len(samples),
            **{name: sum(int((s.classes == k).sum()) for s in samples) for k, name in enumerate(dataset.names)},
        }
        for split, samples in dataset.splits.items()
    ]
    return str(pd.DataFrame(rows).to_html(index=False, border=0))


def _bundle_table(manifest: dict[str, Any]) -> str:
    rows = [
        {"file": name, "KiB": entry["bytes"] / 1024, "sha256": entry["sha256"][:16] + "…"}
        for name, entry in manifest["files"].items()
    ]
    return str(pd.DataFrame(rows).to_html(index=False, float_format="{:.1f}".format, border=0))
