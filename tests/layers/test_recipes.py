"""Recipes, layers, distribution and machines by themselves: BitBake reads them, and what they name is there."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from parsed import LAYERS, ROOT, local_files, parsed

ORIN = "tegra:tegra234"
EXPECTED = {
    "packagegroup-unina",
    "packagegroup-unina-workshop",
    "python3-unina-runtime",
    "unina-image",
    "unina-image-dev",
    "unina-model",
    "unina-model-tools",
    "unina-runtime",
    "unina-ssh",
    "unina-system",
    "unina-trusted-key",
}
# What meta-unina-dla has only beside the layer of that name (dynamic-layers/).
BESIDE = {"swupdate": {"unina-fleet", "unina-swu"}, "tegra-community": {"unina-deepstream"}}
# Rules of oelint-adv that say nothing here:
SUPPRESSED = [
    "oelint.var.bbclassextend",  # software for a car has no native form
    "oelint.var.suggestedvar",  # BUGTRACKER, CVE_PRODUCT: nobody has filed a CVE against us
    "oelint.vars.fileextrapaths",  # unina-source.inc says why
    "oelint.vars.homepageping",  # asks the network
    "oelint.vars.outofcontext",  # as fileextrapaths
]


def recipe_files() -> list[Path]:
    return sorted(path for layer in LAYERS for path in layer.glob("recipes-*/*/*.bb*"))


def dynamic_files(layer: str = "*") -> list[Path]:
    return sorted((ROOT / "meta-unina-dla" / "dynamic-layers").glob(f"{layer}/recipes-*/*/*.bb*"))


def names(overrides: str) -> dict[str, dict[str, str]]:
    return {stem.partition("_")[0]: recipe for stem, recipe in parsed(overrides)["recipes"].items()}


@pytest.mark.parametrize("overrides", ["", ORIN])
def test_bitbake_reads_every_recipe_and_append(overrides: str) -> None:
    answer = parsed(overrides)
    assert names(overrides).keys() == EXPECTED
    assert answer["appends_without_a_recipe"] == []
    assert answer["warnings"] == []
    read = {recipe["file"] for recipe in answer["recipes"].values()}
    read |= {append for recipe in answer["recipes"].values() for append in recipe["appends"]}
    assert read == {str(path) for path in recipe_files()}


@pytest.mark.parametrize("layer", BESIDE)
def test_what_is_for_another_layer_is_read_with_it_and_only_then(layer: str) -> None:
    answer = parsed(ORIN, beside=(layer,))
    added = {stem: one for stem, one in answer["recipes"].items() if stem.partition("_")[0] not in EXPECTED}
    assert {stem.partition("_")[0] for stem in added} == BESIDE[layer]
    assert answer["warnings"] == []
    read = {one["file"] for one in added.values()} | set(answer["appends_without_a_recipe"])
    assert read == {str(path) for path in dynamic_files(layer)}
    for recipe in added.values():
        assert recipe["COMPATIBLE_MACHINE"] == "(tegra)"
        for path in local_files(recipe):
            assert path.is_relative_to(ROOT)


def test_the_root_layer_can_be_read_without_the_one_for_jetsons() -> None:
    answer = parsed("", (ROOT,))
    assert {stem.partition("_")[0] for stem in answer["recipes"]} == EXPECTED


def test_a_mistake_in_a_recipe_is_found(tmp_path: Path) -> None:
    """The parser is real: what BitBake would not take ends the test, too."""
    layer = tmp_path / "layer"
    shutil.copytree(ROOT / "conf", layer / "conf")
    (layer / "recipes-ai" / "broken").mkdir(parents=True)
    (layer / "recipes-ai" / "broken" / "broken_1.0.bb").write_text('SUMMARY = "no end\n')
    with pytest.raises(AssertionError, match=r"broken_1\.0\.bb"):
        parsed("", (layer,))


@pytest.mark.parametrize("overrides", ["", ORIN])
def test_every_local_file_of_a_recipe_is_there_and_in_this_checkout(overrides: str) -> None:
    for recipe in names(overrides).values():
        for path in local_files(recipe):
            assert path.is_relative_to(ROOT)


def test_licence_checksums_are_those_of_the_files() -> None:
    checked = 0
    for recipe in names("").values():
        for entry in recipe.get("LIC_FILES_CHKSUM", "").split():
            name, _, md5 = entry.removeprefix("file://").partition(";md5=")
            assert name == "LICENSE"
            assert md5 == hashlib.md5((ROOT / name).read_bytes()).hexdigest(), recipe["file"]
            checked += 1
    assert checked >= 5


def test_every_recipe_states_what_it_is_and_its_licence() -> None:
    for name, recipe in names("").items():
        assert recipe.get("SUMMARY") and recipe.get("DESCRIPTION"), name
        assert recipe.get("LICENSE", "Apache-2.0") == "Apache-2.0", name


def test_the_layers_scan_recipes_only() -> None:
    """A new .bb under model-tools/ or tests/ is nobody's recipe."""
    layers = parsed("")["layers"]
    dynamic = [entry.partition(":")[2] for entry in layers["BBFILES_DYNAMIC"].split()]
    for pattern in [*layers["BBFILES"].split(), *dynamic]:
        assert "**" not in pattern
        rest = pattern.removeprefix(str(ROOT / "meta-unina-dla")).removeprefix(str(ROOT))
        assert re.fullmatch(r"(/dynamic-layers/(swupdate|tegra-community))?/recipes-\*/\*/\*\.bb(append)?", rest), (
            pattern
        )


def test_no_layer_is_a_distribution_and_a_board_at_once() -> None:
    """yocto-check-layer refuses one that has both."""
    for layer in LAYERS:
        assert not ((layer / "conf" / "distro").exists() and (layer / "conf" / "machine").exists()), layer


