"""unina-bench takes every accelerator that unina-detector takes, by the same flags, and says which one it timed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from programs import refuse, run
from standin_dla import Dla, standin_loadable
from tiny_bundle import TinyBundle

WARM_UP, ITERATIONS = 10, 25


@pytest.fixture
def loadable(tmp_path: Path, bundle: TinyBundle) -> Path:
    return standin_loadable(bundle, tmp_path / "tiny.dla")


@pytest.fixture
def dla(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dla:
    return Dla(monkeypatch, tmp_path / "report.txt")


def report(bundle: TinyBundle, *arguments: object) -> dict[str, Any]:
    common = ["--bundle", bundle.path, "--size", "128x72", "--iterations", ITERATIONS, "--json"]
    done = run("unina-bench", *common, *arguments)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_it_says_which_accelerator_it_timed_and_why(bundle: TinyBundle, loadable: Path, dla: Dla) -> None:
    on_host = report(bundle)
    assert (on_host["accelerator"], on_host["at_a_time"]) == ("host", 1)
    assert "not cudla-hybrid: no DLA loadable was given" in on_host["accelerator_reason"]
    dla.plug_in()
    on_dla = report(bundle, "--dla", "1", "--dla-loadable", loadable)
    assert (on_dla["accelerator"], on_dla["at_a_time"]) == ("cudla-hybrid", 1)
    assert on_dla["accelerator_reason"] == "a loadable for DLA core 1"
    seen = dla.report()
    assert (seen.live, seen.violations) == ("", "")
    assert seen.calls["cudlaSubmitTask"] == WARM_UP + ITERATIONS
    table = run("unina-bench", "--bundle", bundle.path, "--iterations", "1", "--dla-loadable", loadable).stdout
    assert "on cudla-hybrid (a loadable for DLA core 0)" in table


def test_the_times_of_every_frame_come_when_asked_for(bundle: TinyBundle) -> None:
    stages = report(bundle, "--samples")["stages"]
    assert all(len(stage["samples_ms"]) == ITERATIONS for stage in stages.values())
    total = stages["total"]
    assert total["mean_ms"] == pytest.approx(sum(total["samples_ms"]) / ITERATIONS)
    assert "samples_ms" not in report(bundle)["stages"]["total"]
    assert "--samples requires --json" in refuse("unina-bench", "--bundle", bundle.path, "--samples")


@pytest.mark.parametrize("loadables", [1, 2])
def test_both_cores_work_at_a_time_and_every_frame_is_timed(
    bundle: TinyBundle, loadable: Path, dla: Dla, loadables: int
) -> None:
    dla.plug_in()
    both = report(bundle, "--dla", "both", *(["--dla-loadable", loadable] * loadables))
    assert (both["accelerator"], both["at_a_time"]) == ("cudla-hybrid", 2)
    seen = dla.report()
    assert (seen.live, seen.violations) == ("", "")
    assert (seen.calls["cudlaCreateDevice"], seen.calls["cudlaSubmitTask"]) == (2, WARM_UP + ITERATIONS)


def test_what_cannot_run_is_refused_in_the_words_of_the_detector(
    bundle: TinyBundle, loadable: Path, dla: Dla, tmp_path: Path
) -> None:
    dla.plug_in("cudlaSubmitTask:12=fail")
    arguments = ["--bundle", bundle.path, "--dla-loadable", loadable]
    assert "cudlaSubmitTask: cudlaErrorUmd (7)" in refuse("unina-bench", *arguments)
    dla.plug_in()
    assert "expected 0, 1 or both" in refuse("unina-bench", *arguments, "--dla", "2")
    loadable.write_bytes(b"ftrt" + bytes(100))
    assert "TensorRT engine for the GPU" in refuse("unina-bench", *arguments)
    assert "--engine-on" in refuse("unina-bench", "--bundle", bundle.path, "--engine-on", "dla2")
    assert "is not in this build" in refuse("unina-bench", "--bundle", bundle.path, "--accelerator", "dla")


def test_both_programs_have_the_same_flags_for_the_accelerator() -> None:
    def flags(program: str) -> str:
        return run(program, "--help").stdout.split("\nAccelerator:\n")[1].strip()

    assert flags("unina-bench") == flags("unina-detector")
    named = set(re.findall(r"^ *(--[a-z-]+)", flags("unina-bench"), flags=re.MULTILINE))
    assert {"--accelerator", "--dla", "--dla-loadable", "--dla-timeout-ms", "--engine", "--engine-on"} <= named


def network_of(bundle: TinyBundle, decode: str) -> TinyBundle:
    """The same network as one that detects nothing of ours (docs/bundle.md, "Schema 2")."""

    def change(manifest: dict[str, Any]) -> None:
        for key in ("levels", "reg_max", "thresholds", "max_detections"):
            del manifest[key]
        manifest.update(schema=2, decode=decode)

    bundle.rewrite(change)
    return bundle


def test_a_network_that_detects_nothing_is_timed_up_to_its_maps(bundle: TinyBundle, loadable: Path, dla: Dla) -> None:
    network_of(bundle, "raw")
    on_host = report(bundle, "--samples")
    assert (on_host["bundle"], on_host["accelerator"], on_host["input_size"]) == ("tiny", "host", [64, 32])
    stages = on_host["stages"]
    assert list(stages) == ["preprocess", "infer", "total"]
    sums = [a + b for a, b in zip(*(stages[name]["samples_ms"] for name in ("preprocess", "infer")), strict=True)]
    assert stages["total"]["samples_ms"] == pytest.approx(sums) and min(sums) > 0
    table = run("unina-bench", "--bundle", bundle.path, "--iterations", "1").stdout
    assert "infer" in table and "decode" not in table
    dla.plug_in()
    both = report(bundle, "--dla", "both", "--dla-loadable", loadable)
    assert (both["accelerator"], both["at_a_time"]) == ("cudla-hybrid", 2)
    seen = dla.report()
    assert (seen.live, seen.violations) == ("", "")
    assert (seen.calls["cudlaCreateDevice"], seen.calls["cudlaSubmitTask"]) == (2, WARM_UP + ITERATIONS)


def test_what_only_a_detector_has_is_refused_for_a_network(bundle: TinyBundle) -> None:
    network_of(bundle, "raw")
    arguments = ("--bundle", bundle.path, "--iterations", "1")
    assert "detects nothing" in refuse("unina-bench", *arguments, "--score-threshold", "0.5")
    assert "detects nothing" in refuse("unina-bench", *arguments, "--overhead")
    assert "its decode is raw" in refuse("unina-detector", "--bundle", bundle.path, "--source", "images:.")
