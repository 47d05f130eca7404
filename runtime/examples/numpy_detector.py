"""What stands before and behind a bundle's network, in NumPy and OpenCV, whatever runs the network itself.

Nothing of unina is imported: this is docs/bundle.md as a program, to copy into one of your own. `run` is the command
line that onnxruntime_detect.py and openvino_detect.py share.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Maps = Mapping[str, npt.NDArray[Any]]
Network = Callable[[npt.NDArray[np.float32]], Maps]
"""1×3×H×W to the raw maps by name, 1×C×h×w."""


@dataclass(frozen=True)
class Letterbox:
    """Where the resized picture lies inside the network's input, and how large it was before."""

    left: int
    top: int
    width: int
    height: int
    source_width: int
    source_height: int

    @classmethod
    def fit(cls, width: int, height: int, input_width: int, input_height: int) -> "Letterbox":
        """The largest picture of this shape that fits, centred."""
        if input_width * height <= input_height * width:  # the width binds
            size = input_width, _scaled(height, input_width, width)
        else:
            size = _scaled(width, input_height, height), input_height
        return cls((input_width - size[0]) // 2, (input_height - size[1]) // 2, *size, width, height)

    def to_source(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """N×4 from pixels of the input to pixels of the picture, clipped to it."""
        source = np.array([self.source_width, self.source_height] * 2, np.float64)
        resized = np.array([self.width, self.height] * 2, np.float64)
        moved = (boxes - np.array([self.left, self.top] * 2)) * source / resized
        return np.clip(moved, 0, source).astype(np.float32)


@dataclass(frozen=True)
class Detection:
    """One object; `box` is x0, y0, x1, y1 in pixels of the picture."""

    class_id: int
    score: float
    box: tuple[float, ...]


def read_manifest(bundle: Path) -> dict[str, Any]:
    """manifest.json of a detector's bundle. Raises ValueError for a network that detects nothing."""
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    if "levels" not in manifest:
        raise ValueError(f"{bundle}: its network detects nothing, its decode is {manifest.get('decode')}")
    return manifest


def preprocess(
    picture: npt.NDArray[np.uint8], manifest: Mapping[str, Any]
) -> tuple[npt.NDArray[np.float32], Letterbox]:
    """A picture H×W×3 in BGR, as OpenCV reads it, to the network's input 1×3×H×W and where the picture lies in it."""
    wanted = manifest["input"]
    place = Letterbox.fit(picture.shape[1], picture.shape[0], wanted["width"], wanted["height"])
    pixels = np.full((wanted["height"], wanted["width"], 3), wanted["letterbox_value"], np.uint8)
    resized = cv2.resize(picture, (place.width, place.height), interpolation=cv2.INTER_LINEAR)
    pixels[place.top : place.top + place.height, place.left : place.left + place.width] = resized
    if wanted["color"] == "rgb":
        pixels = pixels[:, :, ::-1]
    values = (pixels.transpose(2, 0, 1)[None].astype(np.float32) - wanted["offset"]) * wanted["scale"]
    return np.ascontiguousarray(values, np.float32), place


def decode(maps: Maps, manifest: Mapping[str, Any], place: Letterbox) -> list[Detection]:
    """Raw maps to detections, the best first. No NMS: the one-to-one head answers every object once."""
    bins = manifest["reg_max"]
    thresholds = np.array(manifest["thresholds"], np.float32)
    scores, classes, boxes = [], [], []
    for level in manifest["levels"]:
        logits = np.asarray(maps[level["class"]], np.float32)[0]
        best = logits.argmax(axis=0)
        score = 1 / (1 + np.exp(-np.maximum(logits.max(axis=0), -80)))  # exp(81) is still a float32
        y, x = np.nonzero(score >= thresholds[best])  # in order of rows, then columns
        sides = np.asarray(maps[level["box"]], np.float32)[0][:, y, x].reshape(4, bins, len(x))
        weights = np.exp(sides - sides.max(axis=1, keepdims=True))
        expected = (weights * np.arange(bins, dtype=np.float32)[:, None]).sum(axis=1) / weights.sum(axis=1)
        left, top, right, bottom = (np.maximum(sides[:, 0], 0) if bins == 1 else expected) * level["stride"]
        centre_x, centre_y = (x + np.float32(0.5)) * level["stride"], (y + np.float32(0.5)) * level["stride"]
        boxes.append(np.stack([centre_x - left, centre_y - top, centre_x + right, centre_y + bottom], axis=1))
        scores.append(score[y, x])
        classes.append(best[y, x])
    box, score, label = place.to_source(np.concatenate(boxes)), np.concatenate(scores), np.concatenate(classes)
    kept = np.flatnonzero((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]))
    order = kept[np.argsort(-score[kept], kind="stable")][: manifest["max_detections"]]
    return [Detection(int(label[i]), float(score[i]), tuple(map(float, box[i]))) for i in order]


def detect(picture: npt.NDArray[np.uint8], network: Network, manifest: Mapping[str, Any]) -> list[Detection]:
    """Everything in a picture, H×W×3 in BGR."""
    values, place = preprocess(picture, manifest)
    return decode(network(values), manifest, place)


def drawn(picture: npt.NDArray[np.uint8], found: list[Detection], classes: list[str]) -> npt.NDArray[np.uint8]:
    """A copy with the boxes and their classes."""
    copy = picture.copy()
    for one in found:
        x0, y0, x1, y1 = map(round, one.box)
        cv2.rectangle(copy, (x0, y0), (x1, y1), (0, 255, 0), 1)
        text = f"{classes[one.class_id]} {one.score:.2f}"
        cv2.putText(copy, text, (x0, max(y0 - 3, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 255, 0), 1, cv2.LINE_AA)
    return copy


def run(load: Callable[[Path], Network], description: str) -> int:
    """The command line; `load` makes a network of a file model.qdq.onnx. Returns the exit code."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="NAME.unina")
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write the pictures with their boxes there")
    parser.add_argument(
        "--json", action="store_true", help="print JSON Lines (docs/bundle.md), as unina-eval reads them"
    )
    arguments = parser.parse_args()
    try:
        _run(arguments, load)
    except (OSError, ValueError, KeyError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    return 0


def _run(arguments: argparse.Namespace, load: Callable[[Path], Network]) -> None:
    manifest = read_manifest(arguments.bundle)
    network = load(arguments.bundle / "model.qdq.onnx")
    classes = manifest["classes"]
    for frame, path in enumerate(arguments.pictures):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"{path}: no picture that OpenCV reads")
        found = detect(picture, network, manifest)
        if arguments.json:
            print(json.dumps(_line(frame, path, picture.shape, found, classes)))
        else:
            print(f"{path}: {len(found)} found")
            for one in found:
                print(f"  {classes[one.class_id]:<20} {one.score:.3f}  " + " ".join(f"{v:7.1f}" for v in one.box))
        if arguments.draw:
            arguments.draw.mkdir(parents=True, exist_ok=True)
            target = arguments.draw / f"{path.stem}.png"
            if not cv2.imwrite(str(target), drawn(picture, found, classes)):
                raise ValueError(f"{target}: cannot be written")


def _line(frame: int, path: Path, shape: tuple[int, ...], found: list[Detection], classes: list[str]) -> dict[str, Any]:
    objects = [
        {"class": classes[one.class_id], "class_id": one.class_id, "score": one.score, "box": list(one.box)}
        for one in found
    ]
    line = {"schema": 1, "frame": frame, "source": path.name, "width": shape[1], "height": shape[0]}
    return {**line, "latency_ms": {}, "detections": objects}


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """length · numerator / denominator, rounded half away from zero, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))
