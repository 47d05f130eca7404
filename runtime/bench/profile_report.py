#!/usr/bin/env python3
"""Times `unina-profile report` on a log of ten minutes, with frames' times and a baseline: a process each.

The log is of JetPack 6's documented form with made-up values, ten lines a second, as `unina-profile record` takes them.
docs/profile.md quotes the result.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "runtime"))

from profile_logs import log  # noqa: E402  (after the path)
from profile_runs import frames_ms, trtexec_times  # noqa: E402

MINUTES, INTERVAL_S, FRAMES = 10, 0.1, 4000


def main() -> None:
    """Prints one line, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = log("agx_orin_r36", 60 * MINUTES, INTERVAL_S)
        for run, seed in (("before", 0), ("after", 1)):
            (folder / f"{run}.log").write_text(text)
            trtexec_times(folder / f"{run}.json", frames_ms(FRAMES, seed))
        _report(folder, "before")
        times = [_report(folder, "after", "--baseline", str(folder / "before.html")) for _ in range(options.rounds)]
        size = (folder / "after.html").stat().st_size
    clock_s, cpu_s = (statistics.median(column) for column in zip(*times, strict=True))
    told = {"lines": text.count("\n"), "frames": FRAMES, "clock_s": clock_s, "cpu_s": cpu_s, "page_bytes": size}
    if options.json:
        print(json.dumps(told, indent=2))
    else:
        print(
            f"{told['lines']} lines of {MINUTES} minutes and {FRAMES} frames against a baseline: {clock_s:.2f} s by "
            f"the clock, {cpu_s:.2f} s of CPU (median of {options.rounds}); page of {size / 1024:.0f} KiB"
        )


def _report(folder: Path, run: str, *more: str) -> tuple[float, float]:
    """Seconds by the clock and of CPU, interpreter's start included."""
    program = Path(sys.executable).with_name("unina-profile")
    words = [str(program), "report", f"{run}.log", "--latency", f"{run}.json", "-o", f"{run}.html", *more]
    begin, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if not (folder / f"{run}.html").is_file():
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begin, spent.ru_utime + spent.ru_stime - cpu.ru_utime - cpu.ru_stime


if __name__ == "__main__":
    main()
