"""Each operator of version 3 on a few values whose results are worked out by hand from docs/integer-semantics.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from loadable_writer import Network, loadable_bytes

from unina_runtime import HostEngine, UninaError


def run(network: Network, rounding: str = "half-away", pointwise: str = "fp32", **feeds: Any) -> Any:
    """The only output, C×H×W, of the engine; the reference gives the same."""
    arrays = {name: np.asarray(value, np.int8)[None] for name, value in feeds.items()}
    network.outputs = [network.ops[-1]["output"]]
    result = HostEngine(loadable_bytes(network), 2, rounding, pointwise).run(arrays)
    expected = reference.run(network, arrays, rounding, pointwise)
    (name,) = network.outputs
    np.testing.assert_array_equal(result[name], expected[name])
    return result[name][0].tolist()


def one_input(channels: int, height: int, width: int, scale: float = 1.0) -> Network:
    network = Network()
    network.input("x", channels, height, width, scale)
    return network


def test_a_table_begins_at_minus_128() -> None:
    network = one_input(1, 1, 5)
    network.table("x", "y", np.arange(255, -1, -1).astype(np.uint8).view(np.int8), scale=0.25)
    # places 0, 127, 128, 129 and 255 of 255, 254 ... 0, of which 255 to 128 are the bytes of -1 to -128
    assert run(network, x=[[[-128, -1, 0, 1, 127]]]) == [[[-1, -128, 127, 126, 0]]]


def test_max_and_min_take_the_larger_and_the_smaller() -> None:
    for kind, expected in (("max", [-3, 127, 0]), ("min", [-4, -128, 0])):
        network = one_input(3, 1, 1)
        network.input("y", 3, 1, 1)
        network.extreme(kind, "x", "y", "z")
        assert run(network, x=[[[-3]], [[127]], [[0]]], y=[[[-4]], [[-128]], [[0]]]) == [[[v]] for v in expected]


def product(shape: tuple[int, int, int] = (1, 1, 4), scales: tuple[float, float, float] = (0.5, 0.25, 0.25)) -> Network:
    network = one_input(1, 1, 4, scales[0])
    network.input("y", *shape, scales[1])
    network.mul("x", "y", "z", scale=scales[2])
    return network


def test_a_product_rounds_ties_as_the_loadable_says_and_is_clamped() -> None:
    # m = 0.5 · 0.25 / 0.25 = 0.5: 1 · 5 and -1 · 7 are ties, 2.5 and -3.5
    for rounding, expected in (("half-away", [3, -4, 127, -128]), ("half-even", [2, -4, 127, -128])):
        assert run(product(), rounding, x=[[[1, -1, 127, -128]]], y=[[[5, 7, 100, 127]]]) == [[expected]]


def test_scales_of_a_product_are_independent() -> None:
    network = product(scales=(1.0, 0.5, 4.0))  # m = 1 / 8
    assert run(network, x=[[[8, 9, -16, 127]]], y=[[[8, 8, 3, 8]]]) == [[[8, 9, -6, 127]]]
    assert [op["multiplier_bits"] for op in network.ops] == ["3e000000"]


def test_one_factor_a_channel_multiplies_its_own_channel() -> None:
    channels = 33  # one into the second block of 32
    network = one_input(channels, 2, 2)
    network.input("y", channels, 1, 1)
    network.mul("x", "y", "z")
    x = np.ones((channels, 2, 2)) * [[1, 2], [3, -1]]
    result = np.array(run(network, x=x, y=np.arange(channels).reshape(-1, 1, 1)))
    np.testing.assert_array_equal(result, np.arange(channels).reshape(-1, 1, 1) * [[1, 2], [3, -1]])


def test_more_rows_than_the_threads_take_jobs_are_all_multiplied() -> None:
    channels, height = 8192, 4200  # 256 blocks of 32 channels: 1075200 rows, and 2^20 - 1 jobs
    network = one_input(channels, height, 1)
    network.input("y", channels, 1, 1)
    network.mul("x", "y", "z")
    network.outputs = ["z"]
    x = np.resize(np.arange(-5, 6, dtype=np.int8), (1, channels, height, 1))
    y = np.resize(np.arange(-7, 8, dtype=np.int8), (1, channels, 1, 1))
    assert (HostEngine(loadable_bytes(network), 2).run({"x": x, "y": y})["z"] == x * y).all()


def test_a_product_in_fp19_has_eleven_bits() -> None:
    network = product(scales=(1.0, 1.0, 64.0))
    # 45 · 59 = 2655 has twelve bits and lies between 2654 and 2656, the even one; 2655 / 64 = 41.48, 2656 / 64 = 41.5
    feeds: dict[str, Any] = {"x": [[[45, -45, 127, 32]]], "y": [[[59, 59, 127, 2]]]}
    assert run(network, **feeds) == [[[41, -41, 127, 1]]]
    assert run(network, pointwise="fp19", **feeds) == [[[42, -42, 127, 1]]]
    assert run(network, "half-even", "fp19", x=[[[45, 3, 5, 7]]], y=[[[59, 32, 32, 32]]]) == [[[42, 2, 2, 4]]]


def test_a_mean_leaves_out_the_padding_at_a_corner() -> None:
    network = one_input(1, 3, 3)
    network.pool("avgpool", "x", "y", (3, 3), (2, 2), (1, 1, 1, 1))
    # corners see four pixels each: (1+2+4+5)/4 = 3, (2+3+5+6)/4 = 4, (4+5+7+8)/4 = 6, (5+6+8+80)/4 = 24.75
    assert run(network, x=[[[1, 2, 3], [4, 5, 6], [7, 8, 80]]]) == [[[3, 4], [6, 25]]]


@pytest.mark.parametrize(("rounding", "expected"), [("half-away", [3, -3, 2, -4]), ("half-even", [2, -2, 2, -4])])
def test_a_mean_rounds_ties_as_the_loadable_says(rounding: str, expected: list[int]) -> None:
    network = one_input(4, 1, 2)
    network.pool("avgpool", "x", "y", (1, 2))
    found = run(network, rounding, x=[[[2, 3]], [[-2, -3]], [[1, 2]], [[-3, -4]]])  # 2.5, -2.5, 1.5, -3.5
    assert found == [[[value]] for value in expected]


def test_a_mean_is_a_division_and_no_product_with_an_inverse() -> None:
    network = one_input(1, 10, 11)
    network.pool("avgpool", "x", "y", (10, 11))
    values = np.arange(110).reshape(1, 10, 11) % 2  # 55 / 110 is one half, 55 · float32(1 / 110) less
    assert np.float32(55) * (np.float32(1) / np.float32(110)) < 0.5
    for rounding, expected in (("half-away", 1), ("half-even", 0)):
        assert run(network, rounding, x=values) == [[[expected]]]


def test_the_largest_mean_is_exact() -> None:
    network = one_input(1, 256, 256)
    network.pool("avgpool", "x", "y", (256, 256))
    x = np.full((1, 256, 256), -128)
    assert run(network, x=x) == [[[-128]]]
    x[0, :128] = -127  # -127.5
    assert run(network, "half-away", x=x) == run(network, "half-even", x=x) == [[[-128]]]
    x[0, 200, 200] = -127  # a hair above
    assert run(network, "half-away", x=x) == [[[-127]]]


@pytest.mark.parametrize(
    ("corner", "expected"),
    [("half_pixel", [0, 1, 3, 4]), ("asymmetric", [0, 2, 4, 4])],  # weights 3:1 and 1:3; 1:1
)
def test_bilinear_by_two_puts_pixels_where_its_corner_says(corner: str, expected: list[int]) -> None:
    network = one_input(1, 1, 2)
    network.bilinear("x", "y", (1, 2), corner=corner)
    assert run(network, x=[[[0, 4]]]) == [[expected]]
    network = one_input(1, 2, 1)
    network.bilinear("x", "y", (2, 1), corner=corner)
    assert run(network, x=[[[0], [4]]]) == [[[value] for value in expected]]


def test_bilinear_on_both_axes_rounds_once() -> None:
    network = one_input(1, 2, 2)
    network.bilinear("x", "y", (2, 2))
    # inside 9:3:3:1, as 9·0 + 3·1 + 3·2 + 1·10 = 19; on the rim 3:1, here 12:4; at the corners the pixels themselves
    sixteenths = [[0, 4, 12, 16], [8, 19, 41, 52], [24, 49, 99, 124], [32, 64, 128, 160]]
    rounded = {"half-away": [[(v + 8) // 16 for v in row] for row in sixteenths]}
    rounded["half-even"] = [[round(v / 16) for v in row] for row in sixteenths]
    assert rounded["half-away"] != rounded["half-even"]  # 8 sixteenths are a tie
    for rounding, expected in rounded.items():
        assert run(network, rounding, x=[[[0, 1], [2, 10]]]) == [expected]


def test_bilinear_by_three_has_pixels_in_the_middle() -> None:
    network = one_input(1, 1, 2)
    network.bilinear("x", "y", (1, 3), scale=0.5)
    # thirds of 0 and 3: 0, 0, 1, 2, 3, 3, counted in halves
    assert run(network, x=[[[0, 3]]]) == [[[0, 0, 2, 4, 6, 6]]]
    network = one_input(1, 1, 2)
    network.bilinear("x", "y", (1, 3), corner="asymmetric", scale=0.5)
    assert run(network, x=[[[0, 3]]]) == [[[0, 2, 4, 6, 6, 6]]]


def test_bilinear_by_32_stays_within_its_pixels() -> None:
    network = one_input(1, 2, 2)
    network.bilinear("x", "y", (32, 32), corner="asymmetric")
    result = np.array(run(network, x=[[[127, -128], [-128, -128]]]))[0]
    assert result.shape == (64, 64) and result[0, 0] == 127
    assert (result[32:] == -128).all() and (result[:, 32:] == -128).all()
    assert (np.diff(result, axis=0) <= 0).all() and (np.diff(result, axis=1) <= 0).all()


def test_depth_to_space_puts_phases_row_by_row() -> None:
    # Six phases of a block of two rows and three columns, one channel each: pixel by pixel 0 ... 5.
    network = one_input(6, 1, 2)
    network.depth_to_space("x", "y", (2, 3))
    x = [[[0, 10]], [[1, 11]], [[2, 12]], [[3, 13]], [[4, 14]], [[5, 15]]]
    assert run(network, x=x) == [[[0, 1, 2, 10, 11, 12], [3, 4, 5, 13, 14, 15]]]
    network = one_input(6, 1, 2)
    network.depth_to_space("x", "y", (2, 3), (1, 2))
    assert run(network, x=x) == [[[0, 1, 2, 10]]]


def test_channels_of_one_phase_lie_together() -> None:
    # Depth, column, row: channel c of phase p is channel 2 p + c of the input.
    network = one_input(4, 1, 1)
    network.depth_to_space("x", "y", (1, 2))
    assert run(network, x=[[[1]], [[2]], [[3]], [[4]]]) == [[[1, 3]], [[2, 4]]]


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ((1e37, 1.0, 1.0), "128 \\* the scale of the first input"),
        ((1.0, 1e37, 1.0), "128 \\* the scale of the second input"),
        ((1e20, 1e18, 1.0), "the largest product of the inputs"),
        ((1e-20, 1e-20, 1e-39), "1 / \\(scale of the output\\)"),
    ],
)
def test_factors_that_fp19_cannot_hold_are_refused(scales: tuple[float, float, float], reason: str) -> None:
    network = one_input(1, 1, 1, scales[0])
    network.input("y", 1, 1, 1, scales[1])
    network.mul("x", "y", "z", scale=scales[2])
    network.ops[0]["multiplier_bits"] = "3f800000"
    network.outputs = ["z"]
    HostEngine(loadable_bytes(network))
    with pytest.raises(UninaError, match=f"op 0 \\(mul\\): {reason}"):
        HostEngine(loadable_bytes(network), pointwise="fp19")
