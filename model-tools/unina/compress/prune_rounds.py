"""Pruning in rounds: a part goes, what is left is trained on and validated, until the accuracy gives way.

Every round has a folder of its own: `pruned.pt`, the training run `run/` that started from it, and, once that is over,
`round.json`. A round that has one is not done again; a run that was stopped goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unina.compress.prune import prune
from unina.compress.prune_widths import PruneError, PruneSpec
from unina.data.whole import write_whole
from unina.evaluate import Head, Metrics, TorchStage, run_stage
from unina.evaluate.classes import same_classes
from unina.evaluate.score import score_as
from unina.model import Checkpoint, Detector, load_checkpoint, save_checkpoint
from unina.train import RunSpec
from unina.train.mixture import Mixture
from unina.train.processes import ALONE, OnDevice, Processes
from unina.train.trainer import CHECKPOINT, Trainer, Watch

FINISHED, PRUNED, RUN, BASELINE = "round.json", "pruned.pt", "run", "baseline.json"


@dataclass(frozen=True)
class Round:
    """What a round came to."""

    number: int
    """1 is the first"""
    filters: int
    """of the deployed network, left"""
    map50: float
    map50_95: float
    """on the val split, after training on"""
    drop: float
    """points of mAP50-95 below the detector that nothing was taken from; negative: above it"""
    checkpoint: str
    """in the folder of all rounds"""


@dataclass(frozen=True)
class Retraining:
    """How what is left is trained on."""

    spec: RunSpec
    """its `model` and `train.init_from` are set for each round"""
    mixture: Mixture
    watch: Callable[[RunSpec], AbstractContextManager[Watch]]
    """shows a run"""
    processes: Processes = ALONE


def prune_in_rounds(
    start: Checkpoint, spec: PruneSpec, rounds: int, max_drop: float, retraining: Retraining, folder: Path
) -> Iterator[Round]:
    """Prunes round by round; yields each when it is over. The last one may have dropped by more than `max_drop`.

    Args:
        max_drop: points of mAP50-95 (percent) that a round may lie below the start; the first that lies lower ends it.
        folder: of the rounds; those that are finished there are taken as they are.

    Raises:
        PruneError: widths that can't be reached, a val split without labels, or a folder of somebody else.
        TrainingError, Interrupted, DataError: as the trainer.
    """
    baseline = _baseline(start, retraining, folder / BASELINE)
    current = start
    for number in range(1, rounds + 1):
        place = folder / f"round-{number}"
        done = _finished(place)
        if done is None:
            pruned = prune(current.model, spec, number / rounds, start.model)
            if pruned.filters == pruned.filters_before and number < rounds:
                continue  # too little for a step of `multiple`; the next round takes it along
            metrics = _retrained(pruned.model, current, retraining, place)
            drop = 100 * (baseline - metrics.map50_95)
            path = (place / RUN / CHECKPOINT).relative_to(folder)
            done = Round(number, pruned.filters, metrics.map50, metrics.map50_95, drop, path.as_posix())
            write_whole(place / FINISHED, json.dumps(asdict(done), indent=2).encode())
        yield done
        if done.drop > max_drop:
            return
        current = load_checkpoint(folder / done.checkpoint)


def validated(model: Detector, mixture: Mixture, processes: Processes = ALONE) -> Metrics:
    """Accuracy of a detector, deployed, on the val split of a run; raises PruneError without labels there."""
    samples = mixture.validation
    if not any(len(sample.boxes) for sample in samples):
        raise PruneError("no labelled picture in the val split of --retrain: nothing would say when to stop")
    deployed = model.deploy()
    head = Head.of_deployed(deployed)
    found = run_stage(TorchStage(OnDevice(deployed, processes.device), head), samples)
    return score_as(same_classes(mixture.names, mixture.groups, samples), samples, found)


def _baseline(start: Checkpoint, retraining: Retraining, path: Path) -> float:
    """mAP50-95 before anything was taken, measured once."""
    if path.exists():
        return float(_read(path)["map50_95"])
    metrics = validated(start.model, retraining.mixture, retraining.processes)
    write_whole(path, json.dumps({"map50": metrics.map50, "map50_95": metrics.map50_95}).encode())
    return metrics.map50_95


def _retrained(model: Detector, before: Checkpoint, retraining: Retraining, place: Path) -> Metrics:
    """Trains a pruned detector on, from where an earlier session stopped if there was one."""
    place.mkdir(parents=True, exist_ok=True)
    if not (place / PRUNED).exists():
        save_checkpoint(place / PRUNED, model, before.info | {"metrics": None})
    else:
        model = load_checkpoint(place / PRUNED).model
    train = replace(retraining.spec.train, init_from=str(place / PRUNED))
    spec = replace(retraining.spec, model=model.spec, train=train)
    began = (place / RUN / CHECKPOINT).exists()
    with retraining.watch(spec) as watch:
        trainer = Trainer(spec, retraining.mixture, place / RUN, watch, began, retraining.processes)
        metrics = trainer.run().metrics
    assert metrics is not None, "the baseline had labels to measure on"
    return metrics


def _finished(place: Path) -> Round | None:
    path = place / FINISHED
    if not path.exists():
        return None
    try:
        return Round(**_read(path))
    except TypeError as error:
        raise PruneError(f"{path}: not of this version of unina; --force throws the rounds away") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise PruneError(f"{path}: not JSON; --force throws the rounds away") from error
    if not isinstance(content, dict):
        raise PruneError(f"{path}: not of unina-prune; --force throws the rounds away")
    return content
