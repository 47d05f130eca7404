"""The units: systemd takes them, they are shut tight, and what they call has the flags that they give."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from installed_system import install_system
from programs import run

from unina_runtime.compile import command
from unina_runtime.compile.configuration import DEFAULT_BUNDLE
from unina_runtime.compile.store import ENVIRONMENT

UNITS = (
    *("unina-detector.service", "unina-detector@.service", "unina-compile.service", "unina-compile@.service"),
    *("unina-update.service", "unina-update@.service"),
)
PATHS = ("unina-update.path", "unina-update@.path")
WORST = {"unina-detector": 2.0, "unina-compile": 3.0, "unina-update": 3.0}
HOST_UNITS = Path("/usr/lib/systemd/system")

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not (HOST_UNITS / "sysinit.target").exists(),
    reason="no systemd-analyze, so the units are not verified: apt-get install systemd",
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation beside the units of this machine, with something where the detector would be."""
    stage = install_system(tmp_path_factory.mktemp("system"))
    for path in HOST_UNITS.glob("*.target"):
        shutil.copy(path, stage / "usr/lib/systemd/system" / path.name, follow_symlinks=True)
    (stage / "bin").mkdir()
    for program in ("usr/bin/unina-detector", "usr/bin/kill", "bin/sh"):
        (stage / program).write_text("#!/bin/sh\n")
        (stage / program).chmod(0o755)
    return stage


def unit_text(stage: Path, unit: str) -> str:
    return (stage / "usr/lib/systemd/system" / unit).read_text().replace("\\\n", " ")


def values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], check=False, capture_output=True, text=True, timeout=60
    )


@needs_analyze
@pytest.mark.parametrize("unit", [*UNITS, *PATHS])
def test_systemd_has_nothing_to_say_about_a_unit(stage: Path, unit: str) -> None:
    done = analyze(f"--root={stage}", "--man=no", "verify", unit.replace("@.", "@front."))
    assert done.returncode == 0 and done.stderr.strip() == "", done.stderr


@needs_analyze
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_exposed_to_little(stage: Path, unit: str) -> None:
    worst = WORST[re.split(r"[@.]", unit)[0]]
    path = stage / "usr/lib/systemd/system" / unit
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={worst * 10:.0f}", path)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= worst
    assert done.returncode == 0


@pytest.mark.parametrize("unit", UNITS[:2])
def test_the_detector_has_every_flag_that_its_unit_gives(stage: Path, unit: str) -> None:
    [line] = values(unit_text(stage, unit), "ExecStart")
    program, serve, *rest = line.split()
    assert (program, serve) == ("/usr/bin/unina-detector", "serve")
    known = run("unina-detector", "serve", "--help").stdout
    for flag in (word for word in rest if word.startswith("--")):
        assert re.search(rf"{flag}\b", known), flag


@pytest.mark.parametrize("unit", UNITS[2:])
def test_the_compiler_has_every_flag_that_its_unit_gives(stage: Path, unit: str) -> None:
    [line] = values(unit_text(stage, unit), "ExecStart")
    program, *rest = line.split()
    assert program == "/usr/bin/unina-compile"
    assert command.parser().parse_args(rest).detector.parent == Path("/etc/unina")


@pytest.mark.parametrize(("detector", "compiler"), [UNITS[0:4:2], UNITS[1:4:2]])
def test_what_the_detector_is_given_is_what_the_compiler_makes(stage: Path, detector: str, compiler: str) -> None:
    served, made = unit_text(stage, detector), unit_text(stage, compiler)
    assert Path("/var/lib") / values(made, "StateDirectory")[0] == command.STATE
    config = re.findall(r"--detector (\S+)", made)[0]
    assert config in served
    assert Path("/run") / values(made, "RuntimeDirectory")[0] == command.RUN
    model = f"{command.RUN / Path(config).stem}"
    assert values(served, "AssertPathExists") == [f"{model}/{ENVIRONMENT}"]
    assert f" --model {model}" in values(served, "ExecStart")[0]
    assert values(made, "RuntimeDirectoryPreserve") == ["yes"], "what a detector serves must outlive the unit"
    # Not wanted by the detector, whose restart would then wait for it
    assert values(served, "WantedBy") == values(made, "WantedBy") == ["multi-user.target"]
    assert values(served, "Wants") == values(served, "Requires") == []
    assert compiler.replace("@", "@%i") in values(served, "After")[0].split()
    assert detector.replace("@", "@%i") in values(made, "Before")[0]


