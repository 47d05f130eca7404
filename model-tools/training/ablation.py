"""What each ingredient of the shipped model buys: the recipe in small, and the same without one thing at a time.

    python model-tools/training/ablation.py model-tools/specs/cones-pretrain.yaml model-tools/specs/cones.yaml \\
        --output build/training/ablation --data ../shared/data/cones/fs_feb/data.yaml \\
        --negatives build/training/negatives/images/val

The recipe is two runs of --epochs each: rendered scenes alone, then the mixture. Every variant sees as many crops in
all, those that lack the first run see them in the second; only the longer ones see more. `unina-eval` then scores each,
at the network's own size and 960 wide, and compares it with the first by paired bootstrap: OUTPUT/NAME-640.json,
OUTPUT/NAME-960.json. Finished runs are not trained again.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unina.cli.train import parse
from unina.train import RunSpec
from unina.train.mixture import load_mixture
from unina.train.trainer import CHECKPOINT, Trainer

SIZES = {"640": "640x640", "960": "960x544"}


@dataclass(frozen=True)
class Recipe:
    """Two runs, one after the other."""

    scenes: RunSpec | None
    """scenes alone; None: the mixture begins from random weights"""
    mixture: RunSpec


Change = Callable[[Recipe], Recipe]


def train(**fields: Any) -> Change:
    """A change of the mixture's part `train`."""
    return lambda it: replace(it, mixture=replace(it.mixture, train=replace(it.mixture.train, **fields)))


def augment(**fields: Any) -> Change:
    """A change of the mixture's part `augment`."""
    return lambda it: replace(it, mixture=replace(it.mixture, augment=replace(it.mixture.augment, **fields)))


def without(word: str) -> Change:
    """Without the sources whose path holds `word`."""

    def change(it: Recipe) -> Recipe:
        kept = tuple(source for source in it.mixture.sources if word not in source.data)
        return replace(it, mixture=replace(it.mixture, sources=kept))

    return change


def longer(times: int) -> Change:
    """A mixture of so many times the crops."""
    return lambda it: train(epochs=times * it.mixture.train.epochs)(it)


def unprepared(it: Recipe) -> Recipe:
    """The crops of both runs, all from the mixture."""
    assert it.scenes is not None
    return replace(train(epochs=it.scenes.train.epochs + it.mixture.train.epochs)(it), scenes=None)


def coarse(it: Recipe) -> Recipe:
    """Levels P3 to P5, in both runs."""
    assert it.scenes is not None
    scenes, mixture = (replace(s, model=replace(s.model, levels=("p3", "p4", "p5"))) for s in (it.scenes, it.mixture))
    return Recipe(scenes, mixture)


VARIANTS: dict[str, Change] = {
    "full": lambda it: it,
    "no-pretraining": unprepared,
    "no-scenes-at-all": lambda it: without("scenes")(unprepared(it)),
    "p3-p5": coarse,
    "no-paste": augment(paste=0.0),
    "no-negatives": without("negatives"),
    "no-mosaic": augment(mosaic=0.0),
    "one-to-one-as-one-to-many": train(one_to_one_alpha=0.5, one_to_one_beta=6.0),
    "twice-as-long": longer(2),
    "four-times-as-long": longer(4),
}


def main() -> int:
    """Trains and scores what is missing."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("scenes", type=Path, help="spec of the run on rendered scenes")
    top.add_argument("mixture", type=Path, help="spec of the run on everything")
    top.add_argument("--output", type=Path, required=True)
    top.add_argument("--data", required=True, help="data set whose split val scores the variants")
    top.add_argument("--negatives", required=True, help="pictures without cones that did not train")
    top.add_argument("--epochs", type=int, default=8, help="of each of the two runs (default: 8)")
    top.add_argument("--backbone", default="pico", help="plan of all variants (default: pico, for the time's sake)")
    top.add_argument("--threads", type=int, default=0)
    top.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    arguments = top.parse_args()

    def small(path: Path) -> RunSpec:
        spec = parse([str(path), "--output", str(arguments.output), "--model.backbone", arguments.backbone]).spec
        train = replace(spec.train, epochs=arguments.epochs, threads=arguments.threads, init_from="")
        return replace(spec, train=train)

    base = Recipe(small(arguments.scenes), small(arguments.mixture))
    for name in arguments.only:
        checkpoint = trained(VARIANTS[name](base), arguments.output, name)
        for size, pixels in SIZES.items():
            words = ["unina-eval", str(checkpoint), "--data", arguments.data, "--negatives", arguments.negatives]
            words += ["--groups", "capture|field", "--input-size", pixels]
            words += ["--output", str(arguments.output / f"{name}-{size}.json")]
            if name != "full":
                words += ["--against", str(arguments.output / "full" / CHECKPOINT)]
            subprocess.run(words, check=True)
    return 0


def trained(recipe: Recipe, output: Path, name: str) -> Path:
    """The checkpoint of both runs; variants that share the first one share its folder."""
    mixture = recipe.mixture
    if recipe.scenes is not None:
        start = run(recipe.scenes, output / ("scenes-" + "-".join(recipe.scenes.model.levels)))
        mixture = replace(mixture, train=replace(mixture.train, init_from=str(start)))
    return run(mixture, output / name)


def run(spec: RunSpec, folder: Path) -> Path:
    """Trains, unless it was done before; returns the checkpoint."""
    if not (folder / "done").exists():
        Trainer(spec, load_mixture(spec), folder).run()
        (folder / "done").touch()
    return folder / CHECKPOINT


if __name__ == "__main__":
    sys.exit(main())
