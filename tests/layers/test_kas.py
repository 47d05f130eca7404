"""kas reads every file of kas/, offline; what is fetched is pinned, and what is built exists."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from parsed import ROOT, parsed

TOPS = ["orin-agx", "orin-agx-dev", "orin-nx", "qemuarm64"]
OVERLAYS = sorted(path.stem for path in (ROOT / "kas" / "opt").glob("*.yml") if ".lock" not in path.name)
COMMIT = re.compile(r"[0-9a-f]{40}")


def dump(work: Path, config: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What kas makes of a configuration, with includes and locks, without fetching anything."""
    program = Path(sys.executable).with_name("kas")
    if not program.exists():
        pytest.skip("no kas: pip install -r tests/layers/requirements.txt (make setup does)")
    work.mkdir(exist_ok=True)
    skip = ["repo_setup_loop", "finish_setup_repos", "repos_checkout", "repos_apply_patches"]
    return subprocess.run(
        [str(program), "dump", *(word for step in skip for word in ("--skip", step)), config],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=root,
        env=os.environ | {"KAS_WORK_DIR": str(work)},
    )


def resolved(work: Path, config: str) -> dict[str, Any]:
    done = dump(work, config)
    assert done.returncode == 0, done.stderr
    assert "WARN" not in done.stderr, done.stderr
    answer: dict[str, Any] = yaml.safe_load(done.stdout)
    return answer


def assert_pinned(answer: dict[str, Any]) -> set[str]:
    """Every repository that is fetched has its commit; their names."""
    fetched = {name for name, repo in answer["repos"].items() if "url" in repo}
    for name in fetched:
        assert COMMIT.fullmatch(answer["overrides"]["repos"][name]["commit"]), name
    return fetched


def test_every_file_is_tried_here() -> None:
    assert sorted(path.stem for path in (ROOT / "kas").glob("*.yml") if ".lock" not in path.name) == TOPS
    used = " ".join(path.read_text() for path in (ROOT / "kas").rglob("*.yml"))
    for path in (ROOT / "kas" / "include").glob("*.yml"):
        assert f"kas/include/{path.name}" in used, f"{path.name}: nobody includes it"


@pytest.mark.parametrize("top", TOPS)
def test_what_is_fetched_is_pinned_to_a_commit(top: str, tmp_path: Path) -> None:
    answer = resolved(tmp_path / "work", f"kas/{top}.yml")
    assert {"bitbake", "openembedded-core", "meta-openembedded"} <= assert_pinned(answer)


def test_all_locks_pin_the_same_commits() -> None:
    """What was parsed together is built together, on a car and in the emulator."""
    pins: dict[str, set[str]] = {}
    for path in (ROOT / "kas").glob("*.lock.yml"):
        for name, entry in yaml.safe_load(path.read_text())["overrides"]["repos"].items():
            pins.setdefault(name, set()).add(entry["commit"])
    assert len(pins) == 5
    assert {name: len(commits) for name, commits in pins.items()} == dict.fromkeys(pins, 1)


@pytest.mark.parametrize("top", TOPS)
def test_machine_distribution_and_image_exist(top: str, tmp_path: Path) -> None:
    answer = resolved(tmp_path / "work", f"kas/{top}.yml")
    ours = parsed("")
    assert answer["distro"] in ours["distros"]
    assert answer["target"] in ours["recipes"]
    assert answer["machine"] in ours["machines"] or answer["machine"] == "qemuarm64"
    for layer in filter(None, answer["repos"]["unina-dla"]["layers"]):
        assert (ROOT / layer / "conf" / "layer.conf").exists()


def test_only_a_jetson_gets_the_layers_of_one(tmp_path: Path) -> None:
    emulated = resolved(tmp_path / "work", "kas/qemuarm64.yml")
    assert not [name for name in emulated["repos"] if "tegra" in name]
    assert list(emulated["repos"]["unina-dla"]["layers"]) == ["."]
    product = resolved(tmp_path / "work", "kas/orin-agx.yml")
    assert "meta-tegra" in product["repos"] and "meta-unina-dla" in product["repos"]["unina-dla"]["layers"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_goes_with_the_product(overlay: str, tmp_path: Path) -> None:
    answer = resolved(tmp_path / "work", f"kas/orin-agx.yml:kas/opt/{overlay}.yml")
    assert answer["target"] == "unina-image"
    used = yaml.safe_load((ROOT / "kas" / "opt" / f"{overlay}.yml").read_text())
    for name in used.get("env", {}):
        recipes = [*(ROOT / "recipes-ai").rglob("*.bb"), *(ROOT / "meta-unina-dla").rglob("*.bb")]
        text = " ".join(path.read_text() for path in recipes)
        headers = " ".join(used.get("local_conf_header", {}).values())
        assert name in text or name in headers, f"{name}: nothing reads it"
    assert_pinned(answer)


def test_a_word_that_kas_does_not_know_is_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "a.yml").write_text("header:\n  version: 14\nmashine: qemuarm64\n")
    done = dump(tmp_path / "work", "a.yml", root)
    assert done.returncode != 0 and "mashine" in done.stdout + done.stderr
