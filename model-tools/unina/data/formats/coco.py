"""COCO detection json: one file a split with the tables `images`, `annotations` and `categories`.

Format: https://cocodataset.org/#format-data, "Object Detection". A box is [x, y, width, height] in pixels from the
upper left corner; `iscrowd: 1` marks a region whose objects nobody counted, which is what an ignored box is.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unina.data.class_list import IGNORED, class_list, titles_of
from unina.data.data_yaml import SPLITS
from unina.data.dataset import Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.formats.json_file import Node, read_json
from unina.data.formats.naming import picture_names
from unina.data.formats.reading import SPLIT_WORDS, Mark, Reading, StatedSize, read_sample

ROBOFLOW = "_annotations.coco.json"


def tables(path: Path) -> list[Path]:
    """The json files of a COCO data set: the one named; or, of a folder, those where exporters put them."""
    if path.is_file():
        return [path]
    files = sorted(path.glob("annotations/*.json"))
    instances = [file for file in files if file.name.startswith("instances_")]  # beside captions and keypoints
    return instances or files or sorted(path.glob(f"*/{ROBOFLOW}")) or sorted(path.glob(ROBOFLOW))


def read(path: Path, splits: Sequence[str] | None = None) -> Reading:
    """Reads a json, or all of a folder: each is one split, named by file or folder (else it is `train`).

    Raises:
        DataError: a file is no COCO json, or two claim one split.
    """
    named: dict[str, Node] = {}
    for file in tables(path):
        folder = file.parent.name if file.name == ROBOFLOW else ""
        split = _split_of(folder) or _split_of(file.stem) or "train"
        if split in named:
            message = f"two files for the split {split}: {named[split].path.name} too; name one of them"
            raise DataError([Fault(file, None, "", message)])
        named[split] = read_json(file).expect(dict)
    if not named:
        raise DataError([Fault(path, None, "", f"holds no annotations/*.json and no */{ROBOFLOW}")])
    faults: list[Fault] = []
    for split in splits or ():
        if split not in named:
            faults.append(Fault(path, None, split, f"no such split; there is {', '.join(named)}"))
    titles: dict[str, None] = {}  # in order, each once
    by_id: dict[str, dict[int, str]] = {}
    for split, table in named.items():
        by_id[split] = _categories(table)
        titles.update(dict.fromkeys(by_id[split].values()))
    classes = class_list(list(titles), {IGNORED}, path, None, faults)
    loaded: dict[str, tuple[Sample, ...]] = {}
    for split in (name for name in SPLITS if name in named and (splits is None or name in splits)):
        table = named[split]
        pictures = _images(table, split, faults)  # first: what is wrong there makes faults of annotations
        marks = _marks(table, by_id[split], faults)
        samples = []
        for image, key, stated in pictures:
            sample = read_sample(image, marks.pop(key, ()), classes, faults, stated=stated)
            samples += [sample] if sample else []
        loaded[split] = tuple(samples)
    return Reading(Dataset(path, classes.names, loaded, groups=classes.groups), tuple(faults))


def write(dataset: Dataset, folder: Path, place: Callable[[Sample, Path], None]) -> None:
    """Writes images/<split>/ and annotations/instances_<split>.json into an empty folder; see formats.yolo.write."""
    titles = titles_of(dataset)
    categories = [{"id": index, "name": title} for index, title in enumerate(titles, start=1)]
    (folder / "annotations").mkdir()
    for split, samples in dataset.splits.items():
        (folder / "images" / split).mkdir(parents=True)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for sample, name in zip(samples, picture_names(samples), strict=True):
            place(sample, folder / "images" / split / name)
            key = len(images) + 1
            images.append({"id": key, "file_name": name, "width": sample.width, "height": sample.height})
            rows = [(int(label) + 1, box, 0) for label, box in zip(sample.classes, sample.boxes, strict=True)]
            rows += [(len(titles), box, 1) for box in sample.ignored]
            for category, (x0, y0, x1, y1), crowd in rows:
                # doubles: x + width is then exactly the float32 right edge
                x, y, width, height = float(x0), float(y0), float(x1) - float(x0), float(y1) - float(y0)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": key,
                        "category_id": category,
                        "bbox": [x, y, width, height],
                        "area": width * height,
                        "iscrowd": crowd,
                    }
                )
        table = {"images": images, "annotations": annotations, "categories": categories}
        text = json.dumps(table, ensure_ascii=False)
        (folder / "annotations" / f"instances_{split}.json").write_text(text, encoding="utf-8")


def _split_of(word: str) -> str | None:
    """The split that a name means, by its first or last part: `instances_train2017` → train; None where none."""
    parts = (word, word.rpartition("_")[2], word.partition("_")[0])
    return next((split for part in parts if (split := SPLIT_WORDS.get(part.lower().rstrip("0123456789")))), None)


def _categories(table: Node) -> dict[int, str]:
    """id → name, in the order of the ids."""
    found: dict[int, str] = {}
    for item in table.get("categories", list).items():
        key, name = item.get("id", int), item.get("name", str)
        if key.value in found:
            raise key.wrong("two categories of one id; give each its own")
        if name.value in found.values():
            raise name.wrong("two categories of one name; rename one")
        if not name.value.strip():
            raise name.wrong("every category needs a name")
        found[key.value] = name.value
    return dict(sorted(found.items()))


def _images(table: Node, split: str, faults: list[Fault]) -> list[tuple[Path, int, StatedSize | None]]:
    """Path, id and stated size of every picture; adds to `faults`."""
    found: list[tuple[Path, int, StatedSize | None]] = []
    seen: set[int] = set()
    for item in table.get("images", list).items():
        try:
            key, name = item.get("id", int), item.get("file_name", str)
            width, height = item.find("width", int), item.find("height", int)
            if key.value in seen:
                raise key.wrong("two pictures of one id; give each its own")
            seen.add(key.value)
            path = _find(table.path, split, name)
        except DataError as error:
            faults.extend(error.faults)
            continue
        stated = None
        if width and height:
            stated = StatedSize((table.path, None, f"{item.where}: "), width.value, height.value)
        found.append((path, key.value, stated))
    return found


def _find(file: Path, split: str, name: Node) -> Path:
    """The picture of a `file_name`."""
    beside, above = file.parent, file.parent.parent
    suffix = file.stem.rpartition("_")[2]  # instances_train2017 → train2017
    roots = [above / "images" / split, above / split, above / suffix, above / "images", beside, beside / "images"]
    for root in roots:
        try:
            if (path := root / str(name.value)).is_file():
                return path
        except (ValueError, OSError):  # a NUL in it, or too long a name
            break
    shown = ", ".join(dict.fromkeys(str(root) for root in roots))
    raise name.wrong(f"no such picture in {shown}; restore it or delete the entry")


def _marks(table: Node, categories: dict[int, str], faults: list[Fault]) -> dict[int, list[Mark]]:
    """Picture id → its boxes; adds to `faults`."""
    known = {item.value["id"] for item in table.get("images", list).items() if _has_id(item.value)}
    marks: dict[int, list[Mark]] = {}
    for item in table.get("annotations", list).items():
        try:
            picture, category = item.get("image_id", int), item.get("category_id", int)
            x, y, width, height = item.get("bbox", list).numbers(4)
            crowd = item.find("iscrowd", int)
            if picture.value not in known:
                raise picture.wrong("no picture of that id in `images`; mend it or delete the annotation")
            if category.value not in categories:
                ids = ", ".join(map(str, categories))
                raise category.wrong(f"no category of that id; there is {ids}; mend it")
        except DataError as error:
            faults.extend(error.faults)
            continue
        mark = Mark(
            (table.path, None, f"{item.where}.bbox: "),
            categories[category.value],
            (x, y, x + width, y + height),
            crowd is not None and crowd.value == 1,
        )
        marks.setdefault(picture.value, []).append(mark)
    return marks


def _has_id(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), int)
