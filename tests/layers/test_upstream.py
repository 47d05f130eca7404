"""With upstream's layers (OE_SOURCES): all of the build is planned, nothing is compiled."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from parsed import ROOT
from upstream import CORE, MASKED, OPEN, OUR_LAYERS, TEGRA, Build, clone, copy_checkout, prepared, sources

pytestmark = pytest.mark.long

ORIN = "unina-agx-orin-64gb"
NX = "unina-orin-nx"
MACHINES = sorted(path.stem for path in (ROOT / "meta-unina-dla" / "conf" / "machine").glob("*.conf"))
OURS = {"unina-model", "unina-runtime", "unina-system", "packagegroup-unina"}
OF_A_JETSON = {
    "cuda-cudart",
    "libcudla",
    "nv-tegra-release",
    "tegra-libraries-cuda",
    "tegra-libraries-dla-compiler",
    "tegra-nvfancontrol",
    "tegra-nvpmodel",
    "tegra-redundant-boot",
    "tensorrt-core",
    "tensorrt-plugins-prebuilt",
    "tensorrt-trtexec-prebuilt",
}
# Of meta-swupdate, what appends to recipes that are masked.
MASKED_SWUPDATE = """
BBMASK += "/meta-swupdate/recipes-core/ /meta-swupdate/recipes-graphics/"
"""


def build(machine: str) -> Build:
    layers = [CORE, *OPEN, *TEGRA, "unina-ai", "unina-dla"] if machine in MACHINES else [CORE, *OPEN, "unina-ai"]
    return prepared(machine, machine, layers)


def recipes_of(image: str, machine: str) -> set[str]:
    one = build(machine)
    done = one.run(f"bitbake -g {image}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return set((one.folder / "pn-buildlist").read_text().split())


def complaints(output: str, checkout: Path) -> list[str]:
    """Warnings and errors that name us."""
    ours = re.compile(rf"unina|{re.escape(str(checkout))}")
    return [line for line in output.splitlines() if re.match("(WARNING|ERROR)", line) and ours.search(line)]


@pytest.mark.parametrize("machine", MACHINES)
def test_our_recipes_are_read_with_upstreams_classes_and_machines_without_a_word(machine: str) -> None:
    """Quick: upstream's own recipes are masked."""
    one = prepared("masked", machine, [CORE, *OPEN, *TEGRA, "unina-ai", "unina-dla"], local=MASKED)
    done = one.run("bitbake -p")
    output = done.stdout + done.stderr
    assert re.search(r"\b0 skipped, \d+ masked, 0 errors", output), output[-4000:]
    assert not re.search("WARNING|ERROR", output), output[-4000:]
    values = one.run("bitbake -e").stdout
    assert 'USE_REDUNDANT_FLASH_LAYOUT="1"' in values and "_rootfs_ab.xml" in values


def test_what_is_for_swupdate_is_read_beside_it_without_a_word() -> None:
    """Quick, as the one above."""
    layers = [CORE, *OPEN, *TEGRA, clone("meta-swupdate"), "unina-ai", "unina-dla"]
    one = prepared("masked-swupdate", ORIN, layers, local=MASKED + MASKED_SWUPDATE)
    done = one.run("bitbake -p")
    output = done.stdout + done.stderr
    assert re.search(r"\b0 skipped, \d+ masked, 0 errors", output), output[-4000:]
    assert not re.search("WARNING|ERROR", output), output[-4000:]


@pytest.mark.parametrize("machine", [ORIN, NX, "qemuarm64"])
def test_every_recipe_of_all_layers_is_read_without_a_word_about_ours(machine: str) -> None:
    one = build(machine)
    done = one.run("bitbake -p")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    assert re.search(r"\b0 errors", output), output[-2000:]
    assert complaints(output, one.checkout) == []


@pytest.mark.parametrize("machine", [ORIN, NX])
def test_the_products_image_resolves_with_the_dla_its_compiler_and_tensorrt(machine: str) -> None:
    recipes = recipes_of("unina-image", machine)
    assert recipes >= OURS | OF_A_JETSON, OURS | OF_A_JETSON - recipes
    # no compiler of the vendor's, no binding, no way in
    assert not {"python3-pycuda", "python3-tensorrt", "openssh", "unina-ssh"} & recipes


def test_the_development_image_has_the_vendors_bindings() -> None:
    assert {"python3-pycuda", "python3-tensorrt", "openssh", "python3-unina-runtime"} <= recipes_of(
        "unina-image-dev", ORIN
    )


def test_with_swupdate_image_and_update_resolve() -> None:
    """kas/opt/swupdate.yml; the firmware that goes with an update is built for it."""
    overlay = yaml.safe_load((ROOT / "kas" / "opt" / "swupdate.yml").read_text())
    layers = [CORE, *OPEN, *TEGRA, clone("meta-swupdate"), "unina-ai", "unina-dla"]
    one = prepared("orin-swupdate", ORIN, layers, local=overlay["local_conf_header"]["swupdate"])
    done = one.run("bitbake -g unina-image unina-swu")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    assert complaints(output, one.checkout) == []
    recipes = set((one.folder / "pn-buildlist").read_text().split())
    wanted = {"efivar", "swupdate", "tegra-redundant-boot", "tegra-uefi-capsules", "unina-fleet", "unina-swu"}
    assert recipes >= OURS | wanted, wanted - recipes
    assert "lua" not in recipes


