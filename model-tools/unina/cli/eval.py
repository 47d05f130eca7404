"""`unina-eval`: how good a detector is on a labelled split, stage by stage, and whether it beats another one."""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from unina.data import load_dataset
from unina.evaluate.bootstrap import Difference, paired_bootstrap
from unina.evaluate.figures import rows
from unina.evaluate.jsonl import detections_line, source_name
from unina.evaluate.session import Answer, Question, answer, cone_free_pictures
from unina.evaluate.subject import Subject, open_subject
from unina.evaluate.summary import Summary

EXAMPLES = """\
examples:
  unina-eval cones.unina --data cones/data.yaml
      every stage of a bundle: model.onnx, model.qdq.onnx and the integer engine
  unina-eval runs/b0 --data cones/data.yaml --input-size 960x960 --report report
      a training run at another input size, with plots and a page of the worst pictures
  unina-eval cones.unina --data fs/data.yaml --map orange_cone=orange,large_orange_cone=orange --groups '^[a-z]+'
      four classes scored on a set with three; pictures reported apart by the first word of their file name
  unina-eval runs/new --data cones/data.yaml --against runs/old
      the difference of mAP50 with its 95 % interval, by paired bootstrap over the pictures
  unina-eval a.jsonl --data cones/data.yaml --against b.jsonl
      the same from detections that --save-detections or unina-detector wrote
What each figure means: docs/evaluation.md."""


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 when scored, 1 when --require is not met, 2 when it can't say."""
    try:
        return run(build_parser().parse_args(words))
    except (ValueError, OSError) as error:
        print(
            f"unina-eval: {' '.join(str(error).split())}" if "\n" not in str(error) else f"unina-eval: {error}",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("unina-eval: stopped", file=sys.stderr)
        return 130


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
    add("model", type=Path, help="NAME.unina, checkpoint.pt, a run folder of unina-train, or detections as JSON Lines")
    add("--data", type=Path, required=True, help="a labelled data set (docs/data.md)")
    add("--split", default="val", help="of the data set (default: val)")
    add("--stages", type=words_of, help="of a bundle, comma-separated: onnx, qdq, host (default: these), torch")
    add("--checkpoint", type=Path, help="that a bundle came from, for its stage torch")
    add("--input-size", type=size, metavar="HxW", help="of the network's input, instead of the checkpoint's own")
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


def run(options: argparse.Namespace) -> int:
    """Scores, writes what was asked for and prints. Raises ValueError and OSError for bad input."""
    dataset = load_dataset(options.data)
    root = options.data if options.data.is_dir() else options.data.parent
    question = Question(
        dataset,
        options.split,
        dataset.split(options.split),
        cone_free_pictures(options.negatives) if options.negatives else (),
        options.map,
        options.ignore,
        options.groups,
        options.nms,
    )
    open_with = {"checkpoint": options.checkpoint, "input_size": options.input_size}
    subject = open_subject(options.model, root, **open_with)
    stages = subject.chosen(options.stages)
    classes = question.classes(subject)
    other = open_subject(options.against, root, input_size=options.input_size) if options.against else None
    say = Console(stderr=True)
    for note in classes.notes:
        say.print(f"classes: {note}", highlight=False)

    answers = {stage: _run_stage(question, subject, stage, say) for stage in stages}
    differences: dict[str, Difference] = {}
    if other is not None:
        theirs: dict[str, Answer] = {}
        for stage in stages:
            twin = stage if stage in other.stages else other.default_stages[0]
            if twin not in theirs:
                theirs[twin] = _run_stage(question, other, twin, say)
            differences[stage] = paired_bootstrap(
                answers[stage].scored.matches(), theirs[twin].scored.matches(), seed=options.seed
            )
    last = answers[stages[-1]]
    if options.save_detections:
        write_text(options.save_detections, _lines(question, subject, last, root))
    if options.report:
        from unina.evaluate.report import write_report  # noqa: PLC0415 (matplotlib takes a second)

        write_report(options.report, last.scored, last.summary, title=f"{options.model.name} on {options.split}")

    result = {stage: one.summary.to_json() for stage, one in answers.items()}
    for stage, difference in differences.items():
        result[stage]["against"] = {"model": str(options.against), **difference.to_json()}
    text = json.dumps(result, indent=2)
    if options.output:
        write_text(options.output, text + "\n")
    if options.json:
        print(text)
    else:
        console = Console()
        console.print(table({stage: one.summary for stage, one in answers.items()}))
        for stage, difference in differences.items():
            console.print(sentence(stage, options.against, difference), highlight=False)
        if options.report:
            console.print(f"wrote {options.report / 'index.html'}", highlight=False)
    short = [stage for stage, one in answers.items() if options.require and one.summary.map50 < options.require]
    if short:
        print(f"unina-eval: mAP50 of {', '.join(short)} is below {options.require:g}", file=sys.stderr)
    return 1 if short else 0


def _run_stage(question: Question, subject: Subject, stage: str, say: Console) -> Answer:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=say, transient=True) as progress:
        total = len(question.samples) + len(question.negatives)
        task = progress.add_task(f"{stage} on {question.split}", total=total)
        return answer(question, subject, subject.stages[stage](), lambda: progress.advance(task))


def table(summaries: dict[str, Summary]) -> Table:
    """One column a stage, one row a figure."""
    first = next(iter(summaries.values()))
    where = "" if first.input is None else f", input {first.input[0]}x{first.input[1]} (HxW)"
    result = Table(title=f"accuracy on {first.images} pictures, {first.boxes} boxes{where}", title_justify="left")
    result.add_column("")
    columns = {stage: rows(summary) for stage, summary in summaries.items()}
    for stage in columns:
        result.add_column(stage, justify="right")
    section = ""
    for lines in zip(*columns.values(), strict=True):
        row = lines[0]
        if row.section != section:
            if section:
                result.add_section()
            result.add_row(f"[dim]{row.section}[/]")
            section = row.section
        result.add_row(row.name, *(line.text for line in lines))
    return result


def sentence(stage: str, other: Path, difference: Difference) -> str:
    """The outcome of a comparison."""
    points = f"{100 * difference.difference:+.1f} points of mAP50 (95 % interval "
    points += f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    verdict = "a clear difference" if difference.clear else "within what the choice of pictures explains"
    return (
        f"{stage}: {difference.map50:.3f} against {difference.map50_other:.3f} of {other}: {points}, {verdict}; "
        f"{difference.images} pictures, {difference.resamples} resamples"
    )


def _lines(question: Question, subject: Subject, last: Answer, root: Path) -> str:
    from unina.data import image_size  # noqa: PLC0415

    pictures = [(sample.image, (sample.height, sample.width)) for sample in question.samples]
    pictures += [(image, image_size(image)[::-1]) for image in question.negatives]
    lines = [
        detections_line(frame, source_name(image, root), (height, width), found, subject.classes)
        for frame, ((image, (height, width)), found) in enumerate(
            zip(pictures, (*last.samples, *last.negatives), strict=True)
        )
    ]
    return "".join(line + "\n" for line in lines)


def write_text(path: Path, text: str) -> None:
    """Writes a file as a whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(text)
            file.close()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def words_of(text: str) -> tuple[str, ...]:
    """Comma-separated words."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def size(text: str) -> tuple[int, int]:
    """HxW."""
    found = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: height and width such as 544x960")
    return int(found[1]), int(found[2])


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
