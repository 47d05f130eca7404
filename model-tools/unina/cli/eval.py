"""`unina-eval`: how good a detector is on a labelled split, stage by stage, and whether it beats another one."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from unina.cli.exit_code import exit_code

EXAMPLES = """\
examples:
  unina-eval cones.unina --data cones/data.yaml
      every stage of a bundle: model.onnx, model.qdq.onnx and the integer engine
  unina-eval cones.unina --data cones/data.yaml --checkpoint runs/b0/checkpoint.pt --stages all
      one row a stage from torch to the integers, each beside the one before: where is accuracy lost?
  unina-eval runs/b0 --data cones/data.yaml --input-size 960x544 --report report
      a training run at another input size, with plots and a page of the worst pictures
  unina-eval cones.unina --data fs/data.yaml --map orange_cone=orange,large_orange_cone=orange --groups '^[a-z]+'
      four classes scored on a set with three; pictures reported apart by the first word of their file name
  unina-eval runs/new --data cones/data.yaml --against runs/old
      the difference of mAP50 with its 95 % interval, by paired bootstrap over the pictures
  unina-eval cones.unina --data cones/data.yaml --stages host --rounding all --pointwise all
      how much hangs on what the DLA's documents leave open: the accuracy as a band over four modes
  unina-eval cones.unina --detections dla.jsonl --data cones/data.yaml
      what a Jetson found in the pictures of val, as one more stage after the integer engine
  unina-eval a.jsonl --data cones/data.yaml --against b.jsonl
      the same from detections that --save-detections or unina-detector wrote
What each figure means: docs/evaluation.md."""


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 when scored, 1 when --require is not met, 2 when it can't say."""
    options = build_parser().parse_args(words)
    from unina.cli.eval_run import run  # noqa: PLC0415 (torch takes seconds to load: --help need not wait)

    return exit_code("unina-eval", lambda: run(options), stopped="stopped")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="unina-eval",
        description="Scores a detector on a labelled split: COCO mAP, recall by cone height and by false positives, "
        "thresholds, cone-free pictures, and what NMS would change.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "model",
        type=Path,
        nargs="?",
        help="NAME.unina, checkpoint.pt, a run folder of unina-train, or detections as JSON Lines. With --detections "
        "the bundle that made them, or none",
    )
    add("--data", type=Path, required=True, help="a labelled data set (docs/data.md)")
    add("--split", default="val", help="of the data set (default: val)")
    add(
        "--stages",
        type=words_of,
        metavar="STAGE,…",
        help="comma-separated, or all that can run here. torch: as trained; fused: every block one convolution; onnx; "
        "tinygrad: the ONNX file on another implementation (optional: needs tinygrad and clang); qdq; host: the "
        "integer engine. Default: onnx,qdq,host of a bundle, torch of a checkpoint. Several are compared, each with "
        "the one before",
    )
    add(
        "--rounding",
        type=one_of("half-away", "half-even"),
        action="extend",
        metavar="MODE,…",
        help="of the stage host to int8: half-away (what NVIDIA documents for the DLA), half-even or all, instead of "
        "the bundle's own; several modes are a column each and a band",
    )
    add(
        "--pointwise",
        type=one_of("fp32", "fp19"),
        action="extend",
        metavar="MODE,…",
        help="of the stage host between accumulator and int8: fp32 (default), fp19 (emulates what is known of the "
        "DLA; not bit-exact with it) or all",
    )
    add(
        "--detections",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.jsonl",
        help="what unina-detector --output wrote on a device, at --score-threshold 0.005, in all pictures of the "
        "split: a stage after the model's own. Repeat it for several accelerators",
    )
    add("--checkpoint", type=Path, help="that a bundle came from, for its stages torch and fused")
    add(
        "--input-size",
        type=size,
        metavar="WxH",
        help="width x height of the network's input, instead of the checkpoint's own",
    )
    add(
        "--map",
        type=pairs,
        default={},
        metavar="MODEL=DATA,…",
        help="model class = data class that it is scored as; nothing after = leaves its detections out. Names that "
        "agree, if only but for `_cone`, need none; large_orange is scored as orange where the data has one orange",
    )
    add(
        "--ignore",
        type=words_of,
        default=(),
        metavar="CLASS,…",
        help="data classes whose boxes count neither as hits nor as misses; mAP50 with them is reported, too",
    )
    add(
        "--negatives",
        type=Path,
        metavar="DIR_OR_DATA",
        help="cone-free pictures beside the split: a folder, or the unlabelled ones of a data set",
    )
    add(
        "--groups",
        type=expression,
        metavar="REGEX",
        help="reports pictures apart by what this finds in their file names",
    )
    add("--nms", type=share, default=0.6, metavar="IOU", help="of the NMS to compare with (default: 0.6)")
    add(
        "--against",
        type=Path,
        metavar="MODEL",
        help="another model (as the first argument) to compare with by paired bootstrap: the same stage, if it has it",
    )
    add("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add("--require", type=share, metavar="MAP50", help="exit 1 if a stage's mAP50 is below this")
    add("--report", type=Path, metavar="DIR", help="plots and a page of the worst pictures of the last stage")
    add("--save-detections", type=Path, metavar="FILE.jsonl", help="of the last stage, cone-free pictures included")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--output", type=Path, metavar="FILE", help="write the JSON to this file as well")
    return parser


def words_of(text: str) -> tuple[str, ...]:
    """Comma-separated words."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def one_of(*modes: str) -> Callable[[str], tuple[str, ...]]:
    """Comma-separated words of a list, or `all` of it."""

    def parse(text: str) -> tuple[str, ...]:
        found = words_of(text)
        for word in found:
            if word not in {*modes, "all"}:
                raise argparse.ArgumentTypeError(f"{word!r}: one of {', '.join(modes)} or all")
        return modes if "all" in found else found

    return parse


def size(text: str) -> tuple[int, int]:
    """WxH, as everywhere on a command line, to rows and columns."""
    found = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: width and height such as 960x544")
    return int(found[2]), int(found[1])


def expression(text: str) -> str:
    """A regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r}: not a regular expression ({error})") from error
    return text


def share(text: str) -> float:
    """A number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a number from 0 to 1")
    return value


def pairs(text: str) -> dict[str, str]:
    """MODEL=DATA,MODEL=DATA."""
    result: dict[str, str] = {}
    for word in words_of(text):
        name, sign, target = word.partition("=")
        if not sign or not name.strip():
            raise argparse.ArgumentTypeError(f"{word!r}: MODEL_CLASS=DATA_CLASS, such as orange_cone=orange")
        result[name.strip()] = target.strip()
    return result


if __name__ == "__main__":
    sys.exit(main())
