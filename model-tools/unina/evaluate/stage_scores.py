"""Accuracy of every stage on the labelled pictures, and the table that shows where on the way it is lost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from unina.data import Sample, read_image
from unina.evaluate.agreement import box_agreement
from unina.evaluate.classes import ClassMap
from unina.evaluate.map_difference import MapTally
from unina.evaluate.score import Metrics, score_as
from unina.evaluate.stage_table import StageRow, beside
from unina.evaluate.stages import NetworkStage
from unina.evaluate.thresholds import best_thresholds
from unina_runtime import Detections


@dataclass(frozen=True)
class Scores:
    """What was found out on the split val; nothing, without pictures."""

    accuracy: Mapping[str, Metrics]
    """by stage, in their order"""
    rows: tuple[StageRow, ...]
    thresholds: tuple[float, ...]
    """one a class, which suit the last stage"""


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
    tallies = {stage: MapTally() for stage in compared}
    found: dict[str, list[Detections]] = {stage: [] for stage in stages}
    for sample in samples:
        image = read_image(sample.image)
        seen = {name: stage.observe(image) for name, stage in stages.items()}
        for name, one in seen.items():
            found[name].append(one.detections)
            before = seen[compared[name]].maps if name in compared else None
            if before is not None and one.maps is not None:
                tallies[name].add(before, one.maps, one.limits)
        advance()
    accuracy = {name: score_as(classes, samples, given) for name, given in found.items()}
    thresholds = best_thresholds(samples, found[list(stages)[-1]], classes, default)
    rows = []
    for name, metrics in accuracy.items():
        if name not in compared:
            rows.append(StageRow(name, metrics.map50, metrics.map50_95))
            continue
        other = compared[name]
        rows.append(
            StageRow(
                name,
                metrics.map50,
                metrics.map50_95,
                beside=other,
                points=100 * (metrics.map50_95 - accuracy[other].map50_95),
                maps=tallies[name].result(),
                boxes=box_agreement(found[other], found[name], thresholds),
            )
        )
    return Scores(accuracy, tuple(rows), thresholds)
