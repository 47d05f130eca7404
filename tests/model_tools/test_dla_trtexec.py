"""The trtexec line as a value: what can be built obeys the DLA's table of formats and flags; the rest is refused."""

import re
import shlex
import subprocess
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.dla.rules import FORMATS, POOLS, Fault, format_fault, loadables_fault, pool_fault
from unina.dla.tensorrt import TensorRt
from unina.dla.trtexec import IoTensor, Layout, Pool, TrtexecCommand, TrtexecError, layer_names

SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"
IMAGE = IoTensor("images", 3, "int8", "dla_hwc4")
MAPS = IoTensor("p2_class", 4, "int8", "chw32")
MIB = 1 << 20


def line(tensorrt: str = "10.3", **changes: object) -> TrtexecCommand:
    """A plain command, changed."""
    version = TensorRt.parse(tensorrt)
    typed = version.major >= 11
    plain = {
        "onnx": "model.qdq.onnx" if typed else "model.onnx",
        "save": "out.bin",
        "inputs": (IMAGE,),
        "outputs": (MAPS,),
        "calibration": None if typed else "calibration.cache",
    }
    return TrtexecCommand(version, **{**plain, **changes})  # type: ignore[arg-type]


# The table of NvInferRuntimeBase.h and sampleOptions.cpp, written a second time: (type, layout) → as input, as output
BORDER = {
    ("fp16", "dla_linear"): (True, True),
    ("int8", "dla_linear"): (True, True),
    ("fp16", "dla_hwc4"): (True, False),
    ("int8", "dla_hwc4"): (True, False),
    ("fp16", "chw16"): (True, True),
    ("int8", "chw32"): (True, True),
}

tensors = st.builds(
    lambda name, channels, dtype, layout: (name, channels, dtype, layout),
    st.sampled_from(["images", "p2_class", "x" * 80, "x" * 81, ""]),
    st.sampled_from([1, 2, 3, 4, 32]),
    st.sampled_from(["int8", "fp16", "fp32"]),
    st.sampled_from(["dla_linear", "dla_hwc4", "chw16", "chw32", "chw", "chw4", "hwc"]),
)
versions = st.sampled_from(["8.5.2", "8.6", "8.6.2", "10.0", "10.3", "10.7", "10.8", "10.16", "11.0", "11.3", "11.4"])
versions |= st.sampled_from(["8.6.2", "10.3", "11.4.1", "11.5"])
sizes = st.sampled_from([1, 4095, 4096, 6000, 1 << 19, MIB, 2 * MIB, 3 * MIB, 1 << 30])


@settings(max_examples=800)
@given(
    tensorrt=versions,
    onnx=st.sampled_from(["model.onnx", "my model.onnx", "$(rm -rf x).onnx", "a\nb", ""]),
    inputs=st.lists(tensors, max_size=2),
    outputs=st.lists(tensors, max_size=3),
    calibration=st.none() | st.just("calibration.cache"),
    standalone=st.booleans(),
    dla_core=st.integers(-1, 2),
    gpu_fallback=st.booleans(),
    fp16_layers=st.lists(st.sampled_from(["/head/Conv", "/a:b/Conv", "a,b", "a'b", "a*", ""]), max_size=2),
    pools=st.dictionaries(
        st.sampled_from(["dlaSRAM", "dlaLocalDRAM", "dlaGlobalDRAM", "workspace"]), sizes, max_size=2
    ),
    loadables=st.integers(0, 18),
)
def test_whatever_can_be_built_obeys_the_table(
    tensorrt: str, inputs: list, outputs: list, fp16_layers: list[str], **other: object
) -> None:
    version = TensorRt.parse(tensorrt)
    try:
        command = TrtexecCommand(
            version,
            inputs=tuple(IoTensor(*tensor) for tensor in inputs),
            outputs=tuple(IoTensor(*tensor) for tensor in outputs),
            fp16_layers=tuple(fp16_layers),
            save="out",
            **other,  # type: ignore[arg-type]
        )
    except TrtexecError as error:
        assert str(error)
        return
    obeys_the_table(command, inputs, outputs)


rows = sorted(BORDER)
good_inputs = st.lists(
    st.sampled_from(
        [("in", c, d, layout) for c in (1, 3, 4, 32) for d, layout in rows if c < 32 or layout != "dla_hwc4"]
    ),
    min_size=1,
    max_size=2,
)
good_outputs = st.lists(
    st.sampled_from([("out", 64, d, layout) for d, layout in rows if BORDER[d, layout][1]]), min_size=1, max_size=3
)


