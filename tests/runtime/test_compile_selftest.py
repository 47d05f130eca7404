"""The self-test of an update: what passes for found, and that the shipped bundle passes its own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from compile_machine import Machine, make_machine
from programs import PROGRAMS

from unina_runtime.compile.manifest import Seen, SelfTest, parse_manifest
from unina_runtime.compile.outcome import CannotSay, Refused
from unina_runtime.compile.selftest import require_selftest
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.store import Store
from unina_runtime.compile.verified_bundle import verify_bundle

SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"
BOX = (10.0, 10.0, 30.0, 50.0)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = make_machine(tmp_path)
    machine.l4t(None)
    return machine


def test_the_shipped_bundle_finds_all_in_its_own_picture(machine: Machine) -> None:
    entry = Path(machine.good("--bundle", SHIPPED)["served"])
    made = Store(machine.state, machine.links).read(entry, TrustedKeys())
    assert made is not None
    manifest = verify_bundle(SHIPPED, TrustedKeys()).manifest
    assert manifest.selftest is not None and len(manifest.selftest.expected) >= 3
    count = len(manifest.selftest.expected)
    said = require_selftest(entry, made, manifest, str(PROGRAMS / "unina-detector"), 60)
    assert said == f"finds {count} of {count} objects in selftest.png"


def saying(folder: Path, script: str) -> str:
    program = folder / "unina-detector"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def judged(machine: Machine, expected: list[Seen], script: str | None) -> str:
    """What is said where a program that does as `script` says stands in for unina-detector."""
    (machine.bundle.path / "selftest.png").write_bytes(b"a picture")
    machine.bundle.seal()
    entry = Path(machine.good()["served"])
    made = Store(machine.state, machine.links).read(entry, TrustedKeys())
    assert made is not None
    manifest = parse_manifest((machine.bundle.path / "manifest.json").read_bytes(), "")
    manifest = replace(manifest, selftest=SelfTest("selftest.png", tuple(expected)))
    program = str(machine.folder / "none") if script is None else saying(machine.folder, script)
    return require_selftest(entry, made, manifest, program, 2)


def line(*found: tuple[int, tuple[float, ...]]) -> str:
    document = {"detections": [{"class_id": number, "box": list(box)} for number, box in found]}
    return f"echo '{json.dumps(document)}'"


FAR = (100.0, 10.0, 120.0, 50.0)
NEAR = (12.0, 11.0, 31.0, 52.0)


def test_half_of_the_objects_are_enough(machine: Machine) -> None:
    assert judged(machine, [Seen(0, BOX), Seen(0, FAR)], line((0, NEAR))).startswith("finds 1 of 2")


@pytest.mark.parametrize(
    "found",
    [
        [],
        [(1, BOX), (1, FAR)],  # another class
        [(0, (10.0, 10.0, 18.0, 50.0))],  # too little of it
        [(0, NEAR)],  # one of three
    ],
)
def test_less_is_refused(machine: Machine, found: list[tuple[int, tuple[float, ...]]]) -> None:
    others = [Seen(0, FAR), Seen(0, (200.0, 10.0, 220.0, 50.0))]
    with pytest.raises(Refused, match=r"self-test: finds [01] of 3 objects"):
        judged(machine, [Seen(0, BOX), *others], line(*found))


def test_one_detection_is_not_taken_for_two_objects(machine: Machine) -> None:
    with pytest.raises(Refused, match="finds 1 of 3"):
        judged(machine, [Seen(0, BOX), Seen(0, BOX), Seen(0, FAR)], line((0, BOX)))


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("kill -SEGV $$", "self-test: SIGSEGV"),
        ("echo cannot load >&2; exit 1", "self-test: exit code 1: cannot load"),
        ("sleep 60", r"self-test: not done after 2 s \(takeover_s\)"),
        ("echo hello", "self-test: no line of detections"),
        ("true", "self-test: no line of detections"),
        ("""echo '{"detections": [{"class_id": 0, "box": [1]}]}'""", "self-test: no line of detections"),
    ],
)
def test_a_model_that_ends_or_hangs_is_refused(machine: Machine, script: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        judged(machine, [Seen(0, BOX)], script)


def test_the_dla_has_the_whole_time_of_the_self_test_and_the_reason_is_not_cut_short(machine: Machine) -> None:
    machine.l4t(36)
    long = "a" * 200
    with pytest.raises(Refused, match=f"exit code 2: {long} --dla 0 --dla-loadable --dla-timeout-ms 2000$"):
        judged(machine, [Seen(0, BOX)], f'shift 4; echo {long} "$1 $2 $3 $5 $6" >&2; exit 2')


def test_without_the_program_nothing_can_be_said(machine: Machine) -> None:
    with pytest.raises(CannotSay, match="none: cannot be run: No such file"):
        judged(machine, [Seen(0, BOX)], None)
