"""From a subject and a data set to scored detections: which pictures are run, and what is scored as what."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unina.data import DataError, Dataset, Sample, load_dataset
from unina.data.images import SUFFIXES
from unina.data.load import recognise
from unina.evaluate.classes import ClassMap, map_classes
from unina.evaluate.precision_recall import operating_point
from unina.evaluate.score import coco_scores
from unina.evaluate.subject import PictureStage, Subject
from unina.evaluate.summary import Scored, Summary, summarise
from unina_runtime import Detections


@dataclass(frozen=True)
class Question:
    """What is scored, and how."""

    dataset: Dataset
    split: str
    samples: tuple[Sample, ...]
    negatives: tuple[Path, ...] = ()
    """cone-free pictures beside the split"""
    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """model class → data class; "" drops its detections"""
    ignore: tuple[str, ...] = ()
    """data classes whose boxes are ignored"""
    groups: str | None = None
    """expression that groups pictures by file name"""
    nms_iou: float = 0.6

    def classes(self, subject: Subject, *, ignore: bool = True) -> ClassMap:
        """What is scored as what. Raises ValueError where that is unclear."""
        return map_classes(
            subject.classes,
            self.dataset.names,
            self.dataset.groups,
            self.samples,
            self.mapping,
            self.ignore if ignore else (),
            partial=subject.may_lack_classes,
        )

    def finds_ignored(self, subject: Subject) -> bool:
        """Whether the subject can find the ignored classes at all; nobody asks `unknown_cone` of a detector."""
        try:
            self.classes(subject, ignore=False)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, eq=False)
class Answer:
    """One stage's detections, in classes of the model, and what they come to."""

    samples: tuple[Detections, ...]
    negatives: tuple[Detections, ...]
    scored: Scored
    summary: Summary


def cone_free_pictures(path: Path) -> tuple[Path, ...]:
    """The pictures of a data set of any format that hold neither a box nor an ignored region; all of a plain folder.

    Raises:
        ValueError: there is none, or a label that can't be read: who knows what stands there.
    """
    try:
        recognise(path)
    except DataError:
        if not path.is_dir():
            raise
        found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES]
    else:
        every = [sample for samples in load_dataset(path, empty=True).splits.values() for sample in samples]
        found = [sample.image for sample in every if not len(sample.boxes) and not len(sample.ignored)]
    if not found:
        raise ValueError(f"--negatives {path}: no cone-free picture; give a folder of JPEG or PNG files without cones")
    return tuple(found)


def answer(
    question: Question, subject: Subject, stage: PictureStage, advance: Callable[[], None] = lambda: None
) -> Answer:
    """Runs a stage over the pictures and scores it; `advance` is called after each picture.

    Raises:
        ValueError: an unreadable picture, no labelled box, or classes that do not fit.
    """
    classes = question.classes(subject)

    def run(pictures: Sequence[Path]) -> tuple[Detections, ...]:
        found = []
        for picture in pictures:
            found.append(stage(picture))
            advance()
        return tuple(found)

    found, negatives = run([sample.image for sample in question.samples]), run(question.negatives)
    scored = Scored.of(classes, question.samples, found, subject.input_size, negatives)
    summary = summarise(scored, nms_iou=question.nms_iou, groups=question.groups)
    if question.ignore and question.finds_ignored(subject):
        every = Scored.of(question.classes(subject, ignore=False), question.samples, found)
        with_ignored = coco_scores(every.truths, every.detections, every.names).map50
        summary = dataclasses.replace(summary, map50_with_ignored=with_ignored)
    if subject.thresholds is not None:
        kept = tuple(_above(one, subject.thresholds) for one in found)
        matches = Scored.of(classes, question.samples, kept).matches()
        point = operating_point(matches, [0.0] * len(classes.names))
        summary = dataclasses.replace(summary, operating_manifest=point)
    return Answer(found, negatives, scored, summary)


def _above(found: Detections, thresholds: Sequence[float]) -> Detections:
    kept = found.scores >= np.asarray(thresholds, np.float32)[found.classes]
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept])
