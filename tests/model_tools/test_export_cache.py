"""The TensorRT calibration cache: NVIDIA's spelling, every tensor, faults by file and line."""

from pathlib import Path

import numpy as np
import pytest
from export_small_graphs import every_operator
from hypothesis import given
from hypothesis import strategies as st

from unina.dla import ScaleMap, read_graph
from unina.dla.scales import measured_tensors
from unina.export.cache import CacheError, format_cache, read_cache

TINY = float(np.finfo(np.float32).tiny)


def test_the_text_is_what_tensorrt_reads() -> None:
    scales = ScaleMap({"images": np.float32(1) / np.float32(127), "/stem/Relu_output_0": np.float32(2**-100)})
    assert format_cache(scales) == (
        "TRT-100300-EntropyCalibration2\nimages: 3c010204\n/stem/Relu_output_0: 0d800000\n"  # padded to 8 digits
    )


def test_every_tensor_of_the_graph_has_a_line() -> None:
    graph = read_graph(every_operator())
    scales = ScaleMap.from_amax(graph, dict.fromkeys(measured_tensors(graph), 3.0))
    lines = format_cache(scales).splitlines()[1:]
    assert [line.rpartition(": ")[0] for line in lines] == list(graph.shapes)


@given(
    st.dictionaries(
        st.from_regex(r"[/\w.: -]*[/\w]", fullmatch=True),
        st.floats(TINY, float(np.finfo(np.float32).max), width=32).map(np.float32),
    )
)
def test_reading_what_was_written_gives_the_same_bits(tmp_path_factory: pytest.TempPathFactory, scales: dict) -> None:
    path = tmp_path_factory.mktemp("cache") / "calibration.cache"
    path.write_text(format_cache(ScaleMap(scales), version=8600), encoding="utf-8")
    cache = read_cache(path)
    assert cache.version == 8600
    assert dict(cache.scales) == scales


def test_leading_zeros_that_nvidias_writer_drops_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("TRT-8502-EntropyCalibration2\na: d800000\n")
    assert read_cache(path).scales["a"] == np.float32(2**-100)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "not a header"),
        ("TRT-100300-MinMaxCalibration\n", 1, "not a header"),
        ("TRT-100300-EntropyCalibration2\na: 3f800000\nb 3f800000\n", 3, "not `tensor: 8 hex digits`"),
        ("TRT-100300-EntropyCalibration2\na: 3f80000g\n", 2, "is not up to 8 hex digits"),
        ("TRT-100300-EntropyCalibration2\na: 3f8000000\n", 2, "is not up to 8 hex digits"),
        ("TRT-100300-EntropyCalibration2\n: 3f800000\n", 2, "not `tensor: 8 hex digits`"),
        ("TRT-100300-EntropyCalibration2\na: 00000000\n", 2, "not a positive"),
        ("TRT-100300-EntropyCalibration2\na: bf800000\n", 2, "not a positive"),
        ("TRT-100300-EntropyCalibration2\na: 7f800000\n", 2, "not a positive"),
        ("TRT-100300-EntropyCalibration2\na: 7fc00000\n", 2, "not a positive"),
        ("TRT-100300-EntropyCalibration2\na: 3f800000\na: 3f800000\n", 3, "there twice"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "calibration.cache"
    path.write_text(text)
    with pytest.raises(CacheError, match=reason) as caught:
        read_cache(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="none: cannot be read"):
        read_cache(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CacheError, match="binary: cannot be read"):
        read_cache(tmp_path / "binary")
