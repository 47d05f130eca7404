"""systemd takes the units and settings of unina-system."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
from parsed import ROOT, parsed

FILES = ROOT / "recipes-ai" / "unina-system" / "files"
UNITS = ["data.mount", "unina-data-format.service", "var-lib-unina.mount"]


def settings(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((FILES / name).read_text())
    return parser


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    for name in UNITS:
        text = (FILES / name).read_text().replace("@DATA_DEVICE@", "/dev/vdb")
        # what this machine need not have is not what is asked
        text = text.replace("/usr/lib/systemd/systemd-makefs", "/bin/true").replace("/usr/bin/udevadm", "/bin/true")
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / name) for name in UNITS]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60
    )
    told = [line for line in done.stderr.splitlines() if any(name in line for name in UNITS)]
    assert told == []


def test_a_mounts_file_is_named_for_where_it_mounts() -> None:
    """systemd refuses it otherwise, on the car."""
    for name in UNITS:
        if name.endswith(".mount"):
            where = settings(name)["Mount"]["Where"]
            assert name == where.strip("/").replace("/", "-") + ".mount"


def test_each_unit_is_packaged_and_started() -> None:
    enabled = parsed("")["recipes"]["unina-system_0.1.0"]["SYSTEMD_SERVICE:unina-system"].split()
    assert sorted(enabled) == sorted(UNITS)
    for name in UNITS:
        assert settings(name)["Install"]["WantedBy"] == "local-fs.target"


def test_data_is_formatted_before_it_is_mounted_and_mounted_before_models_lie_on_it() -> None:
    assert "data.mount" in settings("unina-data-format.service")["Unit"]["Before"].split()
    assert "data.mount" in settings("var-lib-unina.mount")["Unit"]["After"].split()
    assert settings("var-lib-unina.mount")["Mount"]["What"].startswith(settings("data.mount")["Mount"]["Where"])
