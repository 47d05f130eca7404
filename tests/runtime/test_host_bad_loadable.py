"""A damaged or absurd loadable is refused with one line that names the file, the place and the reason."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loadable_writer import Network, container, header_and_data, loadable_bytes

from unina_runtime import HostEngine, UninaError

Header = dict[str, Any]


def network() -> Network:
    """Every operator once; ops: 0 conv, 1 relu, 2 add, 3 concat, 4 maxpool, 5 resize."""
    n = Network()
    n.input("x", 3, 8, 8)
    weights = np.ones((4, 3, 3, 3), np.int8)
    n.conv("x", "a", weights, np.zeros(4, np.int32), np.ones(4, np.float32), pads=(1, 1, 1, 1))
    n.relu("a", "b")
    n.add("a", "b", "c")
    n.concat(["b", "c"], "d")
    n.pool("maxpool", "d", "e", (2, 2), (2, 2))
    n.resize("e", "f", (2, 2))
    n.outputs = ["f"]
    return n


def promoted_network() -> Network:
    """ops: 0 a promoted conv to float16, 1 one from float16 to int8, 2 relu."""
    n = Network()
    n.input("x", 3, 8, 8)
    n.float_conv("x", "a", np.ones((4, 3, 3, 3), np.float16), np.zeros(4, np.float32))
    n.float_conv("a", "b", np.ones((4, 4, 1, 1), np.float16), np.zeros(4, np.float32), scale=0.5)
    n.relu("b", "c")
    n.outputs = ["c"]
    return n


def network_of_version_3() -> Network:
    """ops: 0 table, 1 avgpool, 2 mul by a factor a channel, 3 mul, 4 max, 5 min, 6 bilinear, 7 depthtospace."""
    n = Network()
    n.input("x", 8, 6, 5)
    n.table("x", "a", np.arange(-128, 128))
    n.pool("avgpool", "a", "b", (6, 5))
    n.mul("a", "b", "c")
    n.mul("c", "a", "d", scale=4.0)
    n.extreme("max", "a", "c", "e")
    n.extreme("min", "e", "a", "f")
    n.bilinear("f", "g", (2, 3), scale=0.5)
    n.depth_to_space("g", "h", (2, 2), (1, 0))
    n.outputs = ["d", "h"]
    return n


def put(*path: Any) -> Callable[[Header], None]:
    """A change of the header: put("ops", 0, "stride", [0, 1]) sets header["ops"][0]["stride"]."""
    *keys, last, value = path

    def change(header: Header) -> None:
        target: Any = header
        for key in keys:
            target = target[key]
        target[last] = value

    return change


def drop(*path: Any) -> Callable[[Header], None]:
    *keys, last = path

    def change(header: Header) -> None:
        target: Any = header
        for key in keys:
            target = target[key]
        del target[last]

    return change


def huge(header: Header) -> None:
    """Three resizes from a small picture to more than a GiB."""
    header["tensors"][6] = {"name": "f", "shape": [1, 8, 4 * 2048, 4 * 2048], "scale_bits": "3f800000"}
    header["ops"][5]["factor"] = [2048, 2048]


HEADER_CASES = {
    "another version": (put("version", 4), "version"),
    "float16 in version 1": (put("tensors", 1, "type", "float16"), "belongs to version 2"),
    "a promoted layer in version 1": (put("ops", 0, "precision", "float16"), "belongs to version 2"),
    "unknown rounding": (put("rounding", "up"), "rounding"),
    "data_bytes too large": (put("data_bytes", 1 << 40), "data_bytes"),
    "data_bytes negative": (put("data_bytes", -1), "data_bytes"),
    "data_bytes as text": (put("data_bytes", "512"), "data_bytes"),
    "no tensors": (drop("tensors"), "tensors"),
    "a tensor twice": (put("tensors", 2, "name", "a"), "a second tensor"),
    "a name of two lines": (put("tensors", 2, "name", "a\nb"), "control characters"),
    "batch 2": (put("tensors", 0, "shape", [2, 3, 8, 8]), "batch"),
    "three dimensions": (put("tensors", 0, "shape", [3, 8, 8]), "4 integers"),
    "a dimension of 0": (put("tensors", 0, "shape", [1, 3, 0, 8]), "from 1 to 8192"),
    "a dimension of 8193": (put("tensors", 0, "shape", [1, 3, 8, 8193]), "from 1 to 8192"),
    "more than 1 GiB": (huge, "1 GiB"),
    "scale 0": (put("tensors", 1, "scale_bits", "00000000"), "scale_bits"),
    "scale infinite": (put("tensors", 1, "scale_bits", "7f800000"), "finite"),
    "scale not a number": (put("tensors", 1, "scale_bits", "7fc00000"), "finite"),
    "scale negative": (put("tensors", 1, "scale_bits", "bf800000"), "finite"),
    "scale of 7 digits": (put("tensors", 1, "scale_bits", "3f80000"), "8 hex digits"),
    "scale not hex": (put("tensors", 1, "scale_bits", "0x3f8000"), "8 hex digits"),
    "no inputs": (put("inputs", []), "no inputs"),
    "no outputs": (put("outputs", []), "no outputs"),
    "an unknown input": (put("inputs", ["y"]), "no tensor of this name"),
    "an input twice": (put("inputs", ["x", "x"]), "written twice"),
    "an output twice": (put("outputs", ["f", "f"]), "twice"),
    "an output nobody writes": (drop("ops", 5), "written by no operator"),
    "an unknown operator": (put("ops", 0, "type", "softmax"), "softmax"),
    "an operator that is a list": (put("ops", 0, [1]), "expected an object"),
    "an undefined tensor": (put("ops", 1, "inputs", ["nowhere"]), "no tensor of this name"),
    "read before written": (put("ops", 1, "inputs", ["e"]), "read before it is written"),
    "written twice": (put("ops", 1, "output", "a"), "written twice"),
    "its own input": (put("ops", 1, "inputs", ["b"]), "read before it is written"),
    "two inputs of a relu": (put("ops", 1, "inputs", ["a", "a"]), "expected 1"),
    "no input of a conv": (put("ops", 0, "inputs", []), "expected 1"),
    "one input of an add": (put("ops", 2, "inputs", ["a"]), "expected 2"),
    "one input of a concat": (put("ops", 3, "inputs", ["b"]), "two or more"),
    "stride 0": (put("ops", 0, "stride", [0, 1]), "stride"),
    "kernel of one number": (put("ops", 0, "kernel", [3]), "2 integers"),
    "kernel larger than the input": (put("ops", 4, "kernel", [9, 2]), "larger than the padded input"),
    "negative padding": (put("ops", 0, "pads", [-1, 1, 1, 1]), "pads"),
    "dilation 0": (put("ops", 0, "dilation", [0, 1]), "dilation"),
    "a dilated maxpool": (put("ops", 4, "dilation", [2, 2]), "dilation"),
    "another output size": (put("ops", 0, "pads", [0, 0, 0, 0]), "is declared 1x4x8x8, but is 1x4x6x6"),
    "groups that divide nothing": (put("ops", 0, "groups", 2), "does not divide"),
    "groups 0": (put("ops", 0, "groups", 0), "groups"),
    "relu as a number": (put("ops", 0, "relu", 1), "true or false"),
    "weights out of range": (put("ops", 0, "weights", 1 << 20), "do not fit"),
    "weights at the very end": (put("ops", 0, "weights", (1 << 63) - 64), "do not fit"),
    "weights misaligned": (put("ops", 0, "weights", 1), "multiples of 64"),
    "weights beyond int64": (put("ops", 0, "weights", 1 << 64), "weights"),
    "bias out of range": (put("ops", 0, "bias", 1 << 20), "do not fit"),
    "multiplier missing": (drop("ops", 0, "multiplier"), "multiplier"),
    "unequal scales of relu": (put("tensors", 2, "scale_bits", "40000000"), "scale"),
    "unequal scales of concat": (put("tensors", 4, "scale_bits", "40000000"), "scale"),
    "unequal scales of maxpool": (put("tensors", 5, "scale_bits", "40000000"), "scale"),
    "unequal scales of resize": (put("tensors", 6, "scale_bits", "40000000"), "scale"),
    "an infinite add": (put("ops", 2, "multiplier_bits", "7f800000"), "multiplier_bits"),
    "padding as wide as the pool": (put("ops", 4, "pads", [2, 0, 0, 0]), "smaller than the kernel"),
    "another resize": (put("ops", 5, "factor", [2, 3]), "is declared"),
    "resize by nothing": (put("ops", 5, "factor", [0, 2]), "factor"),
}


PROMOTED_CASES = {
    "version 1": (put("version", 1), "belongs to version 2"),
    "an unknown type": (put("tensors", 1, "type", "bfloat16"), 'expected "int8" or "float16"'),
    "a type that is no text": (put("tensors", 1, "type", 16), "expected a string"),
    "an unknown precision": (put("ops", 0, "precision", "float32"), 'expected "int8" or "float16"'),
    "a relu in float16": (put("ops", 2, "precision", "float16"), "only a conv"),
    "an input in float16": (put("tensors", 0, "type", "float16"), "input x is float16; the network takes int8"),
    "a relu that reads float16": (put("ops", 2, "inputs", ["a"]), "its input a is float16"),
    "a relu that writes float16": (put("tensors", 3, "type", "float16"), "its output c is float16"),
    "an int8 conv without multiplier": (put("ops", 1, "precision", "int8"), "multiplier"),
    "an int8 tensor without scale": (drop("tensors", 2, "scale_bits"), "scale_bits"),
    "no bias": (drop("ops", 0, "bias"), '"bias" is missing'),
    "no weights": (drop("ops", 0, "weights"), '"weights" is missing'),
    "weights out of bounds": (put("ops", 0, "weights", 1 << 20), "108 values of 2 bytes do not fit"),
    "weights misaligned": (put("ops", 0, "weights", 2), "multiples of 64"),
    "weights at the end": (put("ops", 1, "weights", 384), "16 values of 2 bytes do not fit"),
    "no inverse": (drop("ops", 1, "inverse_scale_bits"), "inverse_scale_bits"),
    "another inverse": (put("ops", 1, "inverse_scale_bits", "3f800000"), "is not 1 / (scale of the output)"),
    "an infinite inverse": (put("ops", 1, "inverse_scale_bits", "7f800000"), "finite"),
    "another output size": (put("ops", 0, "pads", [1, 1, 1, 1]), "is declared 1x4x6x6, but is 1x4x8x8"),
    "groups that divide nothing": (put("ops", 0, "groups", 2), "does not divide"),
}


VERSION_3_CASES = {
    "version 1": (put("version", 1), "op 0 (table): table belongs to version 3, the file says version 1"),
    "version 2": (put("version", 2), "op 0 (table): table belongs to version 3, the file says version 2"),
    "an input in float16": (put("tensors", 0, "type", "float16"), "input x is float16"),
    "a table in float16": (put("ops", 0, "precision", "float16"), "only a conv computes in float16"),
    "no table": (drop("ops", 0, "table"), '"table" is missing'),
    "a table out of bounds": (put("ops", 0, "table", 64), "256 values of 1 bytes do not fit"),
    "a table misaligned": (put("ops", 0, "table", 8), "multiples of 64"),
    "two inputs of a table": (put("ops", 0, "inputs", ["x", "x"]), "2 inputs; expected 1"),
    "a table of another shape": (put("tensors", 1, "shape", [1, 8, 5, 6]), "is declared 1x8x5x6, but is 1x8x6x5"),
    "unequal scales of avgpool": (put("tensors", 2, "scale_bits", "40000000"), "the scale of input"),
    "padding as wide as the avgpool": (put("ops", 1, "pads", [0, 0, 0, 5]), "smaller than the kernel"),
    "an avgpool larger than the input": (put("ops", 1, "kernel", [7, 5]), "larger than the padded input"),
    "a dilated avgpool": (put("ops", 1, "dilation", [2, 1]), "dilation"),
    "an avgpool without stride": (put("ops", 1, "stride", [1, 0]), "stride"),
    "an avgpool of another size": (put("ops", 1, "kernel", [5, 5]), "is declared 1x8x1x1, but is 1x8x2x1"),
    "one input of a mul": (put("ops", 2, "inputs", ["a"]), "1 inputs; expected 2"),
    "a mul of the factors by the rest": (put("ops", 2, "inputs", ["b", "a"]), "the inputs are 1x8x1x1 and 1x8x6x5"),
    "a mul without multiplier": (drop("ops", 3, "multiplier_bits"), '"multiplier_bits" is missing'),
    "an infinite mul": (put("ops", 3, "multiplier_bits", "7f800000"), "finite float32 above 0"),
    "a mul by nothing": (put("ops", 3, "multiplier_bits", "00000000"), "finite float32 above 0"),
    "a negative mul": (put("ops", 3, "multiplier_bits", "bf800000"), "finite float32 above 0"),
    "a mul of another size": (put("tensors", 4, "shape", [1, 8, 6, 6]), "is declared 1x8x6x6, but is 1x8x6x5"),
    "a max of two scales": (put("tensors", 3, "scale_bits", "40000000"), "the scale of input c differs"),
    "a max of two shapes": (put("ops", 4, "inputs", ["a", "b"]), "the inputs are 1x8x6x5 and 1x8x1x1"),
    "a max of one": (put("ops", 4, "inputs", ["a"]), "expected 2"),
    "a max with another output": (put("tensors", 5, "scale_bits", "40000000"), "the scale of input"),
    "a min of two shapes": (put("ops", 5, "inputs", ["a", "b"]), "the inputs are 1x8x6x5 and 1x8x1x1"),
    "a min of three": (put("ops", 5, "inputs", ["a", "a", "a"]), "expected 2"),
    "a min with another output": (put("tensors", 6, "scale_bits", "40000000"), "the scale of input"),
    "a bilinear factor of 0": (put("ops", 6, "factor", [0, 3]), "expected an integer from 1 to 32"),
    "a bilinear factor of 33": (put("ops", 6, "factor", [2, 33]), "expected an integer from 1 to 32"),
    "another bilinear factor": (put("ops", 6, "factor", [3, 2]), "is declared 1x8x12x15, but is 1x8x18x10"),
    "an unknown corner": (put("ops", 6, "corner", "align_corners"), 'expected "half_pixel" or "asymmetric"'),
    "no corner": (drop("ops", 6, "corner"), '"corner" is missing'),
    "an infinite bilinear": (put("ops", 6, "multiplier_bits", "7f800000"), "finite float32 above 0"),
    "a bilinear without multiplier": (drop("ops", 6, "multiplier_bits"), '"multiplier_bits" is missing'),
    "unequal scales of depthtospace": (put("tensors", 8, "scale_bits", "40000000"), "the scale of input"),
    "blocks that divide nothing": (put("ops", 7, "block", [3, 1]), "blocks of 3x1 do not divide 8 channels"),
    "blocks of nothing": (put("ops", 7, "block", [0, 4]), "block"),
    "huge blocks": (put("ops", 7, "block", [8192, 8192]), "do not divide 8 channels"),
    "other blocks": (put("ops", 7, "block", [1, 4]), "is declared 1x2x23x30, but is 1x2x12x60"),
    "a block that is left out": (put("tensors", 8, "shape", [1, 2, 22, 30]), "is declared 1x2x22x30, but is 1x2x24x30"),
    "a row too many": (put("tensors", 8, "shape", [1, 2, 25, 30]), "is declared 1x2x25x30, but is 1x2x24x30"),
    "a column too many": (put("tensors", 8, "shape", [1, 2, 24, 31]), "is declared 1x2x24x31, but is 1x2x24x30"),
    "columns left out": (put("tensors", 8, "shape", [1, 2, 24, 28]), "is declared 1x2x24x28, but is 1x2x24x30"),
    "another number of channels": (put("tensors", 8, "shape", [1, 3, 23, 30]), "but is 1x2x23x30"),
}


def refuse(content: bytes, path: Path, reason: str) -> None:
    path.write_bytes(content)
    for source, name in ((path, str(path)), (content, "<bytes>")):
        with pytest.raises(UninaError) as caught:
            HostEngine(source)
        message = str(caught.value)
        assert message.startswith(f"{name}: "), message
        assert reason in message, message
        assert "\n" not in message, message


def test_the_networks_of_these_tests_are_valid() -> None:
    HostEngine(loadable_bytes(network()))
    HostEngine(loadable_bytes(promoted_network()))
    HostEngine(loadable_bytes(network_of_version_3()))


@pytest.mark.parametrize("case", VERSION_3_CASES)
def test_a_bad_header_of_version_3_is_refused(case: str, tmp_path: Path) -> None:
    change, reason = VERSION_3_CASES[case]
    header, data = header_and_data(network_of_version_3())
    change(header)
    refuse(container(header, data), tmp_path / "host.loadable", reason)


@pytest.mark.parametrize("position", range(8))
@pytest.mark.parametrize("version", [1, 2])
def test_each_operator_of_version_3_is_refused_before_it(position: int, version: int, tmp_path: Path) -> None:
    header, data = header_and_data(network_of_version_3())
    kind = header["ops"][position]["type"]
    header["ops"] = header["ops"][position:]
    header["version"] = version
    reason = f"op 0 ({kind}): {kind} belongs to version 3, the file says version {version}"
    refuse(container(header, data), tmp_path / "host.loadable", reason)


@pytest.mark.parametrize("position", range(8))
def test_operators_of_version_3_neither_read_nor_write_float16(position: int, tmp_path: Path) -> None:
    n = Network()
    n.input("x", 8, 6, 5)
    n.float_conv("x", "real", np.ones((8, 8, 1, 1), np.float16), np.zeros(8, np.float32))
    op = network_of_version_3().ops[position]
    for inputs, output, place in ((["x", "real"], "y", "input real"), (["x", "x"], "real2", "output real2")):
        tensors = [*n.tensors, {**n.tensors[0], "name": "y"}, {**n.tensors[1], "name": "real2"}]
        count = len(op["inputs"])
        changed = {**op, "inputs": inputs[2 - count :], "output": output}
        network = Network(tensors=tensors, inputs=["x"], outputs=[output], ops=[*n.ops, changed])
        reason = f"computes in int8, but its {place} is float16"
        refuse(loadable_bytes(network), tmp_path / "host.loadable", reason)


def test_a_window_of_65537_pixels_is_refused(tmp_path: Path) -> None:
    for kernel, fits in (((256, 256), True), ((8192, 8), True), ((65, 1009), False), ((8191, 9), False)):
        n = Network()
        n.input("x", 1, *kernel)
        n.pool("avgpool", "x", "y", kernel)
        n.outputs = ["y"]
        if fits:
            HostEngine(loadable_bytes(n))
        else:
            reason = f"a window of {kernel[0] * kernel[1]} pixels; an avgpool takes 65536 at most"
            refuse(loadable_bytes(n), tmp_path / "host.loadable", reason)


def test_factors_of_a_mul_are_as_many_as_its_channels(tmp_path: Path) -> None:
    n = Network()
    n.input("x", 3, 4, 4)
    n.input("factors", 2, 1, 1)
    n.mul("x", "factors", "y")
    n.outputs = ["y"]
    refuse(loadable_bytes(n), tmp_path / "host.loadable", "2 factors for 3 channels")


@pytest.mark.parametrize("case", PROMOTED_CASES)
def test_a_bad_header_of_version_2_is_refused(case: str, tmp_path: Path) -> None:
    change, reason = PROMOTED_CASES[case]
    header, data = header_and_data(promoted_network())
    change(header)
    refuse(container(header, data), tmp_path / "host.loadable", reason)


def test_an_int8_convolution_that_reads_or_writes_float16_is_refused(tmp_path: Path) -> None:
    for place in ("input a", "output b"):
        n = promoted_network()
        del n.tensors[2:], n.ops[1:]
        n.conv("a" if "input" in place else "x", "b", np.ones((1, n.shape("a")[0] if "input" in place else 3, 1, 1),
               np.int8), np.zeros(1, np.int32), np.ones(1, np.float32))  # fmt: skip
        if "output" in place:
            n.tensors[2]["type"] = "float16"
        n.outputs = ["b"]
        refuse(loadable_bytes(n), tmp_path / "host.loadable", f"computes in int8, but its {place} is float16")


@pytest.mark.parametrize("key", ["weights", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_parameters_that_are_not_finite_are_refused(key: str, value: float, tmp_path: Path) -> None:
    n = promoted_network()
    n.ops[1][key].flat[1] = value
    refuse(loadable_bytes(n), tmp_path / "host.loadable", "is not finite")


@pytest.mark.parametrize("case", HEADER_CASES)
def test_a_bad_header_is_refused(case: str, tmp_path: Path) -> None:
    change, reason = HEADER_CASES[case]
    header, data = header_and_data(network())
    change(header)
    refuse(container(header, data), tmp_path / "host.loadable", reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "UNINAHL1"),
        (b"UNINAHL1", "UNINAHL1"),
        (b"UNINAHL2" + bytes(100), "UNINAHL1"),
        (b"UNINAHL1" + struct.pack("<I", 0xFFFFFFFF) + bytes(100), "truncated"),
        (container(b"{", b""), "not JSON"),
        (container(b'{"version": \xff}', b""), "not JSON"),
        (container(b"[" * 100_000, b""), "not JSON"),
        (container(b"[" * 100_000 + b"]" * 100_000, b""), "expected an object"),
        (container([], b""), "expected an object"),
        (loadable_bytes(network())[:-1], "truncated"),
        (loadable_bytes(network()) + b"\0", "data_bytes"),
    ],
)
def test_a_damaged_file_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    refuse(content, tmp_path / "host.loadable", reason)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("multiplier", np.float32("nan"), "multiplier"),
        ("multiplier", np.float32("inf"), "multiplier"),
        ("multiplier", np.float32(-1), "multiplier"),
        ("weights", np.int8(-128), "-128"),
        ("bias", np.int32(2**31 - 1), "overflow"),
        ("bias", np.int32(-(2**31)), "overflow"),
    ],
)
def test_bad_parameters_are_refused(key: str, value: Any, reason: str, tmp_path: Path) -> None:
    n = network()
    n.ops[0][key].flat[2] = value
    refuse(loadable_bytes(n), tmp_path / "host.loadable", reason)


def test_inputs_of_an_add_share_their_scale(tmp_path: Path) -> None:
    n = Network()
    n.input("x", 3, 4, 4, 1.0)
    n.input("y", 3, 4, 4, 0.5)
    n.add("x", "y", "z")
    n.outputs = ["z"]
    refuse(loadable_bytes(n), tmp_path / "host.loadable", "scales of the two inputs")


def test_sums_that_could_overflow_are_refused(tmp_path: Path) -> None:
    n = Network()
    n.input("x", 8192, 1, 17)
    weights = np.zeros((1, 8192, 1, 17), np.int8)
    n.conv("x", "y", weights, np.zeros(1, np.int32), np.ones(1, np.float32))
    n.outputs = ["y"]
    refuse(loadable_bytes(n), tmp_path / "host.loadable", "overflow")


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UninaError, match=path.name):
            HostEngine(path)
