"""Parses our layers with BitBake's own code, without any other layer; a program, whose answer is JSON.

    bitbake_parse.py LAYER... --overrides tegra234 --beside swupdate

The package `bitbake-setup` carries BitBake's library but not its programs. Every class is empty and nothing is
resolved: what is held true is that the files are BitBake's language and what the variables come to. BitBake is
GPL-2.0, so this runs in a process of its own and nothing of ours imports it.
"""

# mypy: ignore-errors
import argparse
import json
import logging
import os
import re
import sys
import tempfile
import types
from pathlib import Path

for missing in ("hashserv", "hashserv.client", "prserv", "prserv.serv"):  # of its programs, not needed to parse
    sys.modules[missing] = types.ModuleType(missing)

import bb.data  # noqa: E402
import bb.parse  # noqa: E402
import bb.siggen  # noqa: E402
import bb.utils  # noqa: E402

# What bitbake.conf says of the variables that ours use.
CONFIGURATION = """
PN = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[0] or 'unknown'}"
PV = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[1] or '1.0'}"
BPN = "${PN}"
BP = "${BPN}-${PV}"
TMPDIR = "${TOPDIR}/tmp"
WORKDIR = "${TMPDIR}/work/${PN}"
S = "${WORKDIR}/${BP}"
B = "${S}"
D = "${WORKDIR}/image"
FILE_DIRNAME = "${@os.path.dirname(d.getVar('FILE', False) or '')}"
THISDIR = "${FILE_DIRNAME}"
FILESPATH = "${FILESEXTRAPATHS}${FILE_DIRNAME}/${BP}:${FILE_DIRNAME}/${BPN}:${FILE_DIRNAME}/files"
FILESEXTRAPATHS = ""
MACHINE = "qemuarm64"
OVERRIDES = "unina${EXTRA_OVERRIDES}"
prefix = "/usr"
bindir = "/usr/bin"
sbindir = "/usr/sbin"
libdir = "/usr/lib"
libexecdir = "/usr/libexec"
nonarch_libdir = "/usr/lib"
nonarch_base_libdir = "/usr/lib"
base_sbindir = "/usr/sbin"
datadir = "/usr/share"
sysconfdir = "/etc"
localstatedir = "/var"
systemd_unitdir = "/usr/lib/systemd"
systemd_system_unitdir = "/usr/lib/systemd/system"
MACHINE_ARCH = "machine"
PYTHON_SITEPACKAGES_DIR = "/usr/lib/python3.12/site-packages"
FILES:${PN} = "base"
"""


def scratch(folder: Path, layers: list[Path]) -> None:
    """A folder that stands for all other layers: empty classes, empty machines."""
    (folder / "conf" / "machine").mkdir(parents=True)
    (folder / "classes").mkdir()
    (folder / "conf" / "bitbake.conf").write_text(CONFIGURATION)
    names = {"base", "native", "nativesdk"}
    for layer in layers:
        for path in [*layer.glob("**/recipes-*/**/*"), *layer.glob("conf/**/*")]:
            if path.suffix in (".bb", ".bbappend", ".inc", ".conf"):
                text = path.read_text()
                for found in re.findall(r"^inherit +(.*)$", text, re.MULTILINE):
                    names |= set(found.split())
                for found in re.findall(r"^require +(conf/machine/[^/\n]*)$", text, re.MULTILINE):
                    (folder / found).write_text("")
    for name in names:
        (folder / "classes" / f"{name}.bbclass").write_text("")


def fresh(folder: Path, overrides: str) -> "bb.data_smart.DataSmart":
    data = bb.data.init()
    data.setVar("BBPATH", str(folder))
    data.setVar("TOPDIR", str(folder))
    data.setVar("EXTRA_OVERRIDES", "".join(f":{name}" for name in overrides.split(":") if name))
    data.setVar("__bbclasstype", "recipe")
    bb.parse.siggen = bb.siggen.init(data)
    return bb.parse.handle(str(folder / "conf" / "bitbake.conf"), data, True)


