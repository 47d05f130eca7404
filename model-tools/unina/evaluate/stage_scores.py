"""Accuracy of every stage on the labelled pictures, and the table that shows where on the way it is lost."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from unina.data import Sample, read_image
from unina.evaluate.classes import ClassMap
from unina.evaluate.map_difference import MapDifference, MapTally
from unina.evaluate.score import Metrics, score_as
from unina.evaluate.stage_table import StageRow, beside, stage_rows
from unina.evaluate.stages import NetworkStage, Observation
from unina.evaluate.thresholds import best_thresholds
from unina_runtime import Detections

Picture = TypeVar("Picture")


@dataclass(frozen=True, eq=False)
class Observed:
    """What stages saw in the same pictures, by stage."""

    detections: Mapping[str, tuple[Detections, ...]]
    maps: Mapping[str, tuple[MapDifference, ...]]
    """the raw maps against those of the stage beside; empty: one of the two has none"""


@dataclass(frozen=True)
class Scores:
    """What was found out on the split val; nothing, without pictures."""

    accuracy: Mapping[str, Metrics]
    """by stage, in their order"""
    rows: tuple[StageRow, ...]
    thresholds: tuple[float, ...]
    """one a class, which suit the last stage"""


def observe(
    stages: Mapping[str, Callable[[Picture], Observation]],
    compared: Mapping[str, str],
    pictures: Iterable[Picture],
    advance: Callable[[], None],
) -> Observed:
    """Runs every picture through all the stages before the next: raw maps are compared while they are there.

    Args:
        compared: with which stage each is compared (`beside`).
        advance: called after each picture.
    """
    tallies = {stage: MapTally() for stage in compared}
    found: dict[str, list[Detections]] = {stage: [] for stage in stages}
    for picture in pictures:
        seen = {stage: run(picture) for stage, run in stages.items()}
        for stage, one in seen.items():
            found[stage].append(one.detections)
            before = seen[compared[stage]].maps if stage in compared else None
            if before is not None and one.maps is not None:
                tallies[stage].add(before, one.maps, one.limits)
        advance()
    detections = {stage: tuple(each) for stage, each in found.items()}
    return Observed(detections, {stage: tally.result() for stage, tally in tallies.items()})


def score_stages(
    stages: Mapping[str, NetworkStage],
    samples: Sequence[Sample],
    classes: ClassMap,
    default: float,
    advance: Callable[[], None] = lambda: None,
) -> Scores:
    """Runs every picture through all the stages and scores them.

    Args:
        default: threshold of a class that the samples recommend none for.
        advance: called after each picture.

    Raises:
        ValueError: no labelled box, or a picture that can't be read.
    """
    compared = beside(tuple(stages))
    pictures = (read_image(sample.image) for sample in samples)
    seen = observe({name: stage.observe for name, stage in stages.items()}, compared, pictures, advance)
    accuracy = {name: score_as(classes, samples, found) for name, found in seen.detections.items()}
    thresholds = best_thresholds(samples, seen.detections[list(stages)[-1]], classes, default)
    return Scores(accuracy, stage_rows(accuracy, seen.detections, seen.maps, compared, thresholds), thresholds)
