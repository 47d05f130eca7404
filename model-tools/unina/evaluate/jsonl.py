"""Detections as JSON Lines, to save and to read back (docs/bundle.md, "Detections as JSON Lines")."""

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unina_runtime import Detections

SCHEMA = 1


@dataclass(frozen=True)
class Run:
    """What made the detections of a file: `unina-detector` writes it into every line."""

    bundle: str
    manifest_sha256: str
    """of the bundle's manifest.json, which holds the hashes of all else"""
    accelerator: str
    classes: tuple[str, ...]
    input_size: tuple[int, int]
    """rows, columns of the network's input"""
    thresholds: tuple[float, ...]
    """one score a class: what lay below was not written"""

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> "Run":
        """Raises ValueError, KeyError or TypeError for what is none."""
        run = cls(
            str(told["bundle"]),
            str(told["manifest_sha256"]),
            str(told["accelerator"]),
            tuple(map(str, told["classes"])),
            (int(told["input"]["height"]), int(told["input"]["width"])),
            tuple(map(float, told["thresholds"])),
        )
        if len(run.thresholds) != len(run.classes) or not run.classes:
            raise ValueError(f"run: {len(run.classes)} classes and {len(run.thresholds)} thresholds")
        return run


@dataclass(frozen=True, eq=False)
class SavedPicture:
    """What one line holds."""

    line: int
    """its number in the file, from 1"""
    size: tuple[Any, Any]
    """height, width of the picture, as they stand there"""
    detections: Detections


@dataclass(frozen=True, eq=False)
class SavedDetections:
    """What one JSON Lines file holds."""

    path: Path
    names: tuple[str, ...]
    """of the classes; the detections' classes are indices into these. Without a `run`: of those that were found"""
    pictures: dict[str, SavedPicture]
    """by `source`"""
    run: Run | None = None
    """what made them; None: the file does not say"""

    def source_of(self, image: Path, root: Path) -> str:
        """Which `source` a picture is: its path seen from `root`, else the one whose path ends most like its own.

        Raises:
            ValueError: none has its file name, or several are as like.
        """
        key = source_name(image, root)
        if key in self.pictures:
            return key
        parts = image.resolve().parts
        like = {source: _common_end(Path(source).parts, parts) for source in self._by_name.get(image.name, ())}
        best = [source for source, common in like.items() if common == max(like.values())]
        if len(best) != 1:
            problem = f"{len(best)} lines" if best else "no line"
            raise ValueError(f"{self.path}: {problem} for the picture {key}; save the detections of the same split")
        return best[0]

    def of(self, image: Path, root: Path) -> Detections:
        """Those of a picture (`source_of`). Raises ValueError as that does."""
        return self.pictures[self.source_of(image, root)].detections

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        result: dict[str, list[str]] = {}
        for source in self.pictures:
            result.setdefault(Path(source).name, []).append(source)
        return result


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many last parts two paths have in common."""
    alike = (a == b for a, b in zip(reversed(one), reversed(other), strict=False))
    return sum(1 for _ in itertools.takewhile(bool, alike))


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
        ValueError: a line that is none of theirs, or of another run than the first; the text names it.
        OSError: the file can't be read.
    """
    names: dict[int, str] = {}
    pictures: dict[str, SavedPicture] = {}
    run: Run | None = None
    # Not splitlines(): the name of a picture may hold what that takes for the end of a line.
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            source, one, of_line, named = _parsed(number, line)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            cut = "; the file ends in the middle of it: copy it again" if number == len(lines) else ""
            raise ValueError(f"{path}:{number}: not a line of detections ({why}){cut}") from error
        if not pictures:
            run = of_line
            names.update(enumerate(run.classes if run else ()))
        if of_line != run:
            raise ValueError(f"{path}:{number}: {_difference(run, of_line)}; give the detections of one run")
        if source in pictures:
            raise ValueError(f"{path}:{number}: a second line for {source}; give the detections of one run")
        for class_id, name in named:
            known = names.get(class_id) if run else names.setdefault(class_id, name)
            if known != name:
                raise ValueError(f"{path}:{number}: class_id {class_id} is {name} here and {known} above")
        pictures[source] = one
    if not pictures:
        raise ValueError(f"{path}: no line of detections in it")
    order = sorted(names)
    for source, one in pictures.items():
        classes = np.searchsorted(np.asarray(order, np.int32), one.detections.classes).astype(np.int32)
        indexed = Detections(one.detections.boxes, one.detections.scores, classes)
        pictures[source] = SavedPicture(one.line, one.size, indexed)
    return SavedDetections(path, tuple(names[number] for number in order), pictures, run)


def _parsed(number: int, text: bytes) -> tuple[str, SavedPicture, Run | None, tuple[tuple[int, str], ...]]:
    """The source, what was found, what found it, and the classes by number and name."""
    value = json.loads(text)
    if value["schema"] != SCHEMA:
        raise ValueError(f"schema {value['schema']}, not {SCHEMA}")
    found, told = value["detections"], value.get("run")
    named = tuple(dict.fromkeys((one["class_id"], str(one["class"])) for one in found))
    for class_id, _ in named:
        if type(class_id) is not int:
            raise ValueError(f"class_id {class_id}: a whole number")
    one = SavedPicture(number, (value.get("height"), value.get("width")), _detections(found))
    return str(value["source"]), one, None if told is None else Run.of_json(told), named


def _difference(first: Run | None, other: Run | None) -> str:
    """What of two runs is not the same."""
    if first is None or other is None:
        return f"{'no run' if other is None else 'a run'} here, {'no run' if first is None else 'a run'} above"
    for field in fields(Run):
        ours, theirs = getattr(other, field.name), getattr(first, field.name)
        if ours != theirs:
            return f"{field.name} {ours} here and {theirs} above"
    raise AssertionError("two runs that do not differ")


def _detections(found: Sequence[dict[str, Any]]) -> Detections:
    if not found:
        return Detections.empty()
    boxes = np.asarray([one["box"] for one in found], np.float32)
    scores = np.asarray([one["score"] for one in found], np.float32)
    classes = np.asarray([one["class_id"] for one in found], np.int32)
    if boxes.shape != (len(found), 4) or scores.ndim != 1:
        raise ValueError("a box is x0, y0, x1, y1, a score one number")
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    good &= (scores >= 0) & (scores <= 1) & (classes >= 0)
    if not good.all():
        wrong = json.dumps(found[int(np.argmin(good))])
        raise ValueError(f"{wrong}: a box is x0, y0, x1, y1 in this order, a score lies between 0 and 1")
    return Detections(boxes, scores, classes)
