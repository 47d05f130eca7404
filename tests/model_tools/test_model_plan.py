"""Widths of your own: a spec may hold a plan in place of a backbone's name, and everything goes by it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from unina.cli.train import parse
from unina.model import Detector, ModelSpec, load_checkpoint, save_checkpoint
from unina.model.plan import PLANS, Plan
from unina.train.progress import plain

OWN = replace(PLANS["pico"], stem=8, widths=(16, 24, 40, 48), neck=(16, 24, 32, 40), head=(8, 16, 24, 32))
SPEC = ModelSpec("pico", "rep", 64, 64, ("p2", "p3"), 1, plan=OWN)


def test_the_network_has_the_widths_of_the_plan() -> None:
    model = Detector(SPEC, 3)
    assert model.backbone.widths == (16, 24)
    assert model.neck.widths == (16, 24)
    maps = model.eval()(torch.zeros(1, 3, 64, 64)).one_to_one
    assert [tuple(box.shape) for _, box in maps] == [(1, 4, 16, 16), (1, 4, 8, 8)]


def test_without_a_plan_the_backbone_has_its_own() -> None:
    assert ModelSpec("b1").stages == PLANS["b1"]


def test_a_checkpoint_keeps_the_plan(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", Detector(SPEC, 3), {})
    assert load_checkpoint(tmp_path / "c.pt").spec == SPEC


@pytest.mark.parametrize("plan", [OWN, None])
def test_a_training_spec_says_the_plan_in_yaml_and_reads_what_it_wrote(tmp_path: Path, plan: Plan | None) -> None:
    file = tmp_path / "spec.yaml"
    model = {"backbone": "pico", "levels": ["p2", "p3"], "plan": None if plan is None else plain(plan)}
    file.write_text(yaml.safe_dump({"data": "d.yaml", "model": model}))
    spec = parse([str(file), "--output", str(tmp_path / "run")]).spec
    assert spec.model.plan == plan
    file.write_text(yaml.safe_dump(plain(spec)))
    assert parse([str(file), "--output", str(tmp_path / "run")]).spec == spec


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stem": 12}, "12 channels"),
        ({"neck": (32, 32, 64)}, "model.plan.neck"),
        ({"head": (0, 32, 64, 64)}, "0 channels"),
        ({"depths": (1, 0, 2, 2)}, "0 rep blocks"),
        ({"head_depth": 65}, "65 rep blocks"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_name(change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(OWN, **change)
