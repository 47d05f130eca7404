"""`unina-train`: trains a detector from a spec; every field of the spec is an option."""

import contextlib
import dataclasses
import difflib
import json
import os
import shutil
import sys
import typing
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter, set_parsing_settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from unina.data import DataError
from unina.dla.graph import Graph
from unina.dla.graph_reader import read_graph
from unina.export.onnx_graph import export_onnx
from unina.model import Detector
from unina.train import RunSpec
from unina.train.history import EpochRow
from unina.train.mixture import load_mixture
from unina.train.processes import Processes, joined
from unina.train.trainer import CHECKPOINT, REPORT, SPEC, WRITTEN, Interrupted, Result, Trainer, TrainingError, Watch

console = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
DESCRIPTION = """Trains a detector. SPEC.yaml holds the fields below; any of them can be overridden by an option. Writes
checkpoint.pt, metrics.csv, spec.yaml, tensorboard/ and report/ to RUN_DIR (docs/training.md says what they are). Ctrl-C
leaves a checkpoint; --resume goes on."""
EXAMPLES = """examples:
  unina-train specs/cones.yaml --data cones/data.yaml --output runs/first
  unina-train specs/cones.yaml --data ours/data.yaml --output runs/ours --train.init_from runs/first/checkpoint.pt
  unina-train runs/ours/spec.yaml --output runs/ours --resume
  torchrun --nproc-per-node 4 -m unina.cli.train specs/cones.yaml --data cones/data.yaml --output runs/four

Exit code: 0 trained, 2 bad input or a run that broke off, 130 stopped by Ctrl-C (resumable).
"""


class HelpFormatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the line breaks of description and examples."""


class SpecError(ValueError):
    """A spec or command line that can't be used; one line that names the place."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when trained, 2 for bad input or a run that broke off, 130 when stopped by Ctrl-C (resumable)."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        with joined(options.spec.train.device) as processes:
            result = train(options, processes)
        if processes.first:
            report(result, options)
    except Interrupted as stop:
        console.print(f"unina-train: {stop}; go on with the same command and --resume", highlight=False)
        return 130
    except KeyboardInterrupt:
        console.print(
            "unina-train: stopped at once; --resume goes on from the last checkpoint, if there is one", highlight=False
        )
        return 130
    except (SpecError, DataError, TrainingError, OSError) as error:
        rank = os.environ.get("RANK", "0")
        print(f"unina-train: {'' if rank == '0' else f'process {rank}: '}{error}", file=sys.stderr)
        return 2
    return 0


@dataclasses.dataclass(frozen=True)
class Options:
    """The command line, understood."""

    spec: RunSpec
    output: Path
    resume: bool
    force: bool
    json: bool