def test_the_emulated_image_resolves_without_anything_of_a_jetson() -> None:
    recipes = recipes_of("unina-image", "qemuarm64")
    assert recipes >= OURS
    assert not [name for name in recipes if re.search("tegra|tensorrt|cuda|cudla", name)]


@pytest.mark.parametrize("machine", [ORIN, "qemuarm64"])
def test_every_task_of_our_runtime_down_to_the_compilers_is_planned(machine: str) -> None:
    one = build(machine)
    done = one.run("bitbake -n unina-runtime unina-model unina-system python3-unina-runtime unina-model-tools")
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "all succeeded" in output, output[-4000:]
    assert complaints(output, one.checkout) == []


def test_with_deepstream_the_image_resolves_and_its_parser_is_planned_against_its_own_headers() -> None:
    """kas/opt/deepstream.yml."""
    overlay = yaml.safe_load((ROOT / "kas" / "opt" / "deepstream.yml").read_text())
    added = [f"meta-openembedded/{name}" for name in overlay["repos"]["meta-openembedded"]["layers"]]
    layers = [CORE, *OPEN, *added, *TEGRA, "unina-ai", "unina-dla"]
    one = prepared("orin-deepstream", ORIN, layers, local=overlay["local_conf_header"]["deepstream"])
    done = one.run("bitbake -g unina-image && bitbake -n unina-deepstream")
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "all succeeded" in output, output[-4000:]
    assert complaints(output, one.checkout) == []
    assert {"unina-deepstream", "deepstream-7.1"} <= set((one.folder / "pn-buildlist").read_text().split())
    (place,) = re.findall(r"-DUNINA_DEEPSTREAM_INCLUDE=\S+?(/opt/\S+)", value(one, "unina-deepstream", "EXTRA_OECMAKE"))
    assert f"{place}/" in value(one, "deepstream-7.1", "SYSROOT_DIRS").split(), "what its recipe gives to others"


def value(one: Build, recipe: str, variable: str) -> str:
    """Of a variable, as BitBake has it in the end."""
    found = re.search(rf'^{variable}="(.*)"$', one.run(f"bitbake -e {recipe}").stdout, re.MULTILINE)
    assert found is not None, variable
    return found[1]


@pytest.mark.parametrize("layer", ["unina-ai", "unina-dla"])
def test_yocto_check_layer_takes_both(layer: str) -> None:
    """Against a world of our own recipes alone: upstream's are masked."""
    one = prepared(
        f"check-{layer}", "qemuarm64", [CORE, "stand-ins"], distro="nodistro", local=MASKED + 'TCMODE = "stand-in"\n'
    )
    needed = [one.sources / name for name in OPEN]
    if layer == "unina-dla":
        needed += [one.checkout, one.sources / "meta-tegra"]
    path = (one.checkout / OUR_LAYERS[layer]).resolve()
    done = one.run(f"yocto-check-layer {path} --no-auto --no-auto-dependency --dependency {' '.join(map(str, needed))}")
    output = done.stdout + done.stderr
    assert re.search(rf"INFO: {path.name} \.\.\. PASS", output), output[-6000:]


@pytest.mark.parametrize("overlay", ["", "swupdate"])
def test_kas_checks_out_the_pinned_commits_from_clones_and_finds_nothing_to_lock(overlay: str, tmp_path: Path) -> None:
    clones, checkout, work = sources(), tmp_path / "checkout", tmp_path / "work"
    copy_checkout(checkout)
    work.mkdir()
    git = ["git", "-C", str(checkout), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "--all", "--force"], ["commit", "-q", "--message", "as it is"]):
        subprocess.run([*git, *words], check=True)
    files, locks = ["include/repos.yml", "include/orin.yml"], ["orin-agx.lock.yml"]
    added = f":kas/opt/{overlay}.yml" if overlay else ""
    if overlay:
        files.append(f"opt/{overlay}.yml")
        locks.append(f"opt/{overlay}.lock.yml")
    urls = {
        clone(name): repo["url"]
        for file in files
        for name, repo in yaml.safe_load((ROOT / "kas" / file).read_text())["repos"].items()
        if "url" in repo
    }
    mirrors = "\n".join(f"{url}$ file://{clones / name}" for name, url in urls.items())
    program = Path(sys.executable).with_name("kas")

    def kas(*words: str) -> str:
        done = subprocess.run(
            [str(program), *words],
            cwd=checkout,
            env=os.environ
            | {"KAS_WORK_DIR": str(work), "KAS_PREMIRRORS": mirrors, "KAS_CLONE_DEPTH": "1"}
            | {"UNINA_UPDATE_CERT": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    kas("checkout", f"kas/orin-agx.yml{added}")
    pins = {
        name: entry
        for lock in locks
        for name, entry in yaml.safe_load((ROOT / "kas" / lock).read_text())["overrides"]["repos"].items()
    }
    assert pins.keys() == urls.keys()
    for name, entry in pins.items():
        head = subprocess.run(
            ["git", "-C", str(work / name), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        assert head.stdout.strip() == entry["commit"], name
    for top in sorted((ROOT / "kas").glob("*.yml")):
        if not top.name.endswith(".lock.yml") and (not added or top.name.startswith("orin")):
            assert "No floating repos found" in kas("lock", f"kas/{top.name}{added}"), top.name
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    assert changed.stdout == ""
