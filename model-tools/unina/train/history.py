"""metrics.csv: one row an epoch."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from unina.data.whole import write_whole


@dataclass(frozen=True)
class EpochRow:
    """What an epoch came to; losses are means over its steps."""

    epoch: int
    """1 is the first"""
    step: int
    """optimiser steps so far"""
    images: int
    """crops seen so far"""
    lr: float
    """of the epoch's last step"""
    loss: float
    class_loss: float
    box_loss: float
    dfl_loss: float
    positives: float
    """anchors a step that answered for a target, one-to-many head"""
    seconds: float
    images_per_s: float
    map50: float | None = None
    """on the val split, where it was measured"""
    map50_95: float | None = None
    distil_features: float | None = None
    """what the teacher says; empty without one"""
    distil_logits: float | None = None
    distil_boxes: float | None = None
    sparsity: float | None = None
    """the penalty on the gains of channels; empty without one"""


def write_history(path: Path, rows: list[EpochRow]) -> None:
    """Writes all rows atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(EpochRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
                for name, value in asdict(row).items()
            }
        )
    write_whole(path, text.getvalue().encode())