@pytest.mark.parametrize("unit", UNITS)
def test_who_a_unit_runs_as_is_made_by_sysusers(stage: Path, unit: str) -> None:
    text, users = unit_text(stage, unit), (stage / "usr/lib/sysusers.d/unina.conf").read_text()
    [user], groups = values(text, "User"), values(text, "SupplementaryGroups")
    assert re.search(rf"^u {user} ", users, re.MULTILINE)
    for group in " ".join(groups).split():
        assert f"m {user} {group}\n" in users and re.search(rf"^[gu] {group} ", users, re.MULTILINE)


@pytest.mark.parametrize(("update", "path", "compiler", "detector"), [(*UNITS[4:5], *PATHS[:1], UNITS[2], UNITS[0])])
@pytest.mark.parametrize("instance", ["", "@%i"])
def test_an_update_begins_when_a_bundle_comes_and_sees_what_the_compiler_sees(
    stage: Path, update: str, path: str, compiler: str, detector: str, instance: str
) -> None:
    own = {name: name.replace(".", f"{instance[:1]}.") for name in (update, path, compiler, detector)}
    text, made = unit_text(stage, own[update]), unit_text(stage, own[compiler])
    of_instance = {name: name.replace(".", f"{instance}.") for name in own}
    trigger = unit_text(stage, own[path])
    assert values(trigger, "Unit") == [of_instance[update]]
    assert values(trigger, "PathChanged") == [str(Path(DEFAULT_BUNDLE).parent)]
    assert set(values(text, "After")[0].split()) == {of_instance[compiler], of_instance[detector]}
    for key in ("User", "Group", "StateDirectory", "RuntimeDirectory", "BindPaths", "BindReadOnlyPaths", "DeviceAllow"):
        assert values(text, key) == values(made, key), key
    assert "unina" in values(text, "SupplementaryGroups"), "or it could not ask the detector"
    config = re.findall(r"--detector (\S+)", made)[0]
    assert values(text, "ExecStart") == [f"/usr/bin/unina-compile update --detector {config}"]
    assert values(text, "WantedBy") == [of_instance[detector]]
    model = re.findall(r" --model (\S+)", unit_text(stage, own[detector]))[0]
    assert f"rm {model}.down " in values(text, "ExecStopPost")[0], "what Store.note_down leaves"
    for unit in (text, made):
        assert values(unit, "OOMPolicy") == ["continue"], "or nobody lets the last good model serve"
    assert values(text, "SuccessExitStatus") == [str(128 + signal.SIGTERM)]
    assert values(text, "RemainAfterExit") == [], "or the path unit would not start it again"


def test_two_detectors_have_nothing_in_common(stage: Path) -> None:
    text = unit_text(stage, "unina-detector@.service")
    paths = [word for word in text.split() if "/run/unina" in word or "/etc/unina" in word]
    assert len(paths) >= 6 and all("-%i" in path for path in paths)
    assert values(text, "RuntimeDirectory") == ["unina-detector-%i"]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers to make the users with")
def test_the_users_can_be_made(stage: Path) -> None:
    (stage / "etc").mkdir(exist_ok=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (stage / "etc" / name).touch()
    done = subprocess.run(
        ["systemd-sysusers", f"--root={stage}"], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    made = (stage / "etc/passwd").read_text()
    assert "unina:" in made and "unina-compile:" in made