def build_parser() -> ArgumentParser:
    """The parser whose options are the fields of the spec."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="unina-train",
        usage="unina-train SPEC.yaml --output RUN_DIR [--data data.yaml] [--resume | --force] [--train.epochs 3 …]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="a spec; the same as giving SPEC.yaml first")
    parser.add_argument("--output", type=str, required=True, help="RUN_DIR: a new folder for this run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN_DIR, exactly where it stopped")
    parser.add_argument("--force", action="store_true", help="throw away the run in RUN_DIR first")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_class_arguments(RunSpec, None, fail_untyped=True)
    return parser


def parse(arguments: Sequence[str]) -> Options:
    """Understands the command line; raises SpecError. `--help` prints and leaves."""
    words = list(arguments)
    if words and not words[0].startswith("-"):
        check_yaml(Path(words[0]))
        words[:1] = ["--config", words[0]]
    parser = build_parser()
    known = [*field_names(RunSpec), "config", "output", "resume", "force", "json", "help", "print_config"]
    for word in words:
        name = word[2:].split("=")[0]
        if word.startswith("--") and name not in known:
            raise SpecError(f"--{name}: no such option{nearest(name, known, '--')}; see unina-train --help")
    try:
        parsed = parser.parse_args(words)
        values = parser.instantiate(parsed)
        spec = RunSpec(**{f.name: values[f.name] for f in dataclasses.fields(RunSpec)})
    except (ArgumentError, ValueError, TypeError) as error:
        raise SpecError(" ".join(str(error).split())) from error
    if values.resume and values.force:
        raise SpecError("--resume goes on with a run, --force throws it away: give one of them")
    if not spec.data and not spec.sources:
        raise SpecError("no data set: give --data path/to/data.yaml")
    if spec.train.device == "cuda" and not torch.cuda.is_available():
        raise SpecError("train.device: cuda: torch finds no CUDA device; use cpu or auto")
    return Options(spec, Path(values.output), values.resume, values.force, values.json)


def check_yaml(path: Path) -> None:
    """Raises SpecError unless the file is a mapping whose keys are fields of the spec."""
    if not path.is_file():
        raise SpecError(f"{path}: no such spec")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    known = field_names(RunSpec)

    def walk(mapping: object, prefix: str) -> None:
        if isinstance(mapping, list):
            for item in mapping:
                walk(item, prefix)
            return
        if mapping is None and prefix in {"validation.", "distil.", "quantise.", "model.plan."}:
            return  # a block with nothing behind it
        if not isinstance(mapping, dict):
            raise SpecError(f"{path}: {prefix.rstrip('.') or 'the file'}: must be a mapping of fields to values")
        for key, value in mapping.items():
            name = f"{prefix}{key}"
            if name not in known:
                raise SpecError(f"{path}: {name}: no such field{nearest(name, known)}")
            if any(other.startswith(f"{name}.") for other in known):
                walk(value, f"{name}.")

    walk(content or {}, "")


def field_names(spec: type, prefix: str = "") -> list[str]:
    """Dotted names of all fields of a dataclass of dataclasses (optional ones and tuples too): train, train.lr, …"""
    names = []
    hints = typing.get_type_hints(spec)
    for field in dataclasses.fields(spec):
        names.append(prefix + field.name)
        for inner in (hints[field.name], *typing.get_args(hints[field.name])):
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                names += field_names(inner, f"{prefix}{field.name}.")
    return names


def nearest(name: str, known: Sequence[str], prefix: str = "") -> str:
    """A hint at the likeliest name, or nothing."""
    by_leaf = [k for k in known if k.split(".")[-1] == name.rsplit(".", maxsplit=1)[-1]]
    close = by_leaf or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def train(options: Options, processes: Processes) -> Result:
    """Prepares RUN_DIR and runs."""
    output = options.output
    began = (output / CHECKPOINT).exists() or (output / SPEC).exists()
    if processes.first:
        check_output(options, began)
    processes.wait()  # from here on the first one may write there
    mixture = load_mixture(options.spec)
    with display(options, processes) as watch:
        graph = deploy_graph(options.spec, mixture.names) if options.spec.quantise else None
        trainer = Trainer(options.spec, mixture, output, watch, options.resume, processes, graph)
        if options.force and began and processes.first:
            for path in (output / name for name in WRITTEN):
                if path.is_dir():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
        return trainer.run()


def deploy_graph(spec: RunSpec, names: tuple[str, ...]) -> Graph:
    """The operators of the deployed network, for training in integers; traced at the size of a crop."""
    size = dataclasses.replace(spec.model, input_height=spec.train.crop, input_width=spec.train.crop)
    return read_graph(export_onnx(Detector(size, len(names), names).deploy()))


def check_output(options: Options, began: bool) -> None:
    """Raises SpecError unless RUN_DIR is new, or is a run that may go on or be thrown away."""
    output = options.output
    if output.exists() and not output.is_dir():
        raise SpecError(f"{output}: is a file; --output names a folder")
    if output.is_dir() and any(output.iterdir()) and not options.resume:
        if not options.force:
            raise SpecError(f"{output}: exists already; --resume goes on with that run, --force throws it away")
        if not began:
            raise SpecError(f"{output}: is no run of unina-train; --force only throws away runs")


@contextlib.contextmanager
def display(options: Options, processes: Processes) -> Iterator[Watch]:
    """A progress bar on a terminal; a line an epoch elsewhere; nothing from any process but the first."""
    train_spec = options.spec.train
    silent = options.json or not processes.first
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=silent or not console.is_terminal) as progress:
        reading = progress.add_task("reading", total=None, note="pictures")
        steps = progress.add_task("training", total=train_spec.steps, start=False, visible=False, note="")
        began: list[int] = []

        def on_step(step: int, loss: float) -> None:
            if not began:
                began.append(step - 1)
                progress.update(reading, visible=False)
                progress.update(steps, visible=True)
                progress.start_task(steps)
            elapsed = progress.tasks[1].elapsed or 1e-9
            rate = (step - began[0]) * train_spec.batch / elapsed
            progress.update(steps, completed=step, note=f"loss {loss:.2f}, {rate:.0f} images/s")

        def on_epoch(row: EpochRow) -> None:
            if not silent and (not console.is_terminal or row.map50 is not None):
                accuracy = "" if row.map50 is None else f"  mAP50 {row.map50:.3f}"
                console.print(
                    f"epoch {row.epoch}/{train_spec.epochs}  loss {row.loss:.3f}  class {row.class_loss:.3f}  "
                    f"box {row.box_loss:.3f}  dfl {row.dfl_loss:.3f}  {row.images_per_s:.0f} images/s{accuracy}",
                    highlight=False,
                )

        def on_note(text: str) -> None:
            if not silent:
                console.print(text, highlight=False)

        yield Watch(
            note=on_note,
            reading=lambda total: progress.update(reading, total=total),
            read=lambda: progress.advance(reading),
            step=on_step,
            epoch=on_epoch,
        )


def report(result: Result, options: Options) -> None:
    """Writes the page about the val split; prints the closing lines, or the JSON."""
    metrics = None if result.metrics is None else dataclasses.asdict(result.metrics)
    page = None
    if result.scored is not None:
        from unina.evaluate.report import write_report  # noqa: PLC0415  (matplotlib takes a second to load)

        page = write_report(options.output / REPORT, result.scored, title=f"{options.output.name} on its val split")
    if options.json:
        summary: dict[str, Any] = {
            "checkpoint": str(result.checkpoint),
            "steps": result.steps,
            "images": result.images,
            "seconds": round(result.seconds, 1),
            "val": metrics,
            "report": None if page is None else str(page),
        }
        print(json.dumps(summary, indent=2))
        return
    rate = result.images / max(result.seconds, 1e-9)
    print(f"{result.images} crops in {result.seconds:.0f} s ({rate:.0f} images/s): {result.checkpoint}")
    if result.metrics is not None:
        classes = ", ".join(f"{name} {ap:.3f}" for name, ap in result.metrics.ap50.items())
        print(f"val: mAP50 {result.metrics.map50:.3f}, mAP50-95 {result.metrics.map50_95:.3f} ({classes})")
        print(f"curves, confusion matrix and the worst pictures: {page}")


if __name__ == "__main__":
    sys.exit(main())
