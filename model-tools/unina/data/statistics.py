"""Counts of a data set: pictures, boxes a class, sizes of boxes in the picture and at the network's input."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unina.data.dataset import Dataset

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
INPUT_PX = 640
"""Longer side of the network's input that sizes are stated for."""
EDGES_PX = (8, 16, 32)
BANDS = ("< 8 px", "8–16 px", "16–32 px", "≥ 32 px")


@dataclass(frozen=True, eq=False)
class Statistics:
    """Three tables, one row or column a split."""

    counts: pd.DataFrame
    """split × (pictures, without boxes, boxes, then one column a class or group; the ignored ones if any)"""
    percentiles: pd.DataFrame
    """(split, percentile) × (width, height, centre y: relative to the picture; boxes per picture that has any)"""
    bands: pd.DataFrame
    """split × BANDS: share of boxes whose height at INPUT_PX lies there"""

    def as_json(self) -> dict[str, Any]:
        """The tables as plain dictionaries, split by split."""
        return {
            split: {
                "counts": {key: int(value) for key, value in self.counts.loc[split].items()},
                "percentiles": {
                    column: {str(p): float(v) for p, v in self.percentiles.loc[split][column].items()}
                    for column in self.percentiles.columns
                },
                "height_bands_at_640": {key: float(value) for key, value in self.bands.loc[split].items()},
            }
            for split in self.counts.index
        }


def measure(dataset: Dataset) -> Statistics:
    """Measures every split of a data set."""
    boxes = _boxes(dataset)
    counts, percentiles, bands = {}, {}, {}
    any_ignored = any(len(sample.ignored) for samples in dataset.splits.values() for sample in samples)
    for split, samples in dataset.splits.items():
        own = boxes[boxes["split"] == split]
        each = [len(sample.boxes) for sample in samples if len(sample.boxes)]
        counts[split] = {
            "pictures": len(samples),
            "without boxes": len(samples) - len(each),
            "boxes": len(own),
            **{name: int((own["class"] == index).sum()) for index, name in enumerate(dataset.labels)},
            **({"ignored": sum(len(sample.ignored) for sample in samples)} if any_ignored else {}),
        }
        columns = {column: _percentiles(own[column]) for column in ("width", "height", "centre y")}
        percentiles[split] = pd.DataFrame({**columns, "boxes per picture": _percentiles(each)}, index=PERCENTILES)
        band = np.digitize(own["height px"], EDGES_PX)
        bands[split] = {name: float((band == i).mean()) if len(own) else 0.0 for i, name in enumerate(BANDS)}
    return Statistics(
        pd.DataFrame.from_dict(counts, orient="index"),
        pd.concat(percentiles, names=["split", "percentile"]),
        pd.DataFrame.from_dict(bands, orient="index"),
    )


def _boxes(dataset: Dataset) -> pd.DataFrame:
    """One row a box."""
    parts = [pd.DataFrame(columns=["split", "class", "width", "height", "centre y", "height px"])]
    for split, samples in dataset.splits.items():
        for sample in samples:
            x0, y0, x1, y1 = sample.boxes.astype(float).T
            scale = INPUT_PX / max(sample.width, sample.height)
            columns = {
                "split": split,
                "class": sample.classes,
                "width": (x1 - x0) / sample.width,
                "height": (y1 - y0) / sample.height,
                "centre y": (y0 + y1) / 2 / sample.height,
                "height px": (y1 - y0) * scale,
            }
            if len(sample.boxes):
                parts.append(pd.DataFrame(columns))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _percentiles(values: Iterable[float]) -> Any:
    """At PERCENTILES; zeros where there is nothing to measure."""
    array = np.asarray(list(values), dtype=float)
    return np.percentile(array, PERCENTILES) if len(array) else np.zeros(len(PERCENTILES))
