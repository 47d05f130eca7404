"""`make demo`: a data set goes in, detections and a report come out, by the same commands that a user would type."""

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unina.cli import demo_report
from unina.cli.steps import StepError, Steps
from unina.data import DataError, Dataset, load_dataset

UNINA = Path(__file__).parents[1]
SPEC = UNINA.parent / "specs" / "pico-demo.yaml"
BIN = Path(sys.executable).parent
SCENES = {"train": 480, "val": 60, "test": 60}
console = Console()


def main() -> int:
    """Exit code 0 when every step went well, 2 when one failed."""
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Data set → training → calibration → bundle → unina-detector on the host accelerator → report.",
    )
    parser.add_argument("--data", type=Path, help="data.yaml of a YOLO-txt data set; default: synthetic cones")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder to write (default: build/demo)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        result = run(arguments.output, arguments.data)
    except (StepError, DataError) as error:
        console.print(f"[bold red]demo:[/] {error}", highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("\ndemo: stopped; `make demo` repeats the step that was under way")
        return 130
    console.print(summary(result, arguments.output, time.monotonic() - begin))
    return 0


def run(output: Path, data: Path | None) -> dict[str, Any]:
    """All steps, in order; returns what the report and the table show."""
    output.mkdir(parents=True, exist_ok=True)
    steps = Steps(output, lambda line: console.print(line, highlight=False))
    bundle, checkpoint = output / "cones.unina", output / "run" / "checkpoint.pt"
    records, frames = output / "detections.jsonl", output / "frames"

    if data is None:
        data = output / "data" / "data.yaml"
        counts = [word for split, n in SCENES.items() for word in (f"--{split}", str(n))]
        steps.run(
            "synthesise a cone data set",
            [BIN / "unina-data", "synthesize", "--output", data.parent, *counts, "--seed", "0", "--force"],
            reads=[UNINA / "data"],
            makes=[data],
            advice="Is the disk full?",
        )
    else:
        steps.run(
            "check the data set",
            [BIN / "unina-data", "validate", data],
            reads=[UNINA / "data"],
            makes=[],
            advice="Mend the lines above, then repeat.",
            key=load_dataset(data).sha256,
        )
    dataset = load_dataset(data)
    split = "test" if dataset.splits.get("test") else "val"

    steps.run(
        "train a pico detector",
        [BIN / "unina-train", SPEC, "--data", data, "--output", checkpoint.parent, "--force"],
        reads=[SPEC, UNINA / "model", UNINA / "train", UNINA / "evaluate"],
        makes=[checkpoint],
        advice="The message above says why; `make demo` repeats from here.",
    )
    steps.run(
        "calibrate and export the bundle",
        [BIN / "unina-export", checkpoint, "--data", data, "--output", bundle, "--force"],
        reads=[UNINA / "dla", UNINA / "compress", UNINA / "export"],
        makes=[bundle / "manifest.json"],
        advice="The message above says why; `make demo` repeats from here.",
    )
    steps.run(
        f"score the stages on the {split} split",
        [
            *(BIN / "unina-eval", bundle, "--checkpoint", checkpoint, "--data", data, "--split", split),
            *("--stages", "torch,onnx,qdq,host", "--output", output / "accuracy.json"),
        ],
        reads=[UNINA / "evaluate", BIN / "unina-detector"],
        makes=[output / "accuracy.json"],
        advice="The message above says why; `make demo` repeats from here.",
    )
    steps.run(
        "run unina-detector on unseen frames",
        [
            *(BIN / "unina-detector", "--bundle", bundle, "--accelerator", "host", "--threads", "2"),
            *("--source", f"images:{unseen(dataset, split, output)}", "--output", records, "--annotate", frames),
        ],
        reads=[BIN / "unina-detector"],
        makes=[records, frames],
        advice="`.venv/bin/unina-detector --help` explains its options.",
    )

    result = {
        "data": str(data),
        "split": split,
        "accuracy": json.loads((output / "accuracy.json").read_text()),
        "manifest": json.loads((bundle / "manifest.json").read_text()),
        "frames": [json.loads(line) for line in records.read_text().splitlines()],
        "seconds": steps.seconds,
    }
    demo_report.write(output / "report.html", result, dataset, frames=frames, metrics=checkpoint.parent / "metrics.csv")
    return result


def unseen(dataset: Dataset, split: str, output: Path) -> Path:
    """A folder that holds the pictures of the split and nothing else: links, in the order of the split."""
    folder = output / "unseen"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, sample in enumerate(dataset.split(split)):
        (folder / f"{number:04d}_{sample.image.name}").symlink_to(sample.image.resolve())
    return folder


def frame_ms(frames: list[dict[str, Any]]) -> float:
    """Median time of a frame from picture to detections, in milliseconds, reading the file aside."""
    stages = ("preprocess", "infer", "decode")
    return float(statistics.median(sum(frame["latency_ms"][stage] for stage in stages) for frame in frames))


def summary(result: dict[str, Any], output: Path, seconds: float) -> Table:
    """The closing table."""
    accuracy, frames = result["accuracy"], result["frames"]
    found = sum(len(frame["detections"]) for frame in frames)
    rows = {
        "pictures": f"{len(frames)} unseen ({result['split']} split), {found} cones found",
        "mAP50 FP32": f"{accuracy['torch']['map50']:.3f}",
        "mAP50 INT8": f"{accuracy['host']['map50']:.3f}",
        "frames a second": f"{1000 / frame_ms(frames):.0f} on this computer (says nothing about a Jetson)",
        "report": f"{output / 'report.html'}",
        "pictures with boxes": f"{output / 'frames'}/",
        "detections": f"{output / 'detections.jsonl'}",
        "bundle": f"{output / 'cones.unina'}/",
    }
    table = Table(title=f"UNINA-DLA demo, {seconds:.0f} s", show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


if __name__ == "__main__":
    sys.exit(main())
