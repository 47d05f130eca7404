"""From a subject and a data set to scored detections: which pictures are run, and what is scored as what."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unina.data import DataError, Dataset, Sample, load_dataset
from unina.data.images import SUFFIXES
from unina.data.load import recognise
from unina.evaluate.agreement import above
from unina.evaluate.classes import ClassMap, map_classes
from unina.evaluate.map_difference import MapDifference
from unina.evaluate.precision_recall import operating_point
from unina.evaluate.score import coco_scores
from unina.evaluate.stage_scores import observe
from unina.evaluate.stage_table import StageRow, beside, stage_rows
from unina.evaluate.subject import PictureStage, Subject
from unina.evaluate.summary import DEFAULT_THRESHOLD, Scored, Summary, summarise
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
    maps: tuple[MapDifference, ...] = ()
    """the raw maps against those of the stage beside (`stage_table.beside`); empty: there is none, or it has none"""


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


def answers(
    question: Question, subject: Subject, stages: Sequence[str], advance: Callable[[], None] = lambda: None
) -> dict[str, Answer]:
    """Runs stages over the pictures and scores them, in their order; `advance` is called after each picture.

    Raises:
        ValueError: a stage that can't run here, an unreadable picture, no labelled box, or classes that do not fit.
    """
    classes = question.classes(subject)
    ready: dict[str, PictureStage] = {stage: subject.stages[stage]() for stage in stages}
    pictures = (*(sample.image for sample in question.samples), *question.negatives)
    seen = observe(ready, beside(stages, subject.siblings), pictures, advance)
    return {
        stage: _scored(question, subject, classes, seen.detections[stage], seen.maps.get(stage, ())) for stage in stages
    }


def table_of(question: Question, subject: Subject, given: Mapping[str, Answer]) -> tuple[StageRow, ...]:
    """The table of the stages, in their order.

    Boxes are compared above one score a class for all stages: the manifest's, or without a bundle those that the first
    stage recommends.
    """
    compared = beside(tuple(given), subject.siblings)
    thresholds = subject.thresholds or _recommended(question.classes(subject), next(iter(given.values())).summary)
    return stage_rows(
        {stage: one.summary for stage, one in given.items()},
        {stage: (*one.samples, *one.negatives) for stage, one in given.items()},
        {stage: one.maps for stage, one in given.items()},
        compared,
        thresholds,
    )


def _recommended(classes: ClassMap, summary: Summary) -> tuple[float, ...]:
    """One score a model class."""
    scores = [summary.thresholds.get(name, DEFAULT_THRESHOLD) for name in classes.names]
    return classes.of_model(scores, DEFAULT_THRESHOLD)


def _scored(
    question: Question,
    subject: Subject,
    classes: ClassMap,
    detections: Sequence[Detections],
    maps: tuple[MapDifference, ...],
) -> Answer:
    """`detections`: of the samples, then of the negatives."""
    count = len(question.samples)
    found, negatives = tuple(detections[:count]), tuple(detections[count:])
    scored = Scored.of(classes, question.samples, found, subject.input_size, negatives)
    summary = summarise(scored, nms_iou=question.nms_iou, groups=question.groups)
    if question.ignore and question.finds_ignored(subject):
        every = Scored.of(question.classes(subject, ignore=False), question.samples, found)
        with_ignored = coco_scores(every.truths, every.detections, every.names).map50
        summary = dataclasses.replace(summary, map50_with_ignored=with_ignored)
    if subject.thresholds is not None:
        kept = tuple(above(one, subject.thresholds) for one in found)
        matches = Scored.of(classes, question.samples, kept).matches()
        point = operating_point(matches, [0.0] * len(classes.names))
        summary = dataclasses.replace(summary, operating_manifest=point)
    return Answer(found, negatives, scored, summary, maps)
