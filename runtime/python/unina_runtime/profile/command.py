"""`unina-profile`: measures on the device, and tells it on one page."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from unina_runtime.profile.engines import Plan, measure
from unina_runtime.profile.findings import Operations, find, read_operations
from unina_runtime.profile.latency import read_latencies
from unina_runtime.profile.layers import join, read_estimate, read_measured, totals
from unina_runtime.profile.network import VARIANTS, read_network
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.page import page
from unina_runtime.profile.record import Job, Signals, record
from unina_runtime.profile.recording import PROC, Recording, read_recording
from unina_runtime.profile.regression import SLOWER, UNCLEAR
from unina_runtime.profile.report import TOLERANCE, document, judge, read_baseline, with_samples
from unina_runtime.profile.report_page import sections
from unina_runtime.profile.trtexec import find_trtexec, version_of
from unina_runtime.profile.whole_file import check_place, write_json, write_whole

EXAMPLES = """examples:
  unina-profile record -o a.json -- unina-bench --bundle cones.unina --iterations 20000 --json --samples
  unina-profile record -o drive.json -- sleep 600             beside what runs already, for ten minutes
  unina-profile report a.json -o a.html --network cones.unina
  unina-profile report b.json -o b.html --baseline a.html     did it get slower?
  unina-profile engines cones.unina -o engines --batch 1,4
  unina-profile layers hybrid11.csv --estimate estimate.json

Exit code: 0 good; 1 the answer is no (see each command); 2 can't say. Page: docs/profile.md.
"""
RECORD = """Runs COMMAND with tegrastats beside it and writes both, joined by time. Without tegrastats (a PC) load and
memory come from /proc. Ctrl-C is handed on to the command; what was recorded until then is written.
Exit code: 0 recorded, and the command ended well or by your Ctrl-C; 1 recorded, but the command failed, or a part is
missing (the message says which); 2 nothing was recorded.
"""
REPORT = """Writes one self-contained HTML page from a recording or a log of tegrastats. With --baseline, an earlier
page or recording, it is told whether the run got slower, and how sure that is.
Exit code: 0 written, and not slower; 1 written, and slower than the baseline; 2 nothing was written, or there is a
baseline and it cannot be said (the page says why).
"""
ENGINES = """Builds and times engines of MODEL, a bundle or an ONNX file, by trtexec: on the GPU and the DLA, in FP16
and INT8, both DLA cores at once, at every batch, alone and while the GPU works. FOLDER/runs.csv has a row a run; beside
it are each run's logs, times (--exportTimes) and layers (--exportProfile). What is there is not made again: after
a crash or Ctrl-C the same command goes on, and runs that failed are tried again.
Exit code: 0 every run is there; 1 some failed (runs.csv says why), or it was stopped; 2 nothing could be measured.
"""
LAYERS = """Tells what each layer took beside what unina-dla estimate says of it, joined by the names of their nodes.
Exit code: 0 told; 1 told, but no layer has a name of the estimate; 2 a file cannot be read.
"""
LOADS = {"no": (False,), "yes": (True,), "both": (False, True)}
SHORTEST_MS, LONGEST_MS = 10, 60_000
MOST_BATCH = 4096
"""of a DLA"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except CannotSay as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        tell("stopped; nothing was written")
        return 2
    return code


