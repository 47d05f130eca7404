"""What `cmake --install` lays out is what the recipe's packages hold, enable and make users for."""

import importlib.util
import re
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest
from parsed import ROOT, parsed

STAGED = ROOT / "tests" / "runtime" / "installed_system.py"
# Programs are compiled, so they are not laid out here.
PROGRAMS = {"/usr/bin/unina-detector": "unina-detector", "/usr/bin/unina-bench": "unina-runtime"}


def runtime() -> dict[str, str]:
    recipe: dict[str, str] = parsed("")["recipes"]["unina-runtime_0.1.0"]
    return recipe


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    spec = importlib.util.spec_from_file_location(STAGED.stem, STAGED)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stage: Path = module.install_system(tmp_path_factory.mktemp("install"))
    files: list[str] = module.stage_files(stage)
    return [*files, *PROGRAMS, "/etc/unina/detector.toml"]


def package_of(path: str) -> str:
    """The first package whose FILES match, as do_package splits; what none of ours takes is OpenEmbedded's default."""
    recipe = runtime()
    for package in ("unina-detector", "unina-compile"):
        for pattern in recipe[f"FILES:{package}"].split():
            if fnmatch(path, pattern) or path.startswith(pattern.rstrip("/") + "/"):
                return package
    if path.startswith("/usr/share/doc/"):
        return "unina-runtime-doc"
    return "unina-runtime" if path.startswith("/usr/bin/") else "none"


def test_every_file_goes_into_the_package_that_is_for_it(installed: list[str]) -> None:
    packages = {path: package_of(path) for path in installed}
    assert "none" not in packages.values(), packages
    for path, package in packages.items():
        if "compile" in path and "/doc/" not in path:
            assert package == "unina-compile", path
        elif "unina-detector" in path and "/doc/" not in path:
            assert package == "unina-detector", path
    assert packages["/usr/bin/unina-bench"] == "unina-runtime"
    assert {packages[path] for path in packages if "sysusers.d" in path or "tmpfiles.d" in path} == {"unina-detector"}
    assert {packages[path] for path in packages if path.endswith(".rules")} == {"unina-detector"}


def test_the_units_that_are_enabled_are_installed(installed: list[str]) -> None:
    recipe = runtime()
    for package in recipe["SYSTEMD_PACKAGES"].split():
        for unit in recipe[f"SYSTEMD_SERVICE:{package}"].split():
            path = f"/usr/lib/systemd/system/{unit}"
            assert path in installed and package_of(path) == package, unit


def test_the_image_makes_the_users_that_sysusers_would() -> None:
    """A read-only root cannot make them when it boots."""
    wanted: dict[str, set[str]] = {}
    groups = set()
    for line in (ROOT / "runtime" / "systemd" / "sysusers.conf").read_text().splitlines():
        kind, *words = line.split()
        if kind == "u":
            wanted.setdefault(words[0], set())
            groups.add(words[0])
        elif kind == "g":
            groups.add(words[0])
        elif kind == "m":
            wanted.setdefault(words[0], set()).add(words[1])
    recipe = runtime()
    made = {}
    for one in recipe["USERADD_PARAM:unina-detector"].split(";"):
        found = re.search(r"--groups (\S+)", one)
        assert found and "--gid" in one, one
        made[one.split()[-1]] = set(found[1].split(","))
    assert made == wanted
    # video is base-passwd's
    assert set(re.findall(r"--system ([\w-]+)", recipe["GROUPADD_PARAM:unina-detector"])) == groups - {"video"}
