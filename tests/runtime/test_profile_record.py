"""`unina-profile record`: a command and tegrastats, joined by time, and nothing lost however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from profile_logs import log
from profile_program import Bench

from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.whole_file import write_whole

SLEEP = [sys.executable, "-c", "import time; time.sleep(1)"]
BENCH = {"bundle": "tiny", "accelerator": "host", "frames_per_second": 50.0, "stages": {"total": {"p50_ms": 4.0}}}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_lines_come_with_the_time_of_the_command_and_its_figures(bench: Bench) -> None:
    bench.install_tegrastats()
    printer = f"import time; time.sleep(1); print({json.dumps(json.dumps(BENCH))})"
    done = bench.process("record", "-o", "run.json", "--interval", 50, "--", sys.executable, "-c", printer)
    assert done.returncode == 0, done.stderr
    made = bench.read("run.json")
    assert made["source"] == "tegrastats" and made["exit_code"] == 0 and made["notes"] == []
    assert 1 <= made["seconds"] < 20
    times = [at for at, _ in made["lines"]]
    assert len(times) >= 2 and times == sorted(times) and all(-20 < at < made["seconds"] + 5 for at in times)
    assert all("VDD_GPU_SOC" in line and not line.endswith("\r") for _, line in made["lines"])
    assert done.stdout == json.dumps(BENCH) + "\n", "what the command prints is passed on"
    assert made["latencies"][0]["images_per_second"] == 50
    assert not list(bench.folder.glob(".*")), "no temporary file is left"


def test_a_machine_without_tegrastats_says_so_and_records_what_it_can(bench: Bench) -> None:
    told = bench.good("record", "-o", "run.json", "--interval", 100, "--", *SLEEP)
    made = bench.read("run.json")
    assert "no tegrastats here" in told and made["source"] == "/proc"
    assert made["lines"] and all(line.startswith("RAM ") and "CPU [" in line for _, line in made["lines"])


def test_a_failing_command_is_recorded_and_told(bench: Bench) -> None:
    bench.install_tegrastats()
    assert "ended with exit code 3" in bench.bad(1, "record", "-o", "run.json", "--", "sh", "-c", "sleep 1; exit 3")
    assert bench.read("run.json")["exit_code"] == 3
    assert "ended by signal 9" in bench.bad(1, "record", "-o", "run.json", "--", "sh", "-c", "kill -9 $$")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_lost_when_it_is_stopped(bench: Bench, number: int) -> None:
    bench.install_tegrastats()
    catcher = (
        "import signal, sys, time, pathlib\n"
        "def end(number, frame):\n  pathlib.Path('signals').open('a').write(f'{number}\\n'); sys.exit(5)\n"
        "[signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]\n"
        "pathlib.Path('ready').touch(); time.sleep(60)\n"
    )
    command = bench.command("record", "-o", "run.json", "--interval", 20, "--", sys.executable, "-c", catcher)
    with subprocess.Popen(command, cwd=bench.folder, env=bench.environment, stderr=subprocess.PIPE, text=True) as run:
        until((bench.folder / "ready").exists)
        time.sleep(0.5)
        run.send_signal(number)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 0, told
    made = bench.read("run.json")
    assert made["stopped"] and made["exit_code"] == 5 and made["lines"]
    assert (bench.folder / "signals").read_text() == f"{number}\n", "it is handed on, once"
    assert "stopped" in told


def test_a_command_that_does_not_listen_is_killed_by_the_second_ctrl_c(bench: Bench) -> None:
    bench.install_tegrastats()
    deaf = "import signal, time, pathlib; signal.signal(2, 1); pathlib.Path('ready').touch(); time.sleep(60)"
    command = bench.command("record", "-o", "run.json", "--", sys.executable, "-c", deaf)
    with subprocess.Popen(command, cwd=bench.folder, env=bench.environment, stderr=subprocess.PIPE, text=True) as run:
        until((bench.folder / "ready").exists)
        for _ in range(2):
            run.send_signal(signal.SIGINT)
            time.sleep(0.5)
        run.communicate(timeout=60)
    assert run.returncode == 0 and bench.read("run.json")["exit_code"] == -signal.SIGKILL


def test_what_cannot_begin_writes_nothing(bench: Bench) -> None:
    bench.install_tegrastats()
    (bench.folder / "run.json").write_text("earlier")
    assert "cannot be started" in bench.bad(2, "record", "-o", "run.json", "--", bench.folder / "none")
    assert "there is no folder" in bench.bad(2, "record", "-o", "none/run.json", "--", *SLEEP)
    assert "nothing to run" in bench.bad(2, "record", "-o", "run.json")
    assert (bench.folder / "run.json").read_text() == "earlier"


def test_a_line_comes_when_it_is_written_though_tegrastats_does_not_flush(bench: Bench) -> None:
    bench.install_tegrastats(then="time.sleep(600)")
    bench.good("record", "-o", "run.json", "--", "sleep", "3")
    assert len(bench.read("run.json")["lines"]) == 1


def test_a_tegrastats_that_ends_is_told(bench: Bench) -> None:
    bench.install_tegrastats(then="sys.exit(3)")
    assert "ended by itself with exit code 3" in bench.bad(1, "record", "-o", "run.json", "--", *SLEEP)
    assert len(bench.read("run.json")["lines"]) == 1


def test_a_log_of_somebody_else_gives_the_lines_of_the_commands_time(bench: Bench) -> None:
    (bench.folder / "log").write_text(log("agx_orin_r36", 5))  # of another day
    rest = log("agx_orin_r36", 1)[19:]
    writer = f"import time; open('log', 'a').write(time.strftime('%m-%d-%Y %H:%M:%S') + {rest!r}); time.sleep(.5)"
    bench.good("record", "-o", "run.json", "--tegrastats", "log", "--", sys.executable, "-c", writer)
    made = bench.read("run.json")
    assert [line[19:] + "\n" for _, line in made["lines"]] == [rest]
    assert -1 <= made["lines"][0][0] <= made["seconds"] + 1
    (bench.folder / "log").write_text(log("agx_orin_r36", 5))
    told = bench.bad(1, "record", "-o", "run.json", "--tegrastats", "log", "--", "true")
    assert "no line is of the command's time" in told


def test_a_log_without_stamps_gives_the_lines_that_were_written_meanwhile(bench: Bench) -> None:
    (bench.folder / "log").write_text(log("nano_r32", 3))
    new = log("nano_r32", 2)
    writer = f"open('log', 'a').write({new!r})"
    bench.good("record", "-o", "a.json", "--interval", 500, "--tegrastats", "log", "--", sys.executable, "-c", writer)
    assert bench.read("a.json")["lines"] == [[0.0, new.splitlines()[0]], [0.5, new.splitlines()[1]]]
    assert "no line was written" in bench.bad(1, "record", "-o", "a.json", "--tegrastats", "log", "--", "true")
    bench.good("record", "-o", "a.json", "--tegrastats", "log")
    assert len(bench.read("a.json")["lines"]) == 5, "without a command it is the whole log"


def test_a_file_of_times_that_the_command_did_not_write_is_not_taken(bench: Bench) -> None:
    bench.install_tegrastats()
    times = [{"latencyMs": 2.0, "computeMs": 1.5, "startH2dMs": 0.0, "endD2hMs": 2.0}] * 3
    (bench.folder / "old.json").write_text(json.dumps(times))
    os.utime(bench.folder / "old.json", (1, 1))
    told = bench.bad(1, "record", "-o", "a.json", "--latency", "old.json", "--latency", "none.json", "--", *SLEEP)
    assert "old.json: is older than the run" in told and "none.json: cannot be read" in told
    assert bench.read("a.json")["lines"], "and nothing else is lost"
    writer = f"import time; time.sleep(.5); open('new.json', 'w').write({json.dumps(json.dumps(times))})"
    bench.good("record", "-o", "a.json", "--latency", "new.json", "--", sys.executable, "-c", writer)
    assert bench.read("a.json")["latencies"][0]["stages"]["latency"]["samples_ms"] == [2, 2, 2]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(CannotSay, match=r"run\.json: not written: Is a directory"):
        write_whole(tmp_path / "run.json", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
