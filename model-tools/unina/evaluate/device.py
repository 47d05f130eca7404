"""What `unina-detector` answered to a split's pictures elsewhere, as stages beside those that are computed here."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from unina.evaluate.agreement import above
from unina.evaluate.jsonl import Run, SavedDetections, read_detections, source_name
from unina.evaluate.stages import SCORE_FLOOR, Observation
from unina.evaluate.subject import DEVICE, PictureStage, Subject
from unina_runtime import Detections

AGAIN = f"run unina-detector again with --score-threshold {SCORE_FLOOR:g}"


def with_device(
    subject: Subject | None, files: Sequence[Path], pictures: Mapping[Path, tuple[int, int]], root: Path
) -> Subject:
    """The subject with a stage for every file, or without one what the files say of themselves.

    Args:
        subject: the bundle that the files were made with; None: nothing is computed here.
        files: as `unina-detector --output` writes them, each of one run over all the pictures.
        pictures: of the split and the cone-free ones, with the height and width of each.
        root: the data set's folder.

    Raises:
        ValueError: a file that is damaged, of another bundle, written with a threshold, or of other pictures.
    """
    saved = [read_detections(path) for path in files]
    runs = [_run(one) for one in saved]
    if subject is None:
        run = runs[0]
        subject = Subject(files[0], run.classes, run.input_size, {}, (), devices={})
        wanted, whose = run.manifest_sha256, str(files[0])
    elif subject.onnx is None:
        raise ValueError(f"--detections: {subject.path} is no bundle; give the one that unina-detector ran, or none")
    else:
        manifest = subject.path / "manifest.json"
        wanted, whose = hashlib.sha256(manifest.read_bytes()).hexdigest(), str(manifest)
    for one, run in zip(saved, runs, strict=True):
        if run.manifest_sha256 != wanted:
            raise ValueError(
                f"{one.path}: made with the bundle {run.bundle}, manifest.json of SHA-256 {run.manifest_sha256}; "
                f"{whose} has {wanted}"
            )
        if run.classes != subject.classes:
            raise ValueError(f"{one.path}: classes {', '.join(run.classes)}; {whose}: {', '.join(subject.classes)}")
    stages = dict(subject.stages)
    devices = {}
    for name, one in zip(_names(saved, runs), saved, strict=True):
        found = _found(one, pictures, root)
        stages[name] = partial(_replayed, found)
        devices[name] = one
    default = (*subject.default_stages, *devices)
    return dataclasses.replace(subject, stages=stages, default_stages=default, devices=devices)


def _replayed(found: Mapping[Path, Detections]) -> PictureStage:
    return lambda image: Observation(found[image])


def _run(saved: SavedDetections) -> Run:
    run = saved.run
    if run is None:
        raise ValueError(
            f"{saved.path}: does not say what made it, as unina-detector --output does; write it with that, or give "
            "the file in place of a model"
        )
    for name, threshold in zip(run.classes, run.thresholds, strict=True):
        if not threshold <= SCORE_FLOOR:
            raise ValueError(
                f"{saved.path}: holds no {name} below a score of {threshold:g}, and mAP needs those from "
                f"{SCORE_FLOOR:g} on; {AGAIN}"
            )
    return run


def _names(saved: Sequence[SavedDetections], runs: Sequence[Run]) -> list[str]:
    """`device ACCELERATOR`; where two files are of the same one, they are told apart by their names."""
    accelerators = [run.accelerator for run in runs]
    names = [
        f"{DEVICE} {run.accelerator if accelerators.count(run.accelerator) == 1 else one.path.stem}"
        for one, run in zip(saved, runs, strict=True)
    ]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--detections: two files called {name.partition(' ')[2]}.*; rename one")
    return names


def _found(saved: SavedDetections, pictures: Mapping[Path, tuple[int, int]], root: Path) -> dict[Path, Detections]:
    """The detections of every picture. Raises ValueError unless lines and pictures are one to one."""
    image_of: dict[str, Path] = {}
    for image, size in pictures.items():
        source = saved.source_of(image, root)
        line = saved.pictures[source]
        where = f"{saved.path}:{line.line}: {source}"
        if source in image_of:
            both = f"{source_name(image_of[source], root)} and {source_name(image, root)}"
            raise ValueError(f"{where} can be {both}; give the detections of both")
        if line.size != size:
            there, here = (f"{width}x{height}" for height, width in (line.size, size))
            raise ValueError(f"{where} is {there} there and {here} here; detect in the data set's own pictures")
        image_of[source] = image
    strange = [source for source in saved.pictures if source not in image_of]
    if strange:
        line = saved.pictures[strange[0]]
        raise ValueError(
            f"{saved.path}:{line.line}: {strange[0]} is no picture of the split ({len(strange)} such lines); "
            "give the same --split, and --negatives for others"
        )
    floor = (SCORE_FLOOR,) * len(saved.names)  # lower ones are not decoded in the other stages either
    return {image: above(saved.pictures[source].detections, floor) for source, image in image_of.items()}
