"""The table of `unina-profile engines`: one row a run, as pandas and CSV have it, and as the page tells it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unina_runtime.profile.engines import COLUMNS
from unina_runtime.profile.findings import OPERATIONS_PER_MAC, Operations
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.page import paragraph, table

NEEDED = ("variant", "batch", "gpu_load", "status", "images_per_second", "p50_ms", "p99_ms")
BESIDE = "gpu-int8"
"""Whose speed the others' are told beside."""


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run."""
    return pd.DataFrame([dict(row) for row in rows], columns=list(COLUMNS))


def csv_of(frame: pd.DataFrame) -> str:
    """What pandas.read_csv makes the same table of."""
    return str(frame.to_csv(index=False))


def read_table(path: Path) -> pd.DataFrame:
    """runs.csv. Raises CannotSay."""
    try:
        frame = pd.read_csv(path, keep_default_na=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise CannotSay(f"{path}: not the table of unina-profile engines: {error}") from error
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise CannotSay(f"{path}: not the table of unina-profile engines: no column {', '.join(missing)}")
    return frame


def beside_gpu(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs that ended well, with `times_gpu`: speed over that of the GPU's INT8 at the same batch and load."""
    good = frame[frame["status"] == "ok"].copy()
    keys = ["batch", "gpu_load"]
    gpu = good[good["variant"] == BESIDE][[*keys, "images_per_second"]].rename(columns={"images_per_second": "of_gpu"})
    joined = good.merge(gpu, on=keys, how="left")
    joined["times_gpu"] = joined["images_per_second"] / joined["of_gpu"]
    return joined.drop(columns="of_gpu")


def engines_section(frame: pd.DataFrame, operations: Operations | None) -> Iterator[str]:
    """HTML."""
    yield "<h2>GPU and DLA</h2>"
    told = beside_gpu(frame)
    heads = ["engine", "batch", "GPU load", "images/s", f"× {BESIDE}", "p50, ms", "p99, ms", "W", "images/J"]
    heads += [] if operations is None else ["TOPS/W"]
    heads += ["GPU used, %"]
    rows: list[list[object]] = []
    for row in told.to_dict("records"):
        speed, watts = float(row["images_per_second"]), _number(row.get("watts"))
        cells: list[object] = [row["variant"], int(row["batch"]), "yes" if _true(row["gpu_load"]) else "no", speed]
        cells += [_number(row[name]) for name in ("times_gpu", "p50_ms", "p99_ms")]
        cells += [watts, None if not watts else speed / watts]
        if operations is not None:
            cells.append(None if not watts else OPERATIONS_PER_MAC * operations.macs * speed / 1e12 / watts)
        rows.append([*cells, _number(row.get("gpu_percent"))])
    yield table(heads, rows)
    failed = frame[frame["status"] != "ok"]
    if len(failed):
        names = "; ".join(
            f"{row['variant']}, batch {row['batch']}{', loaded' if _true(row['gpu_load']) else ''}: {row.get('reason')}"
            for row in failed.to_dict("records")
        )
        yield paragraph(f"Failed: {names}.")
    yield paragraph(
        "trtexec's own times, without transfers; a time is of a whole batch. GPU load is the FP16 engine of the same "
        "network on the GPU, over and over. Watts are those of the module meanwhile.",
        small=True,
    )


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _true(value: Any) -> bool:
    return str(value).casefold() in {"true", "1", "yes"}
