"""What a teacher buys a small student, and each of its three ways: the same short run with and without, over seeds.

    python model-tools/training/distillation.py model-tools/specs/cones.yaml \\
        --start build/training/ablation/scenes-p2-p3-p4/checkpoint.pt --teacher model-tools/weights/cones.pt \\
        --output build/training/distillation --data ../shared/data/cones/fs_feb/data.yaml \\
        --negatives build/training/negatives/images/val

Every run begins with the weights of --start, sees as many crops of the spec's mixture and is scored by `unina-eval`. A
way's gain is the mean over seeds of the difference to the run without a teacher of the same seed, with the interval of
Student's t. Finished runs are not trained again; the table is also written to OUTPUT/gains.json.
"""

import argparse
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from unina.cli.train import parse
from unina.train.distil_spec import DistilSpec
from unina.train.mixture import load_mixture
from unina.train.trainer import CHECKPOINT, Trainer

WAYS: dict[str, dict[str, float] | None] = {
    "none": None,
    "all": {},
    "features": {"logits": 0.0, "boxes": 0.0},
    "logits": {"features": 0.0, "boxes": 0.0},
    "boxes": {"features": 0.0, "logits": 0.0},
}
"""Name → what of the `distil:` block departs from its defaults."""
MEASURES = {"map50": "mAP50", "map50_95": "mAP50-95"}
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Runs → the 0.975 quantile of Student's t with one degree of freedom less."""


def main() -> int:
    """Trains and scores what is missing, then prints the gains."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("spec", type=Path, help="spec of the student's run")
    top.add_argument("--start", type=Path, required=True, help="checkpoint all students begin with")
    top.add_argument("--teacher", type=Path, required=True)
    top.add_argument("--output", type=Path, required=True)
    top.add_argument("--data", required=True, help="data set whose split val scores the students")
    top.add_argument("--negatives", required=True, help="pictures without cones that did not train")
    top.add_argument("--epochs", type=int, default=8)
    top.add_argument("--backbone", default="pico", help="plan of the student (default: pico)")
    top.add_argument("--seeds", type=int, default=3, choices=T_95, metavar="N")
    top.add_argument("--threads", type=int, default=0)
    top.add_argument("--only", nargs="*", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    arguments = top.parse_args()
    read = parse([str(arguments.spec), "--output", str(arguments.output), "--model.backbone", arguments.backbone]).spec
    scores: dict[str, list[dict[str, float]]] = {}
    for way in arguments.only:
        distil = None if WAYS[way] is None else DistilSpec(teacher=str(arguments.teacher), **(WAYS[way] or {}))
        for seed in range(arguments.seeds):
            train = replace(read.train, epochs=arguments.epochs, threads=arguments.threads, seed=seed)
            spec = replace(read, train=replace(train, init_from=str(arguments.start)), distil=distil)
            folder = arguments.output / f"{way}-{seed}"
            if not (folder / "done").exists():
                Trainer(spec, load_mixture(spec), folder).run()
                (folder / "done").touch()
            result = folder / "eval.json"
            if not result.exists():
                words = ["unina-eval", str(folder / CHECKPOINT), "--data", arguments.data]
                subprocess.run([*words, "--negatives", arguments.negatives, "--output", str(result)], check=True)
            found = json.loads(result.read_text())["torch"]
            scores.setdefault(way, []).append({name: found[name] for name in MEASURES})
            said = ", ".join(f"{MEASURES[name]} {value:.4f}" for name, value in scores[way][-1].items())
            print(f"{way}, seed {seed}: {said}", flush=True)
    table = gains(scores) if "none" in scores else {}
    (arguments.output / "gains.json").write_text(json.dumps({"runs": scores, "gains": table}, indent=1) + "\n")
    for way, row in table.items():
        for name, (gain, low, high) in row.items():
            print(f"{way}: {MEASURES[name]} {gain:+.2f} points [{low:+.2f}, {high:+.2f}]")
    return 0


def gains(scores: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Way → measure → mean gain in points over the run without a teacher, and its 95 % interval over the seeds."""
    table: dict[str, dict[str, tuple[float, float, float]]] = {}
    for way, runs in scores.items():
        if way == "none":
            continue
        for name in MEASURES:
            gained = [100 * (run[name] - alone[name]) for run, alone in zip(runs, scores["none"], strict=True)]
            half = T_95[len(gained)] * stdev(gained) / math.sqrt(len(gained)) if len(gained) > 1 else math.inf
            table.setdefault(way, {})[name] = (mean(gained), mean(gained) - half, mean(gained) + half)
    return table


if __name__ == "__main__":
    sys.exit(main())
