"""The check of a bundle: what lies beside the network counts, and a plain network does not pay for it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from dla_rule_pairs import MAPS, network, one, ones

from unina.cli import dla
from unina.dla.check import Device, check
from unina.dla.network import read_network
from unina.dla.rules import Context
from unina.dla.tensorrt import TensorRt

BUNDLE = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"


def test_a_check_loads_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    onnx.save(one("Relu", MAPS), path)
    code = (
        "import sys\nfrom unina.cli import dla\n"
        "assert [dla.main(['check', model]) for model in sys.argv[1:]] == [0, 0]\n"
        "sys.exit('torch' in sys.modules or 'sympy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(BUNDLE)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_layers_that_the_bundle_keeps_in_fp16_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "cones.unina"
    bundle.mkdir()
    for name in ("model.onnx", "calibration.cache"):
        shutil.copy(BUNDLE / name, bundle)
    last = [node.name for node in read_network(bundle / "model.onnx").nodes if node.op == "Conv"][-2:]
    listed = bundle / "layer_precisions.txt"
    listed.write_text(f'"{last[0]}":fp16,{last[1]}:fp16\n')
    assert dla.main(["check", str(bundle), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [v["node"] for v in found["verdicts"] if v["rule"] == "layer-precision"] == last
    assert found["nodes"]["dla_fp16"] == 2
    listed.write_text("nowhere:fp16\n")
    assert dla.main(["check", str(bundle)]) == 2
    assert "layer_precisions.txt: nowhere" in capsys.readouterr().err


def scale_zero(name: str) -> list[object]:
    return [name, np.array(0.1, np.float32), np.array(0, np.int8)]


def test_from_tensorrt_11_on_what_is_plain_float32_is_not_for_the_dla() -> None:
    plain = network(("Conv", [MAPS, ones(8, 8, 3, 3)], {}), ("Relu", ["t0"], {}))
    folded = network(
        ("Relu", [MAPS], {}),
        ("QuantizeLinear", scale_zero("t0"), {}),
        ("DequantizeLinear", scale_zero("t1"), {}),
        ("Conv", ["t2", ones(8, 8, 3, 3)], {}),
        ("Relu", ["t3"], {}),
    )
    for precision in ("int8", "fp16"):
        report = check(read_network(plain), Context(TensorRt(11, 4, 1), precision))
        assert [verdict.rule.id for verdict in report.verdicts if verdict.rule] == ["typed-precision"] * 2
        assert not report.on_dla and "or export it in FP16" in report.fixes[0].text
    devices = [v.device for v in check(read_network(folded), Context(TensorRt(11, 4, 1))).verdicts]
    assert devices[0] is Device.GPU and devices[3:] == [Device.DLA, Device.DLA]
    half = network(("Relu", [MAPS], {}), kind=onnx.TensorProto.FLOAT16)
    assert check(read_network(half), Context(TensorRt(11, 4, 1), "fp16")).on_dla


def test_a_command_for_tensorrt_11_judges_the_network_that_it_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert dla.main(["command", str(BUNDLE), "--trt", "11.4.1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert any("model.qdq.onnx" in argument for argument in document["arguments"])
    assert not any("not for the DLA" in note for note in document["notes"])
