"""Leave-one-video-out: how well the recipe does on a car and a camera that it never saw.

For each video a detector is trained on everything else, by the same spec, and run over that video and over pictures
without cones. Printed for each video and for all boxes together: recall at IoU 0.5 (any class, and the right class) at
0.1 false positives a cone-free picture, and the same at 0.1 false positives a picture of the video itself.

    python model-tools/training/leave_one_video_out.py model-tools/specs/cones.yaml --output build/training/lovo \\
        --video 'rain=^(rain_|cj)' --video 'onboard=^onboard_' --negatives build/training/negatives/images/val

The validation pictures of the spec take part: they train where they are not left out. Finished videos are not trained
again, so that a stopped run goes on.
"""

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from unina.cli.train import parse
from unina.data import Sample, read_image
from unina.evaluate import TorchStage, run_stage
from unina.evaluate.classes import same_classes
from unina.evaluate.precision_recall import recall_at_rate
from unina.evaluate.score import coco_scores
from unina.evaluate.session import cone_free_pictures
from unina.evaluate.summary import Scored
from unina.model import load_checkpoint
from unina.train import RunSpec
from unina.train.mixture import Mixture, Source, load_mixture
from unina.train.trainer import CHECKPOINT, Trainer

RATE = 0.1
"""False positives a picture."""


@dataclass(frozen=True)
class Row:
    """One video."""

    video: str
    pictures: int
    boxes: int
    recall: float
    """right class, at RATE false positives a cone-free picture"""
    recall_any_class: float
    recall_on_video: float
    """right class, at RATE false positives a picture of the video"""
    map50: float


def main() -> int:
    """Trains what is missing, then prints the table as JSON."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("spec", type=Path)
    top.add_argument("--output", type=Path, required=True)
    top.add_argument("--video", action="append", required=True, metavar="NAME=REGEX", help="file names of one video")
    top.add_argument("--negatives", type=Path, required=True, help="pictures without cones that did not train")
    top.add_argument("--epochs", type=int, help="instead of the spec's")
    arguments = top.parse_args()
    spec = parse([str(arguments.spec), "--output", str(arguments.output)]).spec
    if arguments.epochs:
        spec = replace(spec, train=replace(spec.train, epochs=arguments.epochs))
    videos = {name: re.compile(pattern) for name, _, pattern in (word.partition("=") for word in arguments.video)}
    mixture = load_mixture(spec)
    negatives = cone_free_pictures(arguments.negatives)
    folds = []
    for name, pattern in videos.items():
        held = [s for s in (*mixture.samples, *mixture.validation) if pattern.search(s.image.name)]
        if not held:
            print(f"leave_one_video_out: --video {name}: no picture is called so", file=sys.stderr)
            return 2
        checkpoint = fold(spec, mixture, pattern, arguments.output / name)
        folds.append(scored(checkpoint, held, mixture, negatives))
        print(json.dumps(asdict(row(name, folds[-1]))), flush=True)
    print(json.dumps(asdict(row("all", joined(folds)))))
    return 0


def fold(spec: RunSpec, mixture: Mixture, pattern: re.Pattern[str], output: Path) -> Path:
    """Trains without one video; returns the checkpoint."""
    done = output / "done"
    if not done.exists():
        first, *others = mixture.sources
        sources = [replace(first, samples=(*first.samples, *mixture.validation)), *others]
        kept = tuple(
            Source(tuple(s for s in source.samples if not pattern.search(s.image.name)), source.share)
            for source in sources
        )
        kept = tuple(source for source in kept if source.samples)
        total = sum(source.share for source in kept)
        kept = tuple(replace(source, share=source.share / total) for source in kept)
        Trainer(spec, replace(mixture, sources=kept, validation=()), output).run()
        done.touch()
    return output / CHECKPOINT


def scored(checkpoint: Path, held: list[Sample], mixture: Mixture, negatives: tuple[Path, ...]) -> Scored:
    """The detections of one fold on its video and on the cone-free pictures."""
    stage = TorchStage(load_checkpoint(checkpoint).model.deploy())
    classes = same_classes(mixture.names, mixture.groups, held)
    found, nothing = run_stage(stage, held), [stage(read_image(path)) for path in negatives]
    return Scored.of(classes, held, found, None, nothing)


def joined(folds: list[Scored]) -> Scored:
    """All folds as one; the cone-free pictures count once for each."""
    return replace(
        folds[0],
        pictures=tuple(p for f in folds for p in f.pictures),
        truths=tuple(t for f in folds for t in f.truths),
        detections=tuple(d for f in folds for d in f.detections),
        negatives=tuple(d for f in folds for d in f.negatives),
    )


def row(name: str, found: Scored) -> Row:
    """The figures of one video, or of all."""
    scores = np.concatenate([np.asarray(d.scores, np.float64) for d in found.negatives])
    right, loose = found.matches(), found.matches(any_class=True)
    return Row(
        video=name,
        pictures=len(found.pictures),
        boxes=len(right.truth_score),
        recall=recall_at_rate(right, RATE, scores, len(found.negatives)).recall,
        recall_any_class=recall_at_rate(loose, RATE, scores, len(found.negatives)).recall,
        recall_on_video=recall_at_rate(right, RATE).recall,
        map50=coco_scores(found.truths, found.detections, found.names).map50,
    )


if __name__ == "__main__":
    sys.exit(main())