@given(
    tensorrt=st.sampled_from(["8.6", "8.6.2", "10.0", "10.3", "10.7", "11.4.1", "11.5", "12.0"]),
    inputs=good_inputs,
    outputs=good_outputs,
    engine=st.sampled_from(["standalone", "engine", "fallback"]),
    dla_core=st.sampled_from([0, 1]),
    layers=st.sets(st.sampled_from(["/head/Conv", "/a:b/Conv", "with space"])),
    pools=st.dictionaries(st.sampled_from(["dlaSRAM", "dlaLocalDRAM"]), st.sampled_from([4096, 1 << 19, MIB])),
    loadables=st.integers(1, 16),
)
def test_everything_that_the_table_allows_can_be_built(
    tensorrt: str, inputs: list, outputs: list, engine: str, layers: set[str], **other: object
) -> None:
    command = line(
        tensorrt,
        inputs=tuple(IoTensor(*tensor) for tensor in inputs),
        outputs=tuple(IoTensor(*tensor) for tensor in outputs),
        standalone=engine == "standalone",
        gpu_fallback=engine == "fallback",
        fp16_layers=() if TensorRt.parse(tensorrt).major >= 11 else tuple(sorted(layers)),
        **other,
    )
    obeys_the_table(command, inputs, outputs)


def words(shell: str) -> list[str]:
    """As a shell splits it; shlex does not know that a backslash at a line's end joins it to the next."""
    return shlex.split(shell.replace("\\\n", ""))


def obeys_the_table(command: TrtexecCommand, inputs: list, outputs: list) -> None:
    """Reads the arguments as trtexec does and holds them against the facts."""
    program, *arguments = command.arguments
    assert program == "trtexec"
    assert words(command.shell) == list(command.arguments)  # quoting hides nothing and adds nothing
    flags = dict(argument.partition("=")[::2] for argument in arguments)
    assert len(flags) == len(arguments)
    major, minor, patch = command.tensorrt.major, command.tensorrt.minor, command.tensorrt.patch
    assert (8, 6) <= (major, minor) <= (10, 7) or (major, minor, patch) >= (11, 4, 1)
    typed = major >= 11
    assert flags["--useDLACore"] in {"0", "1"}
    assert not ("--buildDLAStandalone" in flags and "--allowGPUFallback" in flags)
    for flag, tensors_, side in (("--inputIOFormats", inputs, 0), ("--outputIOFormats", outputs, 1)):
        given_ = flags[flag].split(",")
        assert len(given_) == len(tensors_) > 0
        for text, (_, channels, dtype, layout) in zip(given_, tensors_, strict=True):
            assert text == (layout if typed else f"{dtype}:{layout}")
            assert BORDER[dtype, layout][side]
            assert layout != "dla_hwc4" or channels in {1, 3, 4}
    for pool, size in (spec.split(":") for spec in filter(None, flags.get("--memPoolSize", "").split(","))):
        size_bytes = float(size) * MIB
        assert size_bytes == int(size_bytes) >= 4096
        assert bin(int(size_bytes)).count("1") == 1
        assert pool in {"dlaSRAM", "dlaLocalDRAM", "dlaGlobalDRAM"}
        assert pool != "dlaSRAM" or size_bytes <= MIB
    assert 1 <= command.loadables <= 16
    weak = {"--int8", "--fp16", "--calib", "--precisionConstraints", "--layerPrecisions"}
    if typed:
        assert not weak & set(flags)
        return
    assert flags["--calib"]
    assert "--int8" in flags
    half = bool(command.fp16_layers) or any(tensor[2] == "fp16" for tensor in (*inputs, *outputs))
    assert ("--fp16" in flags) == half
    assert ("--layerPrecisions" in flags) == ("--precisionConstraints" in flags) == bool(command.fp16_layers)
    for entry in filter(None, flags.get("--layerPrecisions", "").split(",")):
        assert entry.rpartition(":")[0] in command.fp16_layers


@pytest.mark.parametrize(
    ("tensorrt", "changes", "says"),
    [
        ("10.8", {}, "10.7 was the last"),
        ("11.4", {}, "11.4.1"),
        ("8.5.2", {}, "no --buildDLAStandalone"),
        ("10.3", {"gpu_fallback": True}, "[standalone]"),
        ("10.3", {"dla_core": 2}, "cores 0 and 1"),
        ("10.3", {"outputs": (IoTensor("y", 4, "int8", "dla_hwc4"),)}, "[format]"),
        ("10.3", {"outputs": ()}, "at least one"),
        ("10.3", {"loadables": 17}, "[loadables]"),
        ("10.3", {"loadables": 0}, "at least 1"),
        ("10.3", {"calibration": None}, "needs a calibration cache"),
        ("11.4.1", {"calibration": "c"}, "reads no calibration cache"),
        ("11.4.1", {"fp16_layers": ("/a",)}, "no --layerPrecisions"),
        ("10.3", {"fp16_layers": ("/a,b",)}, "'/a,b'"),
        ("10.3", {"fp16_layers": ("/a", "/a")}, "twice"),
        ("10.3", {"pools": {"dlaSRAM": 3 << 18}}, "[pool-power]"),
        ("10.3", {"pools": {"dlaSRAM": 2 * MIB}}, "[pool-sram]"),
        ("10.3", {"pools": {"dlaLocalDRAM": 2048}}, "[pool-power]"),
        ("10.3", {"pools": {"workspace": MIB}}, "not a pool"),
        ("10.3", {"onnx": "a\nb"}, "not a file name"),
    ],
)
def test_a_wrong_combination_cannot_be_built_and_says_why(tensorrt: str, changes: dict, says: str) -> None:
    with pytest.raises(TrtexecError, match=re.escape(says)):
        line(tensorrt, **changes)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (("x", 3, "fp16", "chw"), "[format]"),
        (("x", 3, "int8", "chw16"), "[format]"),
        (("x", 3, "fp16", "chw32"), "[format]"),
        (("x", 3, "fp32", "dla_linear"), "[format]"),
        (("x", 8, "int8", "dla_hwc4"), "[format-hwc4]"),
        (("x" * 81, 3, "int8", "chw32"), "81 characters"),
    ],
)
def test_a_format_that_the_dla_does_not_have_cannot_be_built(tensor: tuple, says: str) -> None:
    with pytest.raises(TrtexecError, match=re.escape(says)):
        IoTensor(*tensor)


