"""What each ingredient of the shipped model buys: the recipe in small, and the same without one thing at a time.

    python model-tools/training/ablation.py model-tools/specs/cones.yaml --output build/training/ablation \\
        --data ../shared/data/cones/fs_feb/data.yaml --negatives build/training/negatives/images/val

Every variant sees as many crops. `unina-eval` then scores it, at the network's own size and 960 wide, and compares it
with the first by paired bootstrap: OUTPUT/NAME-640.json, OUTPUT/NAME-960.json. Finished runs are not trained again.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from unina.cli.train import parse
from unina.train import RunSpec
from unina.train.mixture import load_mixture
from unina.train.trainer import Trainer

SIZES = {"640": "640x640", "960": "960x544"}


def train(**fields: Any) -> Callable[[RunSpec], RunSpec]:
    """A change of the spec's part `train`."""
    return lambda spec: replace(spec, train=replace(spec.train, **fields))


def augment(**fields: Any) -> Callable[[RunSpec], RunSpec]:
    """A change of the spec's part `augment`."""
    return lambda spec: replace(spec, augment=replace(spec.augment, **fields))


def without(word: str) -> Callable[[RunSpec], RunSpec]:
    """Without the sources whose path holds `word`."""
    return lambda spec: replace(spec, sources=tuple(source for source in spec.sources if word not in source.data))


def both(*changes: Callable[[RunSpec], RunSpec]) -> Callable[[RunSpec], RunSpec]:
    """One change after the other."""

    def change(spec: RunSpec) -> RunSpec:
        for one in changes:
            spec = one(spec)
        return spec

    return change


def coarse(spec: RunSpec) -> RunSpec:
    """Levels P3 to P5."""
    return replace(spec, model=replace(spec.model, levels=("p3", "p4", "p5")))


VARIANTS: dict[str, Callable[[RunSpec], RunSpec]] = {
    "full": lambda spec: spec,
    "no-pretraining": train(init_from=""),
    "no-pretraining-p3-p5": both(train(init_from=""), coarse),
    "no-scenes": both(train(init_from=""), without("scenes")),
    "no-negatives": without("negatives"),
    "no-paste": augment(paste=0.0),
    "no-mosaic": augment(mosaic=0.0),
    "one-to-one-as-one-to-many": train(one_to_one_alpha=0.5, one_to_one_beta=6.0),
    "twice-as-long": lambda spec: replace(spec, train=replace(spec.train, epochs=2 * spec.train.epochs)),
}


def main() -> int:
    """Trains and scores what is missing."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("spec", type=Path)
    top.add_argument("--output", type=Path, required=True)
    top.add_argument("--data", required=True, help="data set whose split val scores the variants")
    top.add_argument("--negatives", required=True, help="pictures without cones that did not train")
    top.add_argument("--epochs", type=int, default=6)
    top.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    arguments = top.parse_args()
    base = parse([str(arguments.spec), "--output", str(arguments.output)]).spec
    base = replace(base, train=replace(base.train, epochs=arguments.epochs))
    for name in arguments.only:
        folder = arguments.output / name
        if not (folder / "done").exists():
            spec = VARIANTS[name](base)
            Trainer(spec, load_mixture(spec), folder).run()
            (folder / "done").touch()
        for size, pixels in SIZES.items():
            words = ["unina-eval", str(folder), "--data", arguments.data, "--negatives", arguments.negatives]
            words += ["--groups", "capture|field", "--input-size", pixels]
            words += ["--output", str(arguments.output / f"{name}-{size}.json")]
            if name != "full":
                words += ["--against", str(arguments.output / "full")]
            subprocess.run(words, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
