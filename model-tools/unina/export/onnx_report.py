"""`report.html` and `report.json` of a bundle that was made of somebody's ONNX file."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from unina.evaluate.page import cards, page
from unina.export.report import DlaFindings, dla_section, table


def onnx_report_json(manifest: Mapping[str, Any], notes: Sequence[str], dla: DlaFindings) -> bytes:
    """What a program may read."""
    told = {key: manifest[key] for key in ("schema", "name", "classes", "accuracy", "parity")}
    told |= {"decode": manifest.get("decode", "detect"), "notes": list(notes), "dla": dla.to_json()}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def onnx_report_html(manifest: Mapping[str, Any], notes: Sequence[str], dla: DlaFindings) -> bytes:
    """The page."""
    size, now = manifest["input"], next(iter(dla.estimates.values()))
    decibels = [row["host_snr_db"] for row in manifest["parity"] if row["host_snr_db"] is not None]
    figures = [(f"{min(decibels):.0f} dB", "signal above INT8's error, the worst output")] if decibels else []
    figures.append((f"{now.latency_ms:.2f} ms", f"±{now.uncertainty:.0%}, estimated, one DLA at {now.mode.name}"))
    rows = [
        {"form": form} | {k: v for k, v in values.items() if not isinstance(v, dict)}
        for form, values in manifest["accuracy"].items()
    ]
    body = [
        f"<h1>{html.escape(manifest['name'])}</h1>",
        f"<p class=lead>{html.escape(manifest.get('decode', 'detect'))} · "
        f"input {size['width']}×{size['height']} · made "
        f"{html.escape(manifest['provenance']['created'])}</p>",
        cards(figures),
        *(f"<p class=note>{html.escape(note)}</p>" for note in notes),
        *(["<h2>Right, and of one mind with the file it was made of</h2>", table(rows)] if rows else []),
        "<h2>From float to integers</h2>",
        "<p>On a few calibration pictures. What the columns mean: docs/quantisation.md.</p>",
        table(manifest["parity"]),
        *dla_section(dla),
    ]
    return page(f"{manifest['name']}: what was checked", body).encode()
