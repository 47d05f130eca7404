"""A bundle of an untrained network whose maps use the whole of int8: exported in seconds."""

from pathlib import Path

import torch
from test_evaluate_command import NAMES, SPEC, write_data
from torch import nn

from unina.cli.export import main as export
from unina.model import Detector, save_checkpoint


def untrained_bundle(folder: Path) -> tuple[Path, Path]:
    """Writes checkpoint, data set and bundle into a folder. Returns the bundle and the data.yaml."""
    torch.manual_seed(0)
    detector = Detector(SPEC, len(NAMES), NAMES)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    save_checkpoint(folder / "checkpoint.pt", detector.eval(), {"seed": 7})
    data, output = write_data(folder / "data"), folder / "tiny.unina"
    words = [folder / "checkpoint.pt", "--data", data, "--output", output, "--calibration-images", 3, "--no-accuracy"]
    assert export([str(word) for word in (*words, "--score-threshold", 0.4, "--json")]) == 0
    return output, data
