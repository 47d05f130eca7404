"""The training loop: plain, step by step, and able to stop and go on at any step as if nothing had happened."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch
import yaml
from torch import Tensor

from unina.data.whole import write_whole
from unina.dla.graph import Graph
from unina.evaluate import Head, Metrics, TorchStage, run_stage
from unina.evaluate.classes import same_classes
from unina.evaluate.score import score_as
from unina.evaluate.summary import Scored
from unina.model import CheckpointError, Detector, save_checkpoint
from unina.model.checkpoint import load_weights, read_payload
from unina.model.detector import DetectorMaps
from unina.train.batch_norm import share_statistics
from unina.train.criterion import Criterion, Losses
from unina.train.distil import Distiller, DistilLosses
from unina.train.ema import WeightAverage
from unina.train.events import FOLDER, Events
from unina.train.freeze import freeze, training_mode
from unina.train.history import EpochRow, write_history
from unina.train.interrupt import Interrupt
from unina.train.loader import Batch, Loader
from unina.train.mixture import Mixture
from unina.train.processes import ALONE, OnDevice, Processes
from unina.train.progress import PARTS, Progress, first_difference, plain
from unina.train.quantised import QuantisedDetector
from unina.train.schedule import build_optimizer, lr_at
from unina.train.sparsity import channel_gains, channel_penalty
from unina.train.spec import RunSpec
from unina.train.transfer import keep_zeros, take_weights

CHECKPOINT, BEST, HISTORY, SPEC, REPORT = "checkpoint.pt", "best.pt", "metrics.csv", "spec.yaml", "report"
WRITTEN = (CHECKPOINT, BEST, HISTORY, SPEC, FOLDER, REPORT)
"""All that a run leaves in its folder."""


class TrainingError(RuntimeError):
    """A run that can't start or go on; the message says why and what to do."""