def with_layers(data: "bb.data_smart.DataSmart", layers: list[Path]) -> "bb.data_smart.DataSmart":
    """layer.conf of each layer, as bb.cookerdata reads them."""
    for layer in layers:
        data.setVar("LAYERDIR", str(layer))
        data = bb.parse.handle(str(layer / "conf" / "layer.conf"), data, True)
        data.expandVarref("LAYERDIR")
    return data


def patterns(data: "bb.data_smart.DataSmart", beside: list[str]) -> list[str]:
    """Where recipes are looked for, with what a layer has only beside others (BBFILES_DYNAMIC)."""
    found = data.getVar("BBFILES").split()
    for entry in (data.getVar("BBFILES_DYNAMIC") or "").split():
        collection, _, pattern = entry.partition(":")
        if collection in beside:
            found.append(pattern)
    return found


def values(data: "bb.data_smart.DataSmart", keep: "re.Pattern[str]") -> dict[str, str]:
    """Expanded values of our variables; what asks for another layer's Python is left as it was written."""
    found = {}
    for name in sorted(data.keys()):
        if keep.match(name) and not data.getVarFlag(name, "func", False):
            try:
                found[name] = data.getVar(name) or ""
            except bb.data_smart.ExpansionError:
                found[name] = data.getVar(name, False) or ""
    return found


class Kept(logging.Handler):
    """What BitBake warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> int:
    kept = Kept()
    logging.getLogger("BitBake").addHandler(kept)
    parser = argparse.ArgumentParser()
    parser.add_argument("layers", nargs="+", type=lambda text: Path(text).resolve())
    parser.add_argument("--overrides", default="")
    parser.add_argument("--beside", nargs="*", default=[], help="names of other layers that are taken to be there")
    arguments = parser.parse_args()
    os.environ.setdefault("BBPATH", "")
    interesting = re.compile(
        r"^(SUMMARY|DESCRIPTION|HOMEPAGE|LICENSE|LIC_FILES_CHKSUM|SRC_URI|FILESPATH|S|DEPENDS|PACKAGE|IMAGE|UNINA|USERADD|"
        r"GROUPADD|SYSTEMD|SWUPDATE|EXTRA_OECMAKE|RDEPENDS|RRECOMMENDS|FILES|REQUIRED|COMPATIBLE|PN|BP|WORKDIR|OVERLAYFS)"
    )
    answer = {"recipes": {}, "machines": {}, "distros": {}, "layers": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scratch(folder, arguments.layers)
        data = with_layers(fresh(folder, arguments.overrides), arguments.layers)
        files = [path for pattern in patterns(data, arguments.beside) for path in sorted(bb.utils.glob.glob(pattern))]
        answer["layers"] = {key: data.getVar(key) for key in set(data) if re.match("^(BBFILE|LAYER|BBLAYER)", key)}
        appends = [path for path in files if path.endswith(".bbappend")]
        used = set()
        for path in files:
            if not path.endswith(".bb"):
                continue
            stem = Path(path).name.removesuffix(".bb")
            mine = [
                one
                for one in appends
                if re.fullmatch(re.escape(Path(one).name.removesuffix(".bbappend")).replace("%", ".*"), stem)
            ]
            used |= set(mine)
            recipe = bb.data.createCopy(data)
            recipe.setVar("__BBAPPEND", " ".join(mine))
            recipe = bb.parse.handle(path, recipe)[""]
            answer["recipes"][stem] = {"file": path, "appends": mine, **values(recipe, interesting)}
        answer["appends_without_a_recipe"] = sorted(set(appends) - used)
        for layer in arguments.layers:
            for kind in ("machine", "distro"):
                for path in sorted(layer.glob(f"conf/{kind}/*.conf")):
                    one = bb.parse.handle(str(path), bb.data.createCopy(data), True)
                    answer[f"{kind}s"][path.stem] = values(one, re.compile("^[A-Z]"))
    answer["warnings"] = kept.lines
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
