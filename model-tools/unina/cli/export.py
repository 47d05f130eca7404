"""`unina-export`: from a checkpoint to a bundle, with the proof that nothing was lost on the way."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from unina.cli.exit_code import exit_code
from unina.cli.export_onnx import add_onnx, check_form, run_onnx

if TYPE_CHECKING:  # torch and ONNX Runtime take seconds to load: --help and a mistyped option need not wait
    from unina.export import ExportResult
    from unina.export.precision import NotAccurate

TENSORRT_PLUGIN, DEEPSTREAM = "tensorrt-plugin", "deepstream"
"""subcommands, for a bundle that is there already"""
EXAMPLES = """examples:
  unina-export runs/pico/checkpoint.pt --data cones/data.yaml --output build/cones.unina
  unina-export runs/pico/checkpoint.pt --data cones/data.yaml --output build/cones.unina --force --calibration entropy

  unina-export runs/b1/checkpoint.pt --data cones/data.yaml --output build/b1.unina --precision auto --max-drop 0.3
  unina-export --from-onnx resnet.onnx --mean imagenet --data cones/data.yaml --output build/resnet.unina
  unina-export tensorrt-plugin build/cones.unina --output cones_boxes.onnx    ends in boxes on TensorRT: its own --help
  unina-export deepstream build/cones.unina --output build/deepstream    a bundle for DeepStream: its own --help

Calibrates on the split train, scores every stage (torch, fused, onnx, qdq, host) on the split val, and sets each
class's threshold to the score with the best F1 there. Pages: docs/bundle.md, docs/quantisation.md.

INT8 everywhere is the default: in FP16 a convolution is estimated to take the DLA about forty times as long.
--precision auto tells which convolutions INT8 costs most, and puts the fewest of them into FP16 that keep mAP50-95 of
the host engine within --max-drop points of FP32; normally none, or a few output convolutions.
Exit code: 0 written, 1 no set of layers keeps to --max-drop, 2 not written for another reason (the line on stderr says
which; nothing is left behind).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == [TENSORRT_PLUGIN]:
        from unina.cli.export_tensorrt_plugin import main as tensorrt_plugin  # noqa: PLC0415

        return tensorrt_plugin(words[1:])
    if words[:1] == [DEEPSTREAM]:
        from unina.cli.export_deepstream import main as deepstream  # noqa: PLC0415

        return deepstream(words[1:])
    arguments = parser().parse_args(words)
    return exit_code("unina-export", lambda: _run(arguments))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="unina-export",
        description="Turns a checkpoint of unina-train, or anybody's ONNX file, into a bundle: ONNX, "
        "calibration cache, Q/DQ graph and host "
        "loadable from one scale map, checked against each other.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = top.add_argument
    add("checkpoint", type=Path, nargs="?", help="checkpoint.pt of unina-train")
    add("--data", type=Path, required=True, metavar="DATA.yaml", help="data set with the splits train and val")
    add("--output", type=Path, required=True, metavar="NAME.unina", help="bundle directory to write")
    add(
        "--calibration",
        choices=("minmax", "entropy", "percentile", "mse"),
        default="minmax",
        help="how activation ranges are found (default: minmax; the others clip the tail, where small cones live); "
        "a checkpoint that was trained in integers brings its own",
    )
    add("--calibration-images", type=int, default=128, metavar="N", help="pictures of train to use (default: 128)")
    add("--seed", type=int, default=0, help="of the draw of those pictures (default: 0)")
    add(
        "--rounding",
        choices=("half-away", "half-even"),
        default="half-away",
        help="of the host engine: half-away as the DLA (default), half-even as ONNX Runtime and the GPU",
    )
    add(
        "--score-threshold",
        type=float,
        default=0.3,
        metavar="S",
        help="for classes that val cannot tell one for, and all of them with --no-accuracy (default: 0.3)",
    )
    add(
        "--precision",
        choices=("int8", "auto"),
        default="int8",
        help="int8: everything (default); auto: the fewest convolutions in FP16 that keep to --max-drop",
    )
    add(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="of mAP50-95 that the host engine may lose against FP32 on val, with --precision auto (default: 0.3)",
    )
    add(
        "--fp16-layers",
        type=Path,
        metavar="FILE",
        help="put these convolutions into FP16: a layer_precisions.txt, NAME:fp16 a line, with the names in model.onnx",
    )
    add("--sign", type=Path, metavar="KEY", help="sign the manifest: an Ed25519 key in PEM (docs/first-boot.md)")
    add("--name", help="name in the manifest (default: NAME of --output)")
    add("--force", action="store_true", help="replace the bundle if it exists")
    add("--no-accuracy", action="store_true", help="do not score the stages on val: faster, says less")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    add_onnx(top)
    return top


