"""Detections as JSON Lines, to save and to read back (docs/bundle.md, "Detections as JSON Lines")."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unina_runtime import Detections

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class SavedDetections:
    """What one JSON Lines file holds."""

    path: Path
    names: tuple[str, ...]
    """of the classes that were found, by their `class_id`; the detections' classes are indices into these"""
    pictures: dict[str, Detections]
    """by `source`"""

    def of(self, image: Path, root: Path) -> Detections:
        """Those of a picture: by its path seen from `root`, else by its file name where only one picture has it.

        Raises:
            ValueError: the file says nothing about that picture.
        """
        key = source_name(image, root)
        if key in self.pictures:
            return self.pictures[key]
        alike = [source for source in self.pictures if Path(source).name == image.name]
        if len(alike) != 1:
            problem = f"{len(alike)} lines" if alike else "no line"
            raise ValueError(f"{self.path}: {problem} for the picture {key}; save the detections of the same split")
        return self.pictures[alike[0]]


def source_name(image: Path, root: Path) -> str:
    """How a picture is called in a file: its path seen from the data set."""
    return Path(os.path.relpath(image.resolve(), root.resolve())).as_posix()


def detections_line(frame: int, source: str, size: tuple[int, int], found: Detections, names: Sequence[str]) -> str:
    """One line; `size` is height, width of the picture."""
    order = np.argsort(-found.scores, kind="stable")
    return json.dumps(
        {
            "schema": SCHEMA,
            "frame": frame,
            "source": source,
            "width": size[1],
            "height": size[0],
            "latency_ms": {},
            "detections": [
                {
                    "class": names[found.classes[i]],
                    "class_id": int(found.classes[i]),
                    "score": float(found.scores[i]),
                    "box": [float(value) for value in found.boxes[i]],
                }
                for i in order
            ],
        }
    )


def read_detections(path: Path) -> SavedDetections:
    """Reads what `unina-eval --save-detections` or `unina-detector --output` wrote.

    Raises:
        ValueError: a line that is none of theirs; the text names it.
        OSError: the file can't be read.
    """
    names: dict[int, str] = {}
    pictures: dict[str, Detections] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            source, found = value["source"], value["detections"]
            if value["schema"] != SCHEMA:
                raise ValueError(f"schema {value['schema']}, not {SCHEMA}")
            detections = _detections(found)
            for one in found:
                number_of, name = one["class_id"], one["class"]
                if names.setdefault(number_of, name) != name:
                    raise ValueError(f"class_id {number_of} is {name} here and {names[number_of]} above")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number}: not a line of detections ({error})") from error
        if source in pictures:
            raise ValueError(f"{path}:{number}: a second line for {source}; give the detections of one run")
        pictures[source] = detections
    if not pictures:
        raise ValueError(f"{path}: no line of detections in it")
    known = sorted(names)
    for source, one in pictures.items():
        classes = np.searchsorted(np.asarray(known, np.int32), one.classes).astype(np.int32)
        pictures[source] = Detections(one.boxes, one.scores, classes)
    return SavedDetections(path, tuple(names[number] for number in known), pictures)


def _detections(found: Sequence[dict[str, Any]]) -> Detections:
    boxes = np.asarray([one["box"] for one in found], np.float32).reshape(-1, 4)
    scores = np.asarray([one["score"] for one in found], np.float32)
    classes = np.asarray([one["class_id"] for one in found], np.int32)
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all() or (classes < 0).any():
        raise ValueError("a number that is none, or a class_id below 0")
    return Detections(boxes, scores, classes)
