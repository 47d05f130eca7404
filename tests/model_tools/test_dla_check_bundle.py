"""The check of a bundle: what lies beside the network counts, and a plain network does not pay for it."""

import subprocess
import sys
from pathlib import Path

import onnx
from dla_rule_pairs import MAPS, one

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
