"""`unina-eval`: the accuracy of every stage of a bundle on a labelled split, in one table."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from unina.data import DataError, load_dataset, read_image
from unina.evaluate import Head, HostStage, Metrics, OnnxStage, Stage, TorchStage, score
from unina.model import load_checkpoint
from unina_runtime import UninaError

STAGES = ("torch", "onnx", "qdq", "host")


def main() -> int:
    """Exit code 0 when scored, 2 when it can't say."""
    parser = argparse.ArgumentParser(
        prog="unina-eval",
        description="COCO mAP of a bundle's stages on a labelled split: torch (needs --checkpoint), onnx, qdq, host.",
        epilog="example: unina-eval cones.unina --data cones/data.yaml --split test --stages onnx,host",
    )
    parser.add_argument("bundle", type=Path, help="a bundle directory, NAME.unina")
    parser.add_argument("--data", type=Path, required=True, help="data.yaml of a labelled YOLO-txt data set")
    parser.add_argument("--split", default="val", help="split of the data set (default: val)")
    parser.add_argument("--stages", default="onnx,qdq,host", help=f"comma-separated, of {', '.join(STAGES)}")
    parser.add_argument("--checkpoint", type=Path, help="the checkpoint that the bundle came from, for the stage torch")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=Path, help="write the JSON to this file as well")
    arguments = parser.parse_args()
    try:
        metrics = evaluate_bundle(
            arguments.bundle, arguments.data, arguments.split, arguments.stages.split(","), arguments.checkpoint
        )
    except (DataError, UninaError, ValueError, OSError) as error:
        print(f"unina-eval: {error}", file=sys.stderr)
        return 2
    text = json.dumps({stage: m.to_json() for stage, m in metrics.items()}, indent=2)
    if arguments.output:
        temporary = arguments.output.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(arguments.output)
    if arguments.json:
        print(text)
    else:
        Console().print(table(metrics))
    return 0


def evaluate_bundle(
    bundle: Path, data: Path, split: str, stages: list[str], checkpoint: Path | None = None
) -> dict[str, Metrics]:
    """Scores the named stages of a bundle, in the order given.

    Raises:
        ValueError: an unknown stage or split, or a manifest that can't be read.
    """
    try:
        manifest = json.loads((bundle / "manifest.json").read_text())
        head = Head.of_manifest(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{bundle / 'manifest.json'}: not a readable bundle manifest ({error})") from error
    makers = _stages(bundle, head, checkpoint)
    for name in stages:
        if name not in makers:
            wanted = "give --checkpoint" if name == "torch" else f"stages are {', '.join(STAGES)}"
            raise ValueError(f"stage {name!r}: {wanted}")
    dataset = load_dataset(data)
    if split not in dataset.splits:
        raise ValueError(f"{data}: no split {split!r}; it has {', '.join(dataset.splits)}")
    if list(dataset.names) != manifest["classes"]:
        raise ValueError(f"{data}: classes {list(dataset.names)} are not the bundle's {manifest['classes']}")
    samples = dataset.split(split)
    results = {}
    for name in stages:
        stage = makers[name]()
        progress = track(samples, f"{name} on {split}", console=Console(stderr=True), transient=True)
        results[name] = score(samples, [stage(read_image(sample.image)) for sample in progress], dataset.names)
    return results


def _stages(bundle: Path, head: Head, checkpoint: Path | None) -> dict[str, Callable[[], Stage]]:
    makers: dict[str, Callable[[], Stage]] = {
        "onnx": lambda: OnnxStage(bundle / "model.onnx", head),
        "qdq": lambda: OnnxStage(bundle / "model.qdq.onnx", head),
        "host": lambda: HostStage(bundle / "host.loadable", head),
    }
    if checkpoint is not None:
        makers["torch"] = lambda: TorchStage(load_checkpoint(checkpoint).model.deploy(), head)
    return makers


def table(metrics: dict[str, Metrics]) -> Table:
    """One row a stage; the last columns are the classes' AP50."""
    first: Any = next(iter(metrics.values()))
    result = Table(title=f"accuracy on {first.images} pictures, {first.boxes} boxes")
    result.add_column("stage")
    for column in ("mAP50", "mAP50-95", *first.ap50):
        result.add_column(column, justify="right")
    for stage, m in metrics.items():
        result.add_row(stage, *(f"{value:.3f}" for value in (m.map50, m.map50_95, *m.ap50.values())))
    return result


if __name__ == "__main__":
    sys.exit(main())