def said(make: Callable[[], object]) -> str | None:
    """The id of the rule that is named when something cannot be made."""
    try:
        make()
    except TrtexecError as error:
        return error.args[0].partition("[")[2].partition("]")[0]
    return None


def id_of(fault: Fault | None) -> str | None:
    return fault.rule.id if fault else None


def test_the_line_is_refused_by_the_rules_of_the_build_and_by_nothing_else() -> None:
    assert set(get_args(Layout)) == set(FORMATS) and set(get_args(Pool)) == set(POOLS)
    for kind, layout, channels in product(("int8", "fp16", "fp32"), (*FORMATS, "chw"), (1, 2, 3, 4, 32)):
        tensor = partial(IoTensor, "x", channels, kind, layout)
        assert said(tensor) == id_of(format_fault("input", kind, layout, channels))
        if said(tensor) is None:
            assert said(partial(line, outputs=(tensor(),))) == id_of(format_fault("output", kind, layout, channels))
    for pool, size in product(POOLS, (0, 2048, 4096, 6000, MIB, 2 * MIB)):
        assert said(partial(line, pools={pool: size})) == id_of(pool_fault(pool, size))
    for count in (1, 4, 5, 16, 17):
        assert said(partial(line, loadables=count)) == id_of(loadables_fault(count, TensorRt(10, 3)))


def test_the_line_for_jetpack_6() -> None:
    assert line(dla_core=1, fp16_layers=("/head/a/Conv", "/head/b/Conv")).arguments == (
        "trtexec",
        "--onnx=model.onnx",
        "--saveEngine=out.bin",
        "--useDLACore=1",
        "--buildDLAStandalone",
        "--inputIOFormats=int8:dla_hwc4",
        "--outputIOFormats=int8:chw32",
        "--memPoolSize=dlaSRAM:1",
        "--int8",
        "--fp16",
        "--calib=calibration.cache",
        "--precisionConstraints=obey",
        "--layerPrecisions=/head/a/Conv:fp16,/head/b/Conv:fp16",
    )


def test_a_shell_hands_trtexec_what_was_meant() -> None:
    command = line(onnx="my $(echo no) model's.onnx")
    script = f"trtexec() {{ printf '%s\\n' trtexec \"$@\"; }}; {command.shell}"
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert tuple(printed.splitlines()) == command.arguments


def test_the_line_for_tensorrt_11_has_no_precisions_and_says_what_is_not_verified() -> None:
    command = line("11.4.1")
    assert command.arguments[4:] == (
        "--buildDLAStandalone",
        "--inputIOFormats=dla_hwc4",
        "--outputIOFormats=chw32",
        "--memPoolSize=dlaSRAM:1",
    )
    assert any("INT8 from Q/DQ nodes is expected, not confirmed" in note for note in command.unverified)


@pytest.mark.parametrize(
    "text", ['"/n/Conv":fp16,"/m/Conv":fp16\n', "/n/Conv:fp16\n/m/Conv:fp16\n", "/n/Conv:fp16, /m/Conv:fp16"]
)
def test_layer_precisions_are_read_as_trtexec_spells_them(text: str) -> None:
    assert layer_names(text) == ("/n/Conv", "/m/Conv")


@pytest.mark.parametrize("text", ["/n/Conv:int8", "/n/Conv", ":fp16"])
def test_another_precision_is_refused(text: str) -> None:
    with pytest.raises(TrtexecError, match="line 1"):
        layer_names(text)


@pytest.mark.parametrize("version", ["8.5.2", "8.6", "8.6.2", "10.3", "10.7.1", "11.4.1"])
def test_a_cache_spells_every_version_so_that_it_can_be_read_back(version: str) -> None:
    assert TensorRt.of_cache(TensorRt.parse(version).cache_number) == TensorRt.parse(version)
