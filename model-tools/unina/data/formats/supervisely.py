"""Supervisely projects, the format of FSOCO: `<data set>/img/x.png` beside `<data set>/ann/x.png.json`, and meta.json.

Format: docs.supervisely.com, "Supervisely annotation format". A rectangle is `points.exterior [[x0, y0], [x1, y1]]`;
a bitmap is `bitmap.data`, base64 of a zlib stream of a PNG whose pixels ≠ 0 (or, where it has one, whose alpha) are
the object, with its upper left corner at `bitmap.origin`; its box is the tight one. FSOCO has one data set a team.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from unina.data.class_list import IGNORED, ClassList, class_list, titles_of
from unina.data.data_yaml import SPLITS
from unina.data.dataset import ANY, Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.formats.json_file import Node, read_json
from unina.data.formats.naming import picture_names
from unina.data.formats.reading import SPLIT_WORDS, Mark, Reading, StatedSize, read_sample
from unina.data.images import PNG_SIGNATURE, SUFFIXES

META = "meta.json"
GEOMETRIES = ("rectangle", "bitmap", "polygon")
DEPTH = 4
"""Folders between the project and its `ann`: <split>/datasets/<team>/ann."""


def folders(path: Path) -> list[Path]:
    """The folders that hold `ann` and `img`: `path` itself, or those below it."""
    found = []
    for depth in range(DEPTH):
        pattern = "/".join(["*"] * depth + ["ann"])
        found += [ann.parent for ann in path.glob(pattern) if ann.is_dir() and (ann.parent / "img").is_dir()]
    return sorted(found)


def read(path: Path, splits: Sequence[str] | None = None) -> Reading:
    """Reads a project, or one data set of it. A data set whose path holds train, val or test is of that split; all
    others are `train`.

    Raises:
        DataError: there is no data set, or the meta.json can't be used.
    """
    parts = folders(path)
    if not parts:
        raise DataError([Fault(path, None, "", "holds no ann/ beside img/, nor does a folder in it")])
    named: dict[str, list[Path]] = {}
    for part in parts:
        words = part.relative_to(path).parts or (part.name,)
        split = next((SPLIT_WORDS[word.lower()] for word in words if word.lower() in SPLIT_WORDS), "train")
        named.setdefault(split, []).append(part)
    faults = [
        Fault(path, None, split, f"no such split; there is {', '.join(named)}")
        for split in splits or ()
        if split not in named
    ]
    warnings: list[Fault] = []
    pictures = {
        split: [picture for part in named[split] for picture in _pictures(part, faults, warnings)]
        for split in SPLITS
        if split in named and (splits is None or split in splits)
    }
    classes = _classes(path, pictures, faults)
    loaded: dict[str, tuple[Sample, ...]] = {}
    for split, own in pictures.items():
        samples = (
            read_sample(image, marks, classes, faults, stated=stated, label_file=label_file)
            for image, label_file, marks, stated in own
        )
        loaded[split] = tuple(sample for sample in samples if sample)
    return Reading(Dataset(path, classes.names, loaded, tuple(warnings), classes.groups), tuple(faults))


def write(dataset: Dataset, folder: Path, place: Callable[[Sample, Path], None]) -> None:
    """Writes meta.json and a data set a split into an empty folder; see formats.yolo.write."""
    titles = titles_of(dataset)
    meta = {"classes": [{"title": title, "shape": "rectangle"} for title in titles], "tags": []}
    (folder / META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
    for split, samples in dataset.splits.items():
        images, labels = folder / split / "img", folder / split / "ann"
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for sample, name in zip(samples, picture_names(samples), strict=True):
            place(sample, images / name)
            rows = [(titles[label], box) for label, box in zip(sample.classes, sample.boxes, strict=True)]
            rows += [(IGNORED, box) for box in sample.ignored]
            objects = [
                {
                    "classTitle": title,
                    "geometryType": "rectangle",
                    "points": {"exterior": [[_number(x0), _number(y0)], [_number(x1), _number(y1)]], "interior": []},
                    "tags": [],
                }
                for title, (x0, y0, x1, y1) in rows
            ]
            table = {"size": {"width": sample.width, "height": sample.height}, "tags": [], "objects": objects}
            (labels / f"{name}.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")


def _number(edge: np.float32) -> int | float:
    """As Supervisely writes it where it can: whole pixels."""
    return int(edge) if edge == int(edge) else float(edge)


_Picture = tuple[Path, Path, list[Mark], StatedSize | None]
"""picture, label file, boxes, size that the label file states"""


def _pictures(part: Path, faults: list[Fault], warnings: list[Fault]) -> list[_Picture]:
    """The pictures of one data set; adds to `faults` and `warnings`."""
    images = sorted(file for file in (part / "img").iterdir() if file.suffix.lower() in SUFFIXES)
    by_name = {image.name: image for image in images} | {image.stem: image for image in images}
    labels: dict[Path, Path] = {}
    for file in sorted((part / "ann").glob("*.json")):
        image = by_name.get(file.name.removesuffix(".json"))
        if image is None:
            picture = part / "img" / file.name.removesuffix(".json")
            faults.append(Fault(file, None, "", f"labels without a picture; restore {picture} or delete the labels"))
        else:
            labels[image] = file
    found: list[_Picture] = []
    for image in images:
        if image not in labels:
            message = f"no label file ({part / 'ann' / image.name}.json): counts as a picture without objects"
            warnings.append(Fault(image, None, "", f"{message}; remove it if nobody has looked at it"))
            found.append((image, part / "ann" / f"{image.name}.json", [], None))
            continue
        try:
            table = read_json(labels[image]).expect(dict)
            size = table.get("size", dict)
            place = (labels[image], None, "size: ")
            stated = StatedSize(place, size.get("width", int).value, size.get("height", int).value)
            objects = table.get("objects", list).items()
        except DataError as error:
            faults.extend(error.faults)
            continue
        marks = []
        for item in objects:
            try:
                marks.append(_mark(item, (stated.width, stated.height)))
            except DataError as error:
                faults.extend(error.faults)
        found.append((image, labels[image], marks, stated))
    return found


def _mark(item: Node, size: tuple[int, int]) -> Mark:
    """One object's box.

    Raises:
        DataError: it has none that can be used.
    """
    title = item.get("classTitle", str)
    geometry = item.find("geometryType", str)
    if geometry is not None and geometry.value not in GEOMETRIES:
        raise geometry.wrong(f"has no box; draw it as {' or '.join(GEOMETRIES)}, or delete the object")
    bitmap = item.find("bitmap", dict)
    if bitmap is not None:
        place = (item.path, None, f"{bitmap.where}: ")
        return Mark(place, title.value, _mask_box(bitmap, size), title.value == IGNORED)
    exterior = item.get("points", dict).get("exterior", list)
    corners = [point.numbers(2) for point in exterior.items()]
    if len(corners) < 2:
        raise exterior.wrong("needs two corners; mend or delete the object")
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    place = (item.path, None, f"{exterior.where}: ")
    return Mark(place, title.value, (min(xs), min(ys), max(xs), max(ys)), title.value == IGNORED)


def _mask_box(bitmap: Node, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The tight box of a mask.

    Raises:
        DataError: the mask is damaged, empty, or leaves the picture.
    """
    data = bitmap.get("data", str)
    left, top = bitmap.get("origin", list).numbers(2)
    try:
        stream = zlib.decompressobj()
        # a mask has at most the picture's pixels, at 4 bytes and a filter byte a row; more is no mask
        most = min(max(5 * size[0] * size[1], 0) + 65536, 2**31 - 1)
        png = stream.decompress(base64.b64decode(data.value, validate=True), most)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise data.wrong(f"is no zlib stream in base64 ({error}); export the object again or delete it") from None
    if png[:8] != PNG_SIGNATURE or len(png) < 33:
        raise data.wrong("holds no PNG; export the object again or delete it")
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    if left < 0 or top < 0 or left + width > size[0] or top + height > size[1]:
        found = f"the mask covers {left:g} {top:g} {left + width:g} {top + height:g}"
        message = f"{found} and leaves the picture ({size[0]}×{size[1]}); mend or delete the object"
        raise bitmap.get("origin", list).wrong(message)
    try:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise data.wrong("holds a damaged PNG; export the object again or delete it")
    planes = np.asarray(pixels).reshape(height, width, -1)
    mask = np.count_nonzero(planes[:, :, 3:] if planes.shape[2] == 4 else planes, axis=2)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        raise data.wrong("holds an empty mask; delete the object")
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1


def _classes(path: Path, pictures: dict[str, list[_Picture]], faults: list[Fault]) -> ClassList:
    """From meta.json, in the folder or the one above; else the titles that occur, in alphabetical order."""
    file = next((folder / META for folder in (path, path.parent) if (folder / META).is_file()), None)
    if file is not None:
        titles: list[str] = []
        for item in read_json(file).get("classes", list).items():
            title = item.get("title", str)
            if title.value in titles:
                raise title.wrong("two classes of one title; rename one")
            titles.append(title.value)
        return class_list(titles, {IGNORED}, file, None, faults)
    found = {mark.title for own in pictures.values() for _, _, marks, _ in own for mark in marks if not mark.ignored}
    names = {name for title in found for name in title.split(ANY)}
    return class_list(sorted(names) + sorted(found - names), (), path, None, faults)
