"""`unina-prune`: a checkpoint with fewer channels, at once or in rounds with training between."""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from unina.cli.exit_code import STOPPED, exit_code
from unina.data.whole import write_whole
from unina.dla.platforms import POWER_MODES

if TYPE_CHECKING:  # torch takes seconds to load: --help need not wait
    from unina.compress.prune import PruneSpec
    from unina.compress.prune_rounds import Retraining, Round
    from unina.model import Checkpoint

CHECKPOINT, MODEL, SUMMARY, ASKED = "checkpoint.pt", "model.yaml", "prune.json", "asked.json"
EXAMPLES = """examples:
  unina-prune runs/b1/checkpoint.pt --ratio 0.5 --output runs/half
  unina-train ours.yaml --config runs/half/model.yaml --train.init_from runs/half/checkpoint.pt --output runs/again
  unina-prune runs/b1/checkpoint.pt --rounds 3 --retrain ours.yaml --data ours/data.yaml --output runs/half
  unina-prune runs/half/checkpoint.pt --pattern 2:4 --output runs/sparse
  unina-prune … --retrain ours.yaml --train.epochs 20 --distil.teacher big/checkpoint.pt   options of unina-train

Writes OUT/checkpoint.pt (every command takes it), OUT/model.yaml (its `model:` for a spec) and OUT/prune.json; with
--retrain also OUT/round-1/, …: each with the pruned checkpoint and the training run. Page: docs/pruning.md.
Exit code: 0 pruned as asked, 1 stopped by --max-drop before that (OUT/checkpoint.pt is the last good round, if there
was one), 2 not pruned (the line on stderr says why), 130 stopped by Ctrl-C (--resume goes on).
"""
console = Console(stderr=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    arguments, training = parser().parse_known_args(argv)
    from unina.train.trainer import Interrupted, TrainingError  # noqa: PLC0415

    def work() -> int:
        try:
            return _run(arguments, training)
        except Interrupted as stop:
            print(f"unina-prune: training {stop}; go on with the same command and --resume", file=sys.stderr)
            return STOPPED

    stopped = "stopped; --resume goes on from the last checkpoint"
    return exit_code("unina-prune", work, stopped, refusals=(ValueError, TrainingError))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="unina-prune",
        usage="unina-prune CKPT --ratio R --output OUT [--rounds N --retrain SPEC.yaml [--data data.yaml …]] [options]",
        description="Takes the channels that matter least out of a detector, whole, so that it is faster everywhere.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = top.add_argument
    add("checkpoint", type=Path, metavar="CKPT", help="checkpoint.pt of unina-train")
    add("--output", type=Path, required=True, metavar="OUT", help="folder to write")
    add("--ratio", type=float, default=0.5, metavar="R", help="part of the filters that goes (default: 0.5)")
    multiple_help = "widths are multiples of this (default: 32, in which the DLA computes channels)"
    add("--multiple", type=int, choices=(8, 16, 32), default=32, help=multiple_help)
    least_help = "smallest width that a layer is pruned to (default: that of --multiple)"
    add("--min-width", type=int, default=0, metavar="N", help=least_help)
    scope_help = "global: layers that matter least give up most (default); layer: all the same part"
    add("--scope", choices=("global", "layer"), default="global", help=scope_help)
    add("--rounds", type=int, default=1, metavar="N", help="prune in N parts, training after each (default: 1)")
    add("--retrain", type=Path, metavar="SPEC.yaml", help="spec of the training after each round; see the examples")
    drop_help = "points of mAP50-95 that a round may lie below CKPT; the first that does ends it (default: 1.5)"
    add("--max-drop", type=float, default=1.5, metavar="POINTS", help=drop_help)
    pattern_help = "instead of channels: zero the 2 smallest of every 4 weights wherever the DLA can skip them"
    add("--pattern", choices=("2:4",), help=pattern_help)
    add("--mode", choices=tuple(POWER_MODES), default="MAXN", help="power mode of the estimate (default: MAXN)")
    add("--resume", action="store_true", help="go on with the rounds in OUT")
    add("--force", action="store_true", help="throw away what an earlier unina-prune left in OUT")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return top


def _run(arguments: argparse.Namespace, training: list[str]) -> int:
    from unina.cli.prune_figures import figures_of, table  # noqa: PLC0415
    from unina.compress.prune import PruneError, PruneSpec  # noqa: PLC0415
    from unina.model import load_checkpoint  # noqa: PLC0415
    from unina.train.progress import plain  # noqa: PLC0415
    from unina.train.ranges import check_range  # noqa: PLC0415

    if arguments.output.resolve() in arguments.checkpoint.resolve().parents:
        raise PruneError(f"{arguments.checkpoint}: lies in {arguments.output}; name another folder for what is left")
    if arguments.pattern is not None:
        return _to_pattern(arguments, training)
    spec = PruneSpec(arguments.ratio, arguments.multiple, arguments.min_width, arguments.scope)
    if arguments.retrain is None and training:
        raise PruneError(f"{training[0]}: no such option; options of unina-train go with --retrain SPEC.yaml")
    if arguments.retrain is None and arguments.rounds != 1:
        raise PruneError(
            f"--rounds {arguments.rounds}: give --retrain SPEC.yaml: rounds make sense with training between"
        )
    check_range("--rounds", arguments.rounds, 1, 100)
    check_range("--max-drop", arguments.max_drop, 0, 100)
    if arguments.retrain is None and arguments.resume:
        raise PruneError("--resume goes on with rounds; there are none without --retrain")
    start = load_checkpoint(arguments.checkpoint)
    if start.scales is not None:
        console.print("trained in integers: its scales do not outlive pruning; train in integers again afterwards")
    if start.masks is not None:
        console.print("sparse 2:4: that does not outlive the loss of channels; --pattern 2:4 comes last")
    before = figures_of(start.spec, len(start.classes), POWER_MODES[arguments.mode])
    asked = asdict(spec) | {"rounds": arguments.rounds}
    asked["checkpoint_sha256"] = hashlib.sha256(arguments.checkpoint.read_bytes()).hexdigest()
    output: Path = arguments.output
    found: Checkpoint | None = _at_once(start, spec)  # first of all: whether the widths can be reached
    rounds: list[Round] = []
    if arguments.retrain is None:
        _prepare(output, asked, resume=False, force=arguments.force)
    else:
        retraining = _retraining(arguments, training, start)
        told = plain(retraining.spec)
        _prepare(output, asked | {"retrain": told}, resume=arguments.resume, force=arguments.force)
        found, rounds = _in_rounds(start, spec, arguments, retraining)
    stopped = bool(rounds) and rounds[-1].drop > arguments.max_drop
    summary: dict[str, Any] = {"asked": asked, "reached": not stopped, "before": asdict(before), "after": None}
    summary["rounds"] = [asdict(one) for one in rounds]
    after = None
    for stale in (output / CHECKPOINT, output / MODEL):  # of a session with another --max-drop
        stale.unlink(missing_ok=True)
    if found is not None:
        after = figures_of(found.spec, len(found.classes), POWER_MODES[arguments.mode])
        summary |= {"after": asdict(after), "plan": asdict(found.spec.stages)}
        _write(output, found, asked | {"filters": [before.filters, after.filters]})
    write_whole(output / SUMMARY, json.dumps(summary, indent=2).encode())
    if arguments.json:
        print(json.dumps(summary | {"checkpoint": str(output / CHECKPOINT) if found else None}, indent=2))
    else:
        Console().print(
            table(before, after, start.spec, None if found is None else found.spec, rounds), highlight=False
        )
        _closing(output, stopped, rounds, arguments.max_drop, found is not None)
    return 1 if stopped else 0


def _to_pattern(arguments: argparse.Namespace, training: list[str]) -> int:
    """`--pattern`: a sparse checkpoint."""
    from unina.cli.prune_sparse import SparseFigures, sparse_table  # noqa: PLC0415
    from unina.compress.prune import PruneError  # noqa: PLC0415
    from unina.compress.prune_pattern import prune_pattern  # noqa: PLC0415
    from unina.dla.network import read_network  # noqa: PLC0415
    from unina.export.onnx_graph import export_onnx  # noqa: PLC0415
    from unina.model import Checkpoint, load_checkpoint  # noqa: PLC0415

    if training or arguments.retrain is not None or arguments.rounds != 1 or arguments.resume:
        raise PruneError("--pattern: goes at once; train on afterwards with unina-train, which keeps the zeros")
    start = load_checkpoint(arguments.checkpoint)
    network = read_network(export_onnx(start.model.deploy()))
    found = prune_pattern(start.model, network)
    figures = SparseFigures.of(network, found, POWER_MODES[arguments.mode])
    asked: dict[str, Any] = {"pattern": arguments.pattern}
    asked["checkpoint_sha256"] = hashlib.sha256(arguments.checkpoint.read_bytes()).hexdigest()
    output: Path = arguments.output
    _prepare(output, asked, resume=False, force=arguments.force)
    _write(
        output,
        Checkpoint(found.model, start.spec, start.classes, start.info | {"metrics": None}, None, found.masks),
        asked,
    )
    summary = {"asked": asked, "figures": asdict(figures), "sparse": found.convolutions, "dense": found.dense}
    write_whole(output / SUMMARY, json.dumps(summary, indent=2).encode())
    if arguments.json:
        print(json.dumps(summary | {"checkpoint": str(output / CHECKPOINT)}, indent=2))
    else:
        Console().print(sparse_table(figures, found), highlight=False)
        print(f"wrote {output / CHECKPOINT}; train on with unina-train --train.init_from, which keeps the zeros")
    return 0


def _closing(output: Path, stopped: bool, rounds: "list[Round]", max_drop: float, left: bool) -> None:
    if stopped:
        last = rounds[-1]
        kept = f"{output / CHECKPOINT} is the round before" if left else "no round was good enough to keep"
        print(f"round {last.number} lost {last.drop:.2f} points of mAP50-95, more than {max_drop:g}: stopped; {kept}")
    else:
        print(f"wrote {output / CHECKPOINT}" + ("" if rounds else "; not trained since: see the examples of --help"))


def _prepare(output: Path, asked: dict[str, Any], *, resume: bool, force: bool) -> None:
    """Makes the folder; raises PruneError unless it is new, or may go on or be thrown away."""
    from unina.compress.prune import PruneError  # noqa: PLC0415
    from unina.train.progress import first_difference  # noqa: PLC0415

    if resume and force:
        raise PruneError("--resume goes on with the rounds, --force throws them away: give one of them")
    if output.exists() and not output.is_dir():
        raise PruneError(f"{output}: is a file; --output names a folder")
    began = output / ASKED
    if output.is_dir() and any(output.iterdir()):
        if not began.exists():
            raise PruneError(f"{output}: holds other things than of unina-prune; name another folder")
        if resume:
            try:
                before = json.loads(began.read_bytes())
            except ValueError as error:
                raise PruneError(f"{began}: not JSON; start anew with --force") from error
            for name, value in asked.items():
                old = before.get(name)
                if name != "retrain" and old != value:
                    raise PruneError(f"{output}: was begun with {name} {old}, now {value}; --force throws it away")
                difference = first_difference(old or {}, value) if name == "retrain" else ""
                if difference:
                    raise PruneError(
                        f"{output}: was begun with another training ({difference}); --force throws it away"
                    )
            return
        if not force:
            raise PruneError(f"{output}: exists already; --resume goes on with its rounds, --force throws it away")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    write_whole(began, json.dumps(asked, indent=2).encode())


def _at_once(start: "Checkpoint", spec: "PruneSpec") -> "Checkpoint":
    from unina.compress.prune import prune  # noqa: PLC0415
    from unina.model import Checkpoint  # noqa: PLC0415

    model = prune(start.model, spec).model
    return Checkpoint(model, model.spec, start.classes, start.info | {"metrics": None})


def _in_rounds(
    start: "Checkpoint", spec: "PruneSpec", arguments: argparse.Namespace, retraining: "Retraining"
) -> "tuple[Checkpoint | None, list[Round]]":
    """The last good round, and all."""
    from unina.compress.prune_rounds import prune_in_rounds  # noqa: PLC0415
    from unina.model import load_checkpoint  # noqa: PLC0415

    rounds: list[Round] = []
    good = None
    for one in prune_in_rounds(start, spec, arguments.rounds, arguments.max_drop, retraining, arguments.output):
        rounds.append(one)
        if not arguments.json:
            console.print(
                f"round {one.number}/{arguments.rounds}: {one.filters} filters left, mAP50-95 {one.map50_95:.3f}, "
                f"{one.drop:+.2f} points below the start",
                highlight=False,
            )
        if one.drop <= arguments.max_drop:
            good = load_checkpoint(arguments.output / one.checkpoint)
    return good, rounds


def _retraining(arguments: argparse.Namespace, training: list[str], start: "Checkpoint") -> "Retraining":
    """The spec and the data of the training between rounds; raises PruneError, SpecError or DataError."""
    from dataclasses import replace  # noqa: PLC0415

    from unina.cli.train import Options, display, parse  # noqa: PLC0415
    from unina.compress.prune import PruneError  # noqa: PLC0415
    from unina.compress.prune_rounds import Retraining  # noqa: PLC0415
    from unina.train.mixture import load_mixture  # noqa: PLC0415
    from unina.train.processes import joined  # noqa: PLC0415

    options = parse([str(arguments.retrain), "--output", str(arguments.output), *training])
    if options.spec.quantise is not None:
        raise PruneError(f"{arguments.retrain}: quantise: prune in float, train in integers afterwards")
    if options.spec.classes and set(options.spec.classes) != set(start.classes):
        theirs, ours = ", ".join(options.spec.classes), ", ".join(start.classes)
        raise PruneError(f"{arguments.retrain}: classes: {theirs}: the checkpoint knows {ours}")
    spec = replace(options.spec, classes=start.classes, model=start.spec)
    with joined(spec.train.device) as processes:
        if processes.count > 1:
            raise PruneError("runs in one process; retrain by unina-train under torchrun instead")
    return Retraining(
        spec,
        load_mixture(spec),
        lambda run: display(Options(run, arguments.output, False, False, arguments.json), processes),
        processes,
    )


def _write(output: Path, found: "Checkpoint", pruned: dict[str, Any]) -> None:
    from unina.model import save_checkpoint  # noqa: PLC0415

    save_checkpoint(output / CHECKPOINT, found.model, found.info | {"pruned": pruned}, masks=found.masks)
    text = yaml.safe_dump({"model": json.loads(json.dumps(asdict(found.spec)))}, sort_keys=False)
    write_whole(output / MODEL, text.encode())


if __name__ == "__main__":
    sys.exit(main())
