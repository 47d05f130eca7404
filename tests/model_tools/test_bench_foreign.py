"""Networks that nobody here designed become bundles that say in integers what they said in float, or are refused."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from unina_runtime import Network

sys.path.insert(0, str(Path(__file__).parents[2] / "model-tools" / "bench"))

import foreign

pytest.importorskip("transformers", reason="NOT TESTED: pip install 'unina-model-tools[bench]'")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign.cut_cones(tmp_path_factory.mktemp("data"), {"train": 8, "val": 2})


@pytest.mark.parametrize("network", [one for one in foreign.NETWORKS if one.kind != "ConvNeXt"], ids=lambda n: n.kind)
def test_a_foreign_network_is_bundled_and_runs(network: foreign.Foreign, data: Path, tmp_path: Path) -> None:
    row = foreign.measure(replace(network, trained=False), data, tmp_path, epochs=0)
    assert row["on_dla"] and row["host_equal_qdq"] > 0.95 and row["host_snr_db"] > 5  # untrained: noise is carried far
    (bundle,) = tmp_path.glob("*.unina")
    assert Network(bundle).decode == row["decode"] == ("classify" if "Classification" in network.model else "raw")
    if row["decode"] == "classify":
        assert row["accuracy"]["host"]["labelled"] == len(list((data.parent / "images" / "val").iterdir()))


def test_what_the_dla_cannot_is_refused(data: Path, tmp_path: Path) -> None:
    (convnext,) = (one for one in foreign.NETWORKS if one.kind == "ConvNeXt")
    row = foreign.measure(convnext, data, tmp_path, epochs=0)
    assert "(LayerNormalization): does not run on the DLA" in row["refused"]
    assert not list(tmp_path.glob("*.unina"))
