"""Measured and estimated layers as a pandas table, as CSV, text and HTML."""

from collections.abc import Iterator, Sequence

import pandas as pd

from unina_runtime.profile.layers import Estimate, Row, calibration_rows, totals
from unina_runtime.profile.page import figure, note, paragraph, table

COLUMNS = ("layer", "measured_ms", "measured_percent", "estimated_ms", "estimated_percent", "ratio", "bound", "kind")
SHOWN = 60
"""layers on a page, the longest first"""
LONGEST_NAME = 70


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """One row a layer, in the order in which they ran."""
    told = pd.DataFrame(
        [
            {
                "layer": row.layer,
                "measured_ms": row.measured_ms,
                "estimated_ms": row.estimated_ms,
                "ratio": row.ratio,
                "bound": row.bound,
                "kind": row.kind,
            }
            for row in rows
        ],
    )
    for name in ("measured", "estimated"):
        values = told[f"{name}_ms"].astype(float)
        told[f"{name}_percent"] = 100 * values / values.sum() if values.sum() else float("nan")
    return told[list(COLUMNS)]


def text_of(frame: pd.DataFrame) -> str:
    """For a terminal."""
    short = frame.assign(layer=[_short(name) for name in frame["layer"]])
    return str(short.to_string(index=False, na_rep="–", float_format=lambda value: f"{value:.4g}"))


def calibration_csv(rows: Sequence[Row], estimate: Estimate) -> str:
    """What `unina-dla calibrate` reads."""
    return str(pd.DataFrame(calibration_rows(rows, estimate)).to_csv(index=False))


def summary(rows: Sequence[Row]) -> str:
    """In one sentence."""
    told = totals(rows)
    words = (
        f"measured {figure(told['measured_ms'] or 0.0)} ms, estimated {figure(told['estimated_ms'] or 0.0)} ms an image"
    )
    if told["ratio"] is not None:
        words += f"; layers that both have: measured ×{told['ratio']:.2f} of the estimate"
        parts = [(name, told[f"ratio_{name}"]) for name in ("compute", "memory")]
        known = [f"×{value:.2f} where it waits for {name}" for name, value in parts if value is not None]
        words += f" ({', '.join(known)})" if known else ""
    return words


def layers_section(rows: Sequence[Row], source: str, remark: str, estimate: Estimate) -> Iterator[str]:
    """HTML."""
    yield "<h2>Layer by layer</h2>"
    where = f"one DLA of {estimate.platform} at {estimate.mode}, {estimate.precision}"
    yield paragraph(f"Beside the estimate for {where}, {source} says of an image: {summary(rows)}.")
    if remark:
        yield note(f"{remark[0].upper()}{remark[1:]}.")
    frame = frame_of(rows)
    order = frame[["measured_ms", "estimated_ms"]].max(axis=1).sort_values(ascending=False).index[:SHOWN]
    cells: list[list[object]] = []
    for row in frame.loc[order].to_dict("records"):
        figures = (None if pd.isna(row[name]) else float(row[name]) for name in COLUMNS[1:6])
        cells.append([_short(str(row["layer"])), *figures, row["bound"] or None, row["kind"] or None])
    yield table(["layer", "measured, ms", "%", "estimated, ms", "%", "ratio", "waits for", "kind"], cells)
    if len(frame) > SHOWN:
        yield paragraph(f"The {SHOWN} longest of {len(frame)} layers.", small=True)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2]}…{name[-LONGEST_NAME // 2 + 1 :]}"