class Interrupted(Exception):
    """The run was stopped; its checkpoint resumes at `step`."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"stopped after step {step} of {steps}")
        self.step = step


@dataclass(frozen=True)
class Result:
    """What a finished run came to."""

    checkpoint: Path
    metrics: Metrics | None
    """of the averaged, deployed model on the val split; None without labels there"""
    steps: int
    images: int
    seconds: float
    """of all sessions of the run, validation aside"""
    scored: Scored | None = None
    """the detections behind the metrics"""


@dataclass(frozen=True)
class Watch:
    """What the loop tells whoever looks on."""

    note: Callable[[str], None] = lambda text: None
    """something worth a line, such as what was taken from another checkpoint"""
    reading: Callable[[int], None] = lambda total: None
    """before the pictures are read: how many"""
    read: Callable[[], None] = lambda: None
    """after each"""
    step: Callable[[int, float], None] = lambda step, loss: None
    """after each optimiser step: steps so far and its loss"""
    epoch: Callable[[EpochRow], None] = lambda row: None
    """after each epoch"""


class Trainer:
    """One run in one folder."""

    def __init__(
        self,
        spec: RunSpec,
        mixture: Mixture,
        output: Path,
        watch: Watch = Watch(),
        resume: bool = False,
        processes: Processes = ALONE,
        graph: Graph | None = None,
    ) -> None:
        """Reads the pictures; `resume` continues the run in `output`; `processes` share every batch.

        `graph`: the deploy graph of the spec's model, of any weights; a run with `quantise` needs it.

        Raises:
            DataError: an unreadable picture.
            TrainingError: there is no such run to resume, it is another one, or the spec does not fit the model.
        """
        self.spec, self.mixture, self.output, self.watch, self.processes = spec, mixture, output, watch, processes
        train = spec.train
        if train.batch % processes.count:
            raise TrainingError(f"train.batch: {train.batch}: must be a multiple of the {processes.count} processes")
        cv2.setNumThreads(1)  # the crops of a batch are prepared in a thread of their own
        if train.threads:
            torch.set_num_threads(train.threads)
        torch.manual_seed(train.seed)
        self.detector = Detector(spec.model, len(mixture.names), mixture.names)
        self.detector.one_to_one_gradient = train.one_to_one_gradient
        self.model: Detector | QuantisedDetector = self.detector
        self.masks: dict[str, Tensor] = {}
        try:
            if train.init_from and not resume:
                taken = take_weights(self.detector, Path(train.init_from))
                watch.note(f"{train.init_from}: {taken}")
                self.masks = taken.masks
            freeze(self.detector, train.freeze)
            if spec.quantise is not None:
                assert graph is not None, "a run in integers needs the deploy graph"
                self.model = QuantisedDetector(self.detector, graph, spec.quantise)
            self.distiller = None
            if spec.distil is not None:
                self.distiller = Distiller(spec.distil, self.detector, train.batch, train.steps, processes.sum)
                watch.note(f"{spec.distil.teacher}: teaches")
        except ValueError as error:  # a CheckpointError is one, too
            raise TrainingError(str(error)) from error
        self.model.to(processes.device)
        adapters = [] if self.distiller is None else [*self.distiller.to(processes.device).adapters.parameters()]
        self.trained = [*self.model.parameters(), *adapters]
        scales = [self.model.log2_scale] if isinstance(self.model, QuantisedDetector) else []
        rate = 1.0 if spec.quantise is None else spec.quantise.scale_rate
        self.optimizer = build_optimizer(self.trained, train, scales, rate)
        self.average: WeightAverage[Detector | QuantisedDetector] = WeightAverage(self.model, train.steps, train.ema)
        if processes.count > 1 and spec.quantise is None:  # in integers the statistics are frozen
            share_statistics(self.detector)
        self.gains = channel_gains(self.detector) if train.sparsity else []
        self.criterion = Criterion(train, spec.model.strides, spec.model.reg_max, mixture.groups, processes.sum)
        self.progress = Progress()
        if resume:
            self.restore()
        watch.reading(len(mixture.samples))
        self.loader = Loader(mixture, spec, watch.read, (processes.rank, processes.count))
        if isinstance(self.model, QuantisedDetector) and not resume:
            self.find_scales(self.model)

    def find_scales(self, model: QuantisedDetector) -> None:
        """The first scales, from the first crops of the run, of all processes.

        Raises TrainingError where a tensor was zero all along.
        """
        batches = -(-model.quantise.crops // self.spec.train.batch)
        for step in range(batches):
            model.observe(on_device(self.loader.batch(step), self.processes.device).x)
        model.amax = self.processes.largest(torch.tensor(model.amax, dtype=torch.float64)).tolist()
        try:
            model.begin()
        except ValueError as error:
            raise TrainingError(str(error)) from error
        self.average.model.load_state_dict(model.state_dict())
        self.watch.note(f"{len(model.groups)} scales from {batches * self.spec.train.batch} crops")

    def run(self) -> Result:
        """Trains to the end and validates.

        Raises:
            TrainingError: a loss that is no number.
            Interrupted: on Ctrl-C or SIGTERM, after a checkpoint has been written.
        """
        train, progress, processes = self.spec.train, self.progress, self.processes
        if processes.first:
            self.output.mkdir(parents=True, exist_ok=True)
            write_whole(self.output / SPEC, yaml.safe_dump(plain(self.spec), sort_keys=False).encode())
        events = Events(self.output, progress.step, train.tensorboard and processes.first)
        training_mode(self.detector, train.freeze)
        if isinstance(self.model, QuantisedDetector):
            self.model.train()
        with Interrupt() as interrupt:
            batches = self.loader.batches(progress.step, train.steps)
            begin = time.monotonic()
            for batch in batches:
                if progress.step == 0:
                    events.crops(batch, 0)
                losses = self.train_step(batch)
                now = time.monotonic()
                progress.seconds += now - begin
                progress.epoch_seconds += now - begin
                if processes.first:
                    self.watch.step(progress.step, losses[0])
                stop = processes.any(interrupt.requested)
                epoch_ended = progress.step % train.epoch_steps == 0
                if epoch_ended:
                    self.close_epoch(events, last=progress.step == train.steps)
                if epoch_ended or stop:
                    self.save(CHECKPOINT)
                if stop and progress.step < train.steps:
                    batches.close()
                    events.close()
                    processes.wait()  # torchrun ends all when one leaves, and the first may still be writing
                    raise Interrupted(progress.step, train.steps)
                begin = time.monotonic()
        metrics, scored = self.finish(events)
        images = progress.step * train.batch
        return Result(self.output / CHECKPOINT, metrics, progress.step, images, progress.seconds, scored)

    def train_step(self, batch: Batch) -> list[float]:
        """One optimiser step; returns what `Progress.sums` adds up, of all processes.

        Raises TrainingError where loss or gradient is no number; the weights are still those before.
        """
        train, progress, processes = self.spec.train, self.progress, self.processes
        lr = lr_at(progress.step, train)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["rate"]
        batch = on_device(batch, processes.device)
        with torch.autocast(processes.device.type, torch.bfloat16, enabled=train.bf16):
            maps = self.model(batch.x)
        with processes.device:  # tensors that the loss makes are born there
            losses: Losses = self.criterion(maps, batch.targets, progress.step)
            total, taught = losses.total, self.taught(batch, maps)
            if taught is not None:
                total = total + taught.total
            sparsity = channel_penalty(self.gains, train.sparsity / processes.count)
            total = total + sparsity
        values: list[Tensor | float] = [total.detach(), losses.class_, losses.box, losses.dfl, losses.positives]
        values += [0.0, 0.0, 0.0] if taught is None else [taught.features, taught.logits, taught.boxes]
        values.append(sparsity.detach())
        mine = torch.tensor([float(value) for value in values], dtype=torch.float64)
        parts: list[float] = processes.sum(mine.to(processes.device)).tolist()
        if not math.isfinite(parts[0]):
            raise self.broken(f"the loss is {parts[0]} (class {parts[1]}, box {parts[2]}, dfl {parts[3]})", lr, batch)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        processes.sum_gradients(self.trained)
        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, train.clip))
        if not math.isfinite(norm):
            raise self.broken(f"the gradient's norm is {norm} (loss {parts[0]:.4g})", lr, batch)
        self.optimizer.step()
        keep_zeros(self.detector, self.masks)
        self.average.update(self.model)
        progress.step += 1
        progress.sums = [total + part for total, part in zip(progress.sums, parts, strict=True)]
        return parts

    def taught(self, batch: Batch, maps: DetectorMaps) -> DistilLosses | None:
        """What the teacher has to say about a batch."""
        if self.distiller is None:
            return None
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.spec.train.bf16):
            losses: DistilLosses = self.distiller(batch.x, maps, batch.targets, self.progress.step)
        return losses

    def broken(self, what: str, lr: float, batch: Batch) -> TrainingError:
        """The error for a batch from which nothing can be learnt."""
        names = ", ".join(self.processes.gather(batch.images))
        advice = "try a lower --train.lr or look at these pictures' labels"
        return TrainingError(f"step {self.progress.step}: {what} at lr {lr:.3g} on {names}; {advice}")

    def close_epoch(self, events: Events, last: bool) -> None:
        """Adds a row to metrics.csv, with the accuracy where it is due; the last epoch's comes at the end."""
        train, progress = self.spec.train, self.progress
        steps = train.epoch_steps
        loss, class_loss, box_loss, dfl_loss, positives, *taught, sparsity = (total / steps for total in progress.sums)
        row = EpochRow(
            epoch=progress.step // steps,
            step=progress.step,
            images=progress.step * train.batch,
            lr=lr_at(progress.step - 1, train),
            loss=loss,
            class_loss=class_loss,
            box_loss=box_loss,
            dfl_loss=dfl_loss,
            positives=positives,
            seconds=progress.epoch_seconds,
            images_per_s=steps * train.batch / max(progress.epoch_seconds, 1e-9),
            sparsity=sparsity if self.gains else None,
        )
        if self.distiller is not None:
            features, logits, boxes = taught
            row = replace(row, distil_features=features, distil_logits=logits, distil_boxes=boxes)
        progress.rows.append(row)
        progress.sums, progress.epoch_seconds = [0.0] * PARTS, 0.0
        if not self.processes.first:
            return
        if train.val_every and row.epoch % train.val_every == 0 and not last:
            self.validate()
        if not last:
            events.row(progress.rows[-1])
        write_history(self.output / HISTORY, progress.rows)
        self.watch.epoch(progress.rows[-1])

    def finish(self, events: Events) -> tuple[Metrics | None, Scored | None]:
        """The last validation, and what is written once a run is over."""
        if not self.processes.first:
            return None, None
        metrics, scored = self.validate() or (None, None)
        if self.progress.rows:
            events.row(self.progress.rows[-1])
        events.close()
        if metrics is not None:
            write_history(self.output / HISTORY, self.progress.rows)
            self.save(CHECKPOINT, metrics)
        return metrics, scored

    def validate(self) -> tuple[Metrics, Scored] | None:
        """Accuracy of the averaged model, deployed, and what it found; None when no box is labelled to validate on.

        It goes into the newest row of the history, and the weights to best.pt if they are the best of several.
        """
        mixture, progress, samples = self.mixture, self.progress, self.mixture.validation
        if not any(len(sample.boxes) for sample in samples):
            return None
        with self.processes.device:  # where fusing makes its kernels
            deployed = self.average.model.deploy()
        head = Head.of_deployed(deployed)
        found = run_stage(TorchStage(OnDevice(deployed, self.processes.device), head), samples)
        classes = same_classes(mixture.names, mixture.groups, samples)
        metrics = score_as(classes, samples, found)
        if progress.rows:
            progress.rows[-1] = replace(progress.rows[-1], map50=metrics.map50, map50_95=metrics.map50_95)
        if self.spec.train.val_every and metrics.map50 > progress.best:
            progress.best = metrics.map50
            self.save(BEST, metrics)
        return metrics, Scored.of(classes, samples, found, (head.height, head.width))

    def save(self, name: str, metrics: Metrics | None = None) -> None:
        """Writes a checkpoint: averaged weights to deploy, and, unless it is best.pt, the state to go on from."""
        if not self.processes.first:
            return
        progress = self.progress
        info = {
            "step": progress.step,
            "steps": self.spec.train.steps,
            "epoch": progress.step // self.spec.train.epoch_steps,
            "seed": self.spec.train.seed,
            "seconds": progress.seconds,
            "dataset": ", ".join(source.data for source in self.spec.sources) or self.spec.data,
            "dataset_sha256": self.mixture.sha256,
            "spec": plain(self.spec),
            "metrics": None if metrics is None else asdict(metrics),
        }
        training: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average_updates": self.average.updates,
            "rng": torch.get_rng_state(),
            "progress": asdict(progress),
        }
        average, scales = self.average.model, None
        if isinstance(average, QuantisedDetector):
            training["average_scales"], scales = average.log2_scale, average.scales()
            average = average.detector
        if self.distiller is not None:
            training["adapters"] = self.distiller.adapters.state_dict()
        save_checkpoint(self.output / name, average, info, {} if name == BEST else training, scales, self.masks)

    def restore(self) -> None:
        """Takes up the run in the folder where it stopped.

        Raises TrainingError where it was another spec or data set, or cannot be read.
        """
        path = self.output / CHECKPOINT
        try:
            payload = read_payload(path)
            info, training = payload["info"], payload["training"]
            difference = first_difference(info["spec"], plain(self.spec))
            if difference:
                raise TrainingError(
                    f"{path}: was trained with another spec ({difference}); "
                    f"resume with {self.output / SPEC} or start anew with --force"
                )
            if info["dataset_sha256"] != self.mixture.sha256:
                raise TrainingError(f"{path}: {info['dataset']} has changed since; start anew with --force")
            load_weights(self.model, training["model"], path)
            if self.distiller is not None:
                self.distiller.adapters.load_state_dict(training["adapters"])
            self.optimizer.load_state_dict(training["optimizer"])
            average = self.average.model
            if isinstance(average, QuantisedDetector):
                average.log2_scale.copy_(training["average_scales"])
                average = average.detector
            load_weights(average, payload["weights"], path)
            self.average.updates = training["average_updates"]
            self.masks = payload.get("masks") or {}
            torch.set_rng_state(training["rng"])
            self.progress = Progress.of(training["progress"])
        except CheckpointError as error:
            raise TrainingError(f"cannot resume: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"{path}: cannot be resumed: {error}; start anew with --force") from error


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors there."""
    if device.type == "cpu":
        return batch
    targets = batch.targets
    moved = {name: value.to(device) for name, value in vars(targets).items()}
    return Batch(batch.x.to(device), replace(targets, **moved), batch.images)
