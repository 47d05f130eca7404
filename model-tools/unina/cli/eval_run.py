"""What `unina-eval` does once its command line is understood: score, compare, write and print."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from unina.cli.console import stdout_console
from unina.cli.eval_forms import exported_forms
from unina.cli.models import deploy_network
from unina.data import image_size, load_dataset
from unina.data.whole import check_place, write_whole
from unina.dla.estimate import Estimate, estimate
from unina.dla.network import read_network
from unina.evaluate.band import CAVEAT, Band, band
from unina.evaluate.bootstrap import Difference, paired_bootstrap
from unina.evaluate.device import with_device
from unina.evaluate.figures import fraction, rows
from unina.evaluate.jsonl import detections_line, source_name
from unina.evaluate.session import Answer, Question, answers, cone_free_pictures, table_of
from unina.evaluate.stage_table import CAPTION, HEADS, StageRow
from unina.evaluate.subject import ALL, HOST, TINYGRAD, Subject, open_subject
from unina.evaluate.summary import Summary, grouped
from unina.evaluate.tinygrad_maps import missing

EVERY = ""
"""In place of a kind of pictures: all of them."""


def run(options: argparse.Namespace) -> int:
    """Scores, writes what was asked for and prints. Raises ValueError and OSError for bad input."""
    for place in filter(None, (options.output, options.save_detections)):
        check_place(place)
    if options.report and options.report.exists() and not options.report.is_dir():
        raise ValueError(f"--report {options.report}: is a file; name a folder")
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
    subject = _subject(options, question, root)
    stages = subject.chosen(options.stages)
    classes = question.classes(subject)
    other = open_subject(options.against, root, input_size=options.input_size) if options.against else None
    if other is not None and other.emulate is not None and subject.emulated:
        other = other.emulating(options.rounding or (), options.pointwise or ())
    say = Console(stderr=True)
    for note in classes.notes:
        say.print(f"classes: {note}", highlight=False, markup=False)
    for note in subject.notes:
        say.print(f"warning: {note}", highlight=False, markup=False, soft_wrap=True)
    if ALL in (options.stages or ()) and TINYGRAD in subject.stages and TINYGRAD not in stages:
        say.print(f"stage tinygrad left out: {missing()}", highlight=False, markup=False, soft_wrap=True)

    given = _run_stages(question, subject, stages, say)
    differences = _differences(question, subject, given, other, options.seed, say) if other is not None else {}
    last = given[stages[-1]]
    by_stage = table_of(question, subject, given)
    emulated = {mode: given[stage].summary for stage, mode in subject.emulated.items()}
    accuracy_band = band(HOST, emulated) if len(emulated) > 1 else None
    if options.save_detections:
        write_whole(options.save_detections, _lines(question, subject, last, root).encode())
    if options.report:
        from unina.evaluate.report import write_report  # noqa: PLC0415 (matplotlib takes a second)

        title = f"{subject.path.name} on {options.split}"
        write_report(
            options.report, last.scored, last.summary, title=title, stages=by_stage, accuracy_band=accuracy_band
        )

    expected = dla_estimate(subject)
    result = {stage: one.summary.to_json() for stage, one in given.items()}
    for stage, saved in subject.devices.items():
        result[stage]["detections"] = {"file": str(saved.path), "run": saved.run and dataclasses.asdict(saved.run)}
    for row in by_stage:
        result[row.stage]["estimated_ms"] = None if expected is None else round(expected.latency_ms, 3)
        result[row.stage]["beside"] = row.to_json()
    if accuracy_band is not None:
        result["band"] = accuracy_band.to_json()
    for stage, (twin, by_kind) in differences.items():
        result[stage]["against"] = {
            "model": str(options.against),
            "stage": twin,
            **by_kind[EVERY].to_json(),
            "groups": {kind: one.to_json() for kind, one in by_kind.items() if kind != EVERY},
        }
    text = json.dumps(result, indent=2)
    if options.output:
        write_whole(options.output, f"{text}\n".encode())
    if options.json:
        print(text)
    else:
        console = stdout_console()
        for part in tables({stage: one.summary for stage, one in given.items()}, expected, console.width):
            console.print(part)
        if len(by_stage) > 1:
            console.print(stage_table(by_stage))
            console.print(CAPTION, highlight=False, markup=False)
        if accuracy_band is not None:
            console.print(band_table(accuracy_band))
            console.print(CAVEAT, highlight=False, markup=False)
        for stage, (_, by_kind) in differences.items():
            for kind, difference in by_kind.items():
                title = f"{stage}, {kind}" if kind else stage
                console.print(sentence(title, options.against, difference), highlight=False, markup=False)
        if options.report:
            console.print(f"wrote {options.report / 'index.html'}", highlight=False)
    short = [stage for stage, one in given.items() if options.require and one.summary.map50 < options.require]
    if short:
        print(f"unina-eval: mAP50 of {', '.join(short)} is below {options.require:g}", file=sys.stderr)
    return 1 if short else 0


def _subject(options: argparse.Namespace, question: Question, root: Path) -> Subject:
    """What is scored: the model, what devices said of it, or both."""
    if options.model is None:
        if not options.detections:
            raise ValueError("give a model, or --detections of unina-detector")
        of_model = ("stages", "rounding", "pointwise", "checkpoint", "input_size")
        for name in of_model:
            if getattr(options, name):
                raise ValueError(f"--{name.replace('_', '-')} goes with a model; give the bundle, or leave it out")
        subject = None
    else:
        subject = open_subject(
            options.model, root, checkpoint=options.checkpoint, input_size=options.input_size, exporter=exported_forms
        )
        if options.rounding or options.pointwise:
            subject = subject.emulating(options.rounding or (), options.pointwise or ())
    if options.detections:
        subject = with_device(subject, options.detections, dict(_pictures(question)), root)
    assert subject is not None
    return subject


def _run_stages(question: Question, subject: Subject, stages: Sequence[str], say: Console) -> dict[str, Answer]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=say, transient=True, disable=not say.is_terminal) as progress:
        total = len(question.samples) + len(question.negatives)
        task = progress.add_task(f"{', '.join(stages)} on {question.split}", total=total)
        return answers(question, subject, stages, lambda: progress.advance(task))


def _differences(
    question: Question, subject: Subject, given: dict[str, Answer], other: Subject, seed: int, say: Console
) -> dict[str, tuple[str, dict[str, Difference]]]:
    """For each stage the other's, and the difference over all pictures, then over each kind that has a labelled box.

    A stage is held against its like; a device, where the other has none of that name, against the other's integers.
    """
    theirs: dict[str, Answer] = {}
    result: dict[str, tuple[str, dict[str, Difference]]] = {}
    for stage, mine in given.items():
        likes = (stage, *((HOST,) if stage in subject.devices else ()), other.default_stages[0])
        twin = next(name for name in likes if name in other.stages)
        if twin not in theirs:
            theirs |= _run_stages(question, other, (twin,), say)
        pair = (mine.scored, theirs[twin].scored)
        by_kind = {EVERY: paired_bootstrap(pair[0].matches(), pair[1].matches(), seed=seed)}
        kinds = grouped(mine.scored.pictures, question.groups) if question.groups else {}
        for kind, indices in kinds.items():
            first, second = (scored.chosen(indices).matches() for scored in pair)
            if len(first.truth_label):
                by_kind[kind] = paired_bootstrap(first, second, seed=seed)
        result[stage] = (twin, by_kind)
    return result


def dla_estimate(subject: Subject) -> Estimate | None:
    """How long one picture takes on one DLA at the input size that is evaluated; None for saved detections."""
    if subject.onnx is not None:
        return estimate(read_network(subject.onnx))
    return estimate(deploy_network(subject.spec, len(subject.classes))) if subject.spec is not None else None


def tables(summaries: dict[str, Summary], expected: Estimate | None, width: int) -> Iterator[Table]:
    """As many as it takes for every column to be whole on a console that is `width` columns wide."""
    padding = 3  # a blank on each side of a cell, and the line
    given = {stage: rows(summary) for stage, summary in summaries.items()}
    names = max(len(row.name) for row in next(iter(given.values())))
    left, part = 0, dict[str, Summary]()
    for stage, lines in given.items():
        column = max(len(stage), *(len(row.text) for row in lines)) + padding
        if part and column > left:
            yield table(part, expected)
            part = {}
        left = (left if part else width - names - padding - 1) - column
        part[stage] = summaries[stage]
    yield table(part, expected)


def table(summaries: dict[str, Summary], expected: Estimate | None) -> Table:
    """One column a stage, one row a figure."""
    first = next(iter(summaries.values()))
    where = "" if first.input is None else f"\ninput H {first.input[0]} × W {first.input[1]}"
    if expected is not None:
        where += f", estimated {expected}"
    result = Table(title=f"accuracy on {first.images} pictures, {first.boxes} boxes{where}", title_justify="left")
    result.add_column("", overflow="fold")
    columns = {stage: rows(summary) for stage, summary in summaries.items()}
    for stage in columns:
        result.add_column(stage, justify="right", no_wrap=True)
    section = ""
    for lines in zip(*columns.values(), strict=True):
        row = lines[0]
        if row.section != section:
            if section:
                result.add_section()
            result.add_row(f"[dim]{escape(row.section)}[/]")
            section = row.section
        result.add_row(escape(row.name), *(line.text for line in lines))
    return result


def stage_table(by_stage: Sequence[StageRow]) -> Table:
    """One row a stage, beside the one before it."""
    result = Table(title="stage by stage", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in HEADS:
        text = name in {"stage", "worst map"}
        heading = name if text else name.replace(" ", "\n")
        result.add_column(heading, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for row in by_stage:
        result.add_row(*(escape(cell) for cell in row.cells()))
    return result


def band_table(accuracy_band: Band) -> Table:
    """One row a figure: lowest and highest; the modes themselves are columns of `table`."""
    count = len(accuracy_band.modes)
    title = f"stage {accuracy_band.stage}: lowest … highest of {count} modes of arithmetic"
    result = Table(title=title, title_justify="left")
    for name in ("", "lowest", "highest"):
        result.add_column(name, justify="right" if name else "left")
    for row in accuracy_band.rows:
        result.add_row(escape(row.name), fraction(row.low), fraction(row.high))
    return result


def sentence(title: str, other: Path, difference: Difference) -> str:
    """The outcome of a comparison."""
    points = f"{100 * difference.difference:+.1f} points of mAP50 (95 % interval "
    points += f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    verdict = "a clear difference" if difference.clear else "within what the choice of pictures explains"
    return (
        f"{title}: {difference.map50:.3f} against {difference.map50_other:.3f} of {other}: {points}, {verdict}; "
        f"{difference.images} pictures, {difference.resamples} resamples"
    )


def _pictures(question: Question) -> list[tuple[Path, tuple[int, int]]]:
    """Those of the split, then those without a cone; with the height and width of each."""
    pictures = [(sample.image, (sample.height, sample.width)) for sample in question.samples]
    return pictures + [(image, image_size(image)[::-1]) for image in question.negatives]


def _lines(question: Question, subject: Subject, last: Answer, root: Path) -> str:
    lines = [
        detections_line(frame, source_name(image, root), (height, width), found, subject.classes)
        for frame, ((image, (height, width)), found) in enumerate(
            zip(_pictures(question), (*last.samples, *last.negatives), strict=True)
        )
    ]
    return "".join(line + "\n" for line in lines)