def test_each_layer_says_who_keeps_it_and_how_to_send_patches() -> None:
    for layer in LAYERS[1:]:
        text = (layer / "README.md").read_text().lower()
        assert re.search(r"[\w.]+@[\w.]+", text) and "maintainer" in text and "patch" in text, layer


@pytest.mark.parametrize("name", ["unina-runtime", "unina-system", "unina-model", "python3-unina-runtime"])
def test_nothing_of_a_jetson_is_in_the_image_without_one(name: str) -> None:
    vendor = re.compile(r"cuda|tegra|tensorrt|cudla|nvargus|nvv4l2|nvidconv")
    recipe = parsed("", (ROOT,))["recipes"][f"{name}_0.1.0"]
    for variable, value in recipe.items():
        if variable.startswith(("DEPENDS", "RDEPENDS", "RRECOMMENDS", "PACKAGECONFIG")) and "[" not in variable:
            assert not vendor.search(value), (variable, value)


def test_on_an_orin_the_dla_its_compiler_and_tensorrt_come_along() -> None:
    runtime = names(ORIN)["unina-runtime"]
    assert runtime["PACKAGECONFIG"].split() == ["gstreamer", "cudla", "tensorrt"]
    assert {"libcudla", "cuda-cudart", "tensorrt-core"} <= set(runtime["RDEPENDS:unina-detector"].split())
    compiler = set(runtime["RDEPENDS:unina-compile"].split())
    # the last tells for which L4T a loadable was made: without it one that is stale would be used
    assert {"tensorrt-trtexec", "tegra-libraries-dla-compiler", "nv-tegra-release"} <= compiler
    assert names(ORIN)["unina-system"]["UNINA_DATA_DEVICE"] == "/dev/disk/by-partlabel/UDA"


def test_the_vendors_python_bindings_are_for_the_development_image_only() -> None:
    """Nor are they built for the product: BitBake builds what any package of a recipe depends on."""
    recipes = names(ORIN)
    assert {"python3-pycuda", "python3-tensorrt"} <= set(
        recipes["packagegroup-unina-workshop"]["RDEPENDS:packagegroup-unina-workshop"].split()
    )
    assert "packagegroup-unina-workshop" in recipes["unina-image-dev"]["IMAGE_INSTALL"].split()
    for name, recipe in recipes.items():
        if not name.endswith(("-dev", "-workshop")):
            for variable in (key for key in recipe if "DEPENDS" in key or key == "IMAGE_INSTALL"):
                assert not re.search("pycuda|python3-tensorrt|unina-workshop", recipe[variable]), (name, variable)


def test_the_image_has_what_its_machine_asks_for_beyond_booting() -> None:
    """Fan, power modes, drivers: MACHINE_EXTRA_RDEPENDS are packagegroup-base's."""
    for image in ("unina-image", "unina-image-dev"):
        assert {"packagegroup-core-boot", "packagegroup-base"} <= set(names("")[image]["IMAGE_INSTALL"].split())


def test_the_product_has_a_read_only_root_and_no_way_in() -> None:
    product = names("")["unina-image"]
    assert product["IMAGE_FEATURES"].split() == ["read-only-rootfs"]
    assert "ssh" not in product["IMAGE_INSTALL"]
    assert "debug-tweaks" in names("")["unina-image-dev"]["IMAGE_FEATURES"].split()


def test_every_machine_is_one_of_meta_tegras_with_two_roots() -> None:
    machines = parsed("")["machines"]
    assert len(machines) >= 4
    for name, values in machines.items():
        base = re.findall(r"^require conf/machine/([\w-]+)\.conf$", machine_file(name), re.MULTILINE)
        assert len(base) == 1 and base[0] in values["MACHINEOVERRIDES"].split(":"), name
        assert values["USE_REDUNDANT_FLASH_LAYOUT_DEFAULT"] == "1", name


def machine_file(name: str) -> str:
    return (ROOT / "meta-unina-dla" / "conf" / "machine" / f"{name}.conf").read_text()


def test_the_distribution_is_what_images_and_vendor_need() -> None:
    distro = parsed("")["distros"]["unina"]
    features = set(distro["DISTRO_FEATURES"].split())
    # TensorRT's recipe; overlays on /data; SystemCallFilter= of the units
    assert {"opengl", "overlayfs", "seccomp"} <= features
    assert distro["INIT_MANAGER"] == "systemd"
    assert "x11" not in features


@pytest.mark.parametrize("name", ["unina-runtime", "python3-unina-runtime"])
def test_what_cmake_would_look_for_by_itself_is_said(name: str) -> None:
    """Otherwise the image has what happened to lie in the sysroot."""
    text = "".join(path.read_text() for path in (ROOT / "runtime").rglob("CMakeLists.txt"))
    found = re.findall(r'option\((UNINA_\w+) "[^"]*" \$\{\w+_FOUND\}\)', text)
    assert "UNINA_GSTREAMER" in found
    recipe = Path(names("")[name]["file"]).read_text()
    for option in found:
        assert f"-D{option}=OFF" in recipe, f"{option}: PACKAGECONFIG or EXTRA_OECMAKE says neither ON nor OFF"


def test_oelint_has_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("oelint-adv")
    if not program.exists():
        pytest.skip("no oelint-adv: pip install -r tests/layers/requirements.txt (make setup does)")
    constants = Path(__file__).parent / "oelint-constants.json"
    suppress = [argument for rule in SUPPRESSED for argument in ("--suppress", rule)]
    command = [str(program), "--release", "scarthgap", "--quiet", "--constantmods", f"+{constants}", *suppress]
    done = subprocess.run(
        [*command, *map(str, recipe_files() + dynamic_files())],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