def _run(arguments: argparse.Namespace) -> int:
    from unina.export.precision import NotAccurate  # noqa: PLC0415

    try:
        check_form(arguments)
        if arguments.from_onnx is not None:
            with _progress() as progress:
                return run_onnx(arguments, progress)
        result = _export(arguments)
    except NotAccurate as error:
        _report_failure(error, as_json=arguments.json)
        print(f"unina-export: {error}; nothing was written", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        _report(result)
    return 0


def _export(arguments: argparse.Namespace) -> "ExportResult":
    from unina.export import ExportSettings, export_bundle  # noqa: PLC0415

    settings = ExportSettings(
        checkpoint=arguments.checkpoint,
        data=arguments.data,
        output=arguments.output,
        calibration=arguments.calibration,
        calibration_images=arguments.calibration_images,
        rounding=arguments.rounding,
        score_threshold=arguments.score_threshold,
        name=arguments.name,
        seed=arguments.seed,
        force=arguments.force,
        accuracy=not arguments.no_accuracy,
        precision=arguments.precision,
        max_drop=arguments.max_drop,
        fp16_layers=arguments.fp16_layers,
        sign=arguments.sign,
    )
    with _progress() as progress:
        return export_bundle(settings, progress)


@contextmanager
def _progress() -> Iterator[Callable[[str, int], AbstractContextManager[Callable[[], None]]]]:
    """Bars on stderr, one for each thing that takes a while."""
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        @contextmanager
        def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
            task = bars.add_task(title, total=total)
            yield lambda: bars.advance(task)

        yield progress


def _report(result: "ExportResult") -> None:
    from unina.export.exporter import precision_json  # noqa: PLC0415
    from unina.export.parity import LOW_SNR_DB, parity_table  # noqa: PLC0415
    from unina.export.precision import sensitivity_table  # noqa: PLC0415
    from unina.export.report import precision_sentence  # noqa: PLC0415

    console = Console()
    console.print(parity_table(result.parity))
    for row in result.parity:
        if row.host_snr_db < LOW_SNR_DB:
            console.print(
                f"warning: {row.output}: the signal is only {row.host_snr_db:.0f} dB above the error of INT8; "
                "calibrate on more pictures, or with another --calibration"
            )
    accuracy = result.scores.accuracy
    if accuracy:
        first = accuracy["torch"]
        table = Table(title=f"accuracy on val: {first.images} pictures, {first.boxes} boxes", title_justify="left")
        table.add_column("stage")
        for column in ("mAP50", "mAP50-95", *first.ap50):
            table.add_column(column, justify="right")
        for stage, metrics in accuracy.items():
            values = (metrics.map50, metrics.map50_95, *metrics.ap50.values())
            table.add_row(stage, *(f"{value:.3f}" for value in values))
        console.print(table)
    if result.precision.sensitivity is not None:
        console.print(sensitivity_table(result.precision.sensitivity, result.precision.promoted))
    told = precision_json(result.precision, result.scores)
    if told:
        console.print(precision_sentence(told["precision"]), highlight=False)
        for layer in result.precision.layers:
            console.print(f"  {layer.name}: +{layer.price_ms:.3f} ms", highlight=False)
    thresholds = ", ".join(f"{name} {value:.2f}" for name, value in zip(result.classes, result.thresholds, strict=True))
    console.print(f"thresholds: {thresholds}", highlight=False)
    verdicts, now = result.dla.check, next(iter(result.dla.estimates.values()))
    verdict = "every node" if verdicts.on_dla else "NOT every node (unina-dla check says which and why)"
    console.print(f"on the DLA, by its documented rules: {verdict}; estimated {now}", highlight=False)
    console.print(f"wrote {result.bundle} ({result.bytes / 2**20:.1f} MiB)", highlight=False)


def _report_failure(error: "NotAccurate", *, as_json: bool) -> None:
    """What was found out before it turned out not to be possible."""
    from unina.export.precision import sensitivity_table  # noqa: PLC0415

    if as_json:
        best = {"drop": error.best.drop, "fp16_layers": list(error.best.layers)}
        print(json.dumps({"bundle": None, "best": best, "sensitivity": error.sensitivity.to_json()}, indent=2))
    else:
        Console().print(sensitivity_table(error.sensitivity, error.best.layers))


if __name__ == "__main__":
    sys.exit(main())