def tell(text: str) -> None:
    """One line for a person."""
    print(f"unina-profile: {text}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="unina-profile",
        description="Measures what a run costs on a Jetson, and tells it on one page.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_record(commands)
    _add_report(commands)
    _add_engines(commands)
    _add_layers(commands)
    return top


def _add_record(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "record",
        help="run a command with tegrastats beside it",
        description=RECORD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("-o", "--output", type=Path, metavar="FILE.json", help="the recording (default: profile-DATE-TIME.json)")
    add("--interval", type=_interval, default=100, metavar="MS", help="between two lines of tegrastats (default: 100)")
    add(
        "--tegrastats", type=Path, metavar="FILE", help="the log of a tegrastats that runs already, instead of one more"
    )
    add(
        "--latency",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="times that the command writes: trtexec --exportTimes, unina-detector's messages or status; may be "
        "repeated. What unina-bench --json prints is found by itself",
    )
    add("command", nargs="*", metavar="-- COMMAND", help="what to run; without it the whole log of --tegrastats")
    command.set_defaults(run=run_record)


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "report",
        help="tell a recording on one HTML page",
        description=REPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("recording", type=Path, metavar="FILE", help="of unina-profile record, or a log of tegrastats")
    add("-o", "--output", type=Path, metavar="FILE.html", help="the page (default: FILE with .html)")
    add("--interval", type=_interval, default=1000, metavar="MS", help="between lines of a log without stamps (1000)")
    add("--latency", type=Path, action="append", default=[], metavar="FILE", help="times that are not in the recording")
    add("--network", type=Path, metavar="WHAT", help="what ran, for TOPS: a bundle, or unina-dla estimate --json")
    add("--layers", type=Path, metavar="FILE", help="what unina-profile layers reads; --network is an estimate then")
    add(
        "--engines", type=Path, metavar="FILE.csv", help="table of unina-profile engines: GPU and DLA beside each other"
    )
    add("--baseline", type=Path, metavar="FILE", help="an earlier page or recording to compare with")
    add(
        "--tolerance",
        type=_tolerance,
        default=TOLERANCE,
        metavar="SHARE",
        help=f"a change of p50 and p99 that does not matter (default: {TOLERANCE})",
    )
    add("--json", action="store_true", help="print the figures as JSON, too")
    command.set_defaults(run=run_report)


def _add_engines(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "engines",
        help="time a network on GPU and DLA, by trtexec",
        description=ENGINES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="a .unina folder, or an ONNX file (INT8 is then for speed alone)")
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="for engines, logs and runs.csv")
    add("--variants", type=_variants, default=tuple(VARIANTS), metavar="A,B", help=f"of {', '.join(VARIANTS)} (all)")
    add("--batch", type=_batches, default=(1,), metavar="N,M", help="batch sizes (default: 1)")
    add("--gpu-load", choices=tuple(LOADS), default="both", help="beside a GPU that works (default: both)")
    add("--seconds", type=_seconds, default=10.0, metavar="S", help="to time each run for (default: 10)")
    add("--timeout", type=_seconds, default=1800.0, metavar="S", help="for a build, or a run beyond --seconds (1800)")
    add("--trtexec", metavar="PATH", help="TensorRT's (default: in PATH, else /usr/src/tensorrt/bin)")
    add("--again", action="store_true", help="make what is there, too")
    command.set_defaults(run=run_engines)


def _add_layers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "layers",
        help="each layer's time beside its estimate",
        description=LAYERS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("measured", type=Path, metavar="FILE", help="CSV of cuDLALayerwiseStats, or JSON of trtexec --exportProfile")
    add("--estimate", type=Path, required=True, metavar="FILE", help="of unina-dla estimate --json")
    add("-o", "--output", type=Path, metavar="FILE.csv", help="the table, too")
    add("--calibration", type=Path, metavar="FILE.csv", help="rows for unina-dla calibrate, of layers that match")
    add("--json", action="store_true", help="print JSON instead of text")
    command.set_defaults(run=run_layers)


def _variants(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in VARIANTS:
            raise argparse.ArgumentTypeError(f"{name}: must be of {', '.join(VARIANTS)}")
    return names


def _batches(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= MOST_BATCH for part in parts):
        raise argparse.ArgumentTypeError(f"{text}: must be whole numbers from 1 to {MOST_BATCH}, such as 1,4")
    return tuple(dict.fromkeys(map(int, parts)))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text}: must be 0.1 to 86400 seconds")
    return seconds


def _tolerance(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to below 1; 0.02 is two per cent")
    return share


def _interval(text: str) -> int:
    if not text.isdecimal() or not SHORTEST_MS <= int(text) <= LONGEST_MS:
        raise argparse.ArgumentTypeError(f"{text}: must be {SHORTEST_MS} to {LONGEST_MS} milliseconds")
    return int(text)


def run_record(arguments: argparse.Namespace) -> int:
    """Returns the exit code; raises CannotSay."""
    output: Path = arguments.output or Path(f"profile-{datetime.now():%Y%m%d-%H%M%S}.json")
    check_place(output)
    if not arguments.command:
        if arguments.tegrastats is None:
            raise CannotSay("record: nothing to run: write -- and the command, or name a log with --tegrastats FILE")
        write_json(output, read_recording(arguments.tegrastats, arguments.interval / 1000).to_json())
        tell(f"{output}: the whole log of {arguments.tegrastats}")
        return 0
    with Signals().held() as signals:
        job = Job(tuple(arguments.command), arguments.interval, arguments.tegrastats, tuple(arguments.latency))
        made = record(job, signals)
        write_json(output, made.to_json())
    tell(f"{output}: {_summary(made)}")
    for note in made.notes:
        tell(note)
    if not made.lines:
        tell("no line of tegrastats is in it")
    failed = made.exit_code != 0 and not made.stopped
    if failed:
        tell(f"{made.command[0]}: {_ended(made)}")
    return 1 if failed or made.notes or not made.lines else 0


def run_report(arguments: argparse.Namespace) -> int:
    """Returns the exit code; raises CannotSay."""
    output: Path = arguments.output or arguments.recording.with_suffix(".html")
    check_place(output)
    recording = read_recording(arguments.recording, arguments.interval / 1000)
    operations = read_operations(arguments.network) if arguments.network else None
    found = find(recording, [read_latencies(path) for path in arguments.latency], operations)
    more = [] if arguments.engines is None else _engines_section(arguments.engines, operations)
    if arguments.layers is not None:
        if arguments.network is None:
            raise CannotSay("report --layers: needs --network FILE, the estimate (unina-dla estimate --json)")
        more += _layers_section(arguments.layers, arguments.network)
    baseline = read_baseline(arguments.baseline) if arguments.baseline else None
    comparison = None if baseline is None else judge(found, baseline, arguments.tolerance)
    told = document(found, baseline, comparison)
    title = " ".join(recording.command) or arguments.recording.name
    body = [*sections(found, baseline, comparison), *more]
    write_whole(output, page(title, body, with_samples(told, found)))
    if arguments.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    tell(f"{output}: written")
    if comparison is None:
        return 0
    tell(f"{comparison.verdict}: {comparison.why}")
    return {SLOWER: 1, UNCLEAR: 2}.get(comparison.verdict, 0)


def _engines_section(path: Path, operations: Operations | None) -> list[str]:
    from unina_runtime.profile.engines_table import engines_section, read_table  # noqa: PLC0415 (pandas takes a second)

    return list(engines_section(read_table(path), operations))


def _layers_section(path: Path, estimate_path: Path) -> list[str]:
    from unina_runtime.profile.layers_table import layers_section  # noqa: PLC0415 (pandas takes a second)

    source, measured, remark = read_measured(path)
    estimate = read_estimate(estimate_path)
    return list(layers_section(join(measured, estimate), source, remark, estimate))


def run_layers(arguments: argparse.Namespace) -> int:
    """Returns the exit code; raises CannotSay."""
    from unina_runtime.profile.layers_table import (  # noqa: PLC0415 (pandas takes a second)
        calibration_csv,
        frame_of,
        summary,
        text_of,
    )

    for path in filter(None, (arguments.output, arguments.calibration)):
        check_place(path)
    source, measured, remark = read_measured(arguments.measured)
    estimate = read_estimate(arguments.estimate)
    rows = join(measured, estimate)
    frame = frame_of(rows)
    if arguments.output:
        write_whole(arguments.output, frame.to_csv(index=False))
    if arguments.calibration:
        write_whole(arguments.calibration, calibration_csv(rows, estimate))
    if arguments.json:
        told = {"schema": 1, "source": source, "remark": remark, "mode": estimate.mode, "totals": totals(rows)}
        listed = [{**asdict(row), "ratio": row.ratio} for row in rows]
        print(json.dumps({**told, "layers": listed}, indent=2, ensure_ascii=False))
    else:
        print(text_of(frame))
        print(f"\n{source}: {summary(rows)}")
    if remark:
        tell(remark)
    if not any(row.ratio is not None for row in rows):
        tell("no layer has a name of the estimate: are they of the same network?")
        return 1
    return 0


def run_engines(arguments: argparse.Namespace) -> int:
    """Returns the exit code; raises CannotSay."""
    from unina_runtime.profile.engines_table import csv_of, frame_of  # noqa: PLC0415 (pandas takes a second)

    folder: Path = arguments.output
    trtexec = find_trtexec(arguments.trtexec)
    network, tensorrt = read_network(arguments.model), version_of(trtexec)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotSay(f"{folder}: cannot be made: {error.strerror}") from error
    variants = tuple(VARIANTS[name] for name in arguments.variants)
    sizes = (arguments.seconds, arguments.timeout, arguments.again)
    plan = Plan(network, trtexec, tensorrt, folder, variants, arguments.batch, LOADS[arguments.gpu_load], *sizes)
    tell(f"{network.title}, TensorRT {tensorrt}: {len(list(plan.runs()))} runs into {folder}")
    if network.manifest is None:
        tell(f"{network.title} has no calibration: INT8 tells speed alone, and the GPU converts what the DLA reads")
    table = folder / "runs.csv"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what runs is ended
    try:
        rows = measure(plan, tell, lambda done: write_whole(table, csv_of(frame_of(done))))
    except KeyboardInterrupt:
        tell(f"stopped; {table} has what is done, and the same command goes on")
        return 1
    failed = [row["run"] for row in rows if row["status"] != "ok"]
    tell(f"{table}: {len(rows) - len(failed)} runs" + (f", failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _summary(made: Recording) -> str:
    what = "lines of /proc" if made.source == PROC else "lines of tegrastats"
    times = ", ".join(one.title for one in made.latencies) or "no times"
    return f"{made.seconds:.1f} s, {len(made.lines)} {what}, {times}" + (", stopped" if made.stopped else "")


def _ended(made: Recording) -> str:
    code = made.exit_code or 0
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


if __name__ == "__main__":
    sys.exit(main())
