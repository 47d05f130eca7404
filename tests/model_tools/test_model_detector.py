"""The deployed network equals the trained one, and a checkpoint gives back what was saved."""

from pathlib import Path

import pytest
import torch
from torch import nn

from unina.model import CheckpointError, Detector, ModelSpec, load_checkpoint, save_checkpoint
from unina.model.head import MaxFilter

SPECS = [
    ModelSpec(input_height=64, input_width=96),
    ModelSpec(block="rep", input_height=64, input_width=96),
    ModelSpec(levels=("p3", "p4", "p5"), input_height=64, input_width=96),
    ModelSpec(levels=("p2", "p3"), reg_max=1, input_height=64, input_width=96),
]


def trained(spec: ModelSpec, classes: tuple[str, ...] = ("blue", "yellow", "orange")) -> Detector:
    """A detector whose statistics have moved away from their first values."""
    torch.manual_seed(0)
    model = Detector(spec, len(classes), classes).train()
    with torch.no_grad():
        for _ in range(5):
            model(torch.randint(-128, 128, (2, 3, 64, 96)).float())
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
            if isinstance(part, nn.Conv2d) and part.bias is not None:
                part.weight.normal_(std=0.3)
    return model.eval()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.block}-{spec.levels[0]}-{spec.reg_max}")
def test_deployed_equals_one_to_one_head(spec: ModelSpec) -> None:
    model = trained(spec)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randint(-128, 128, (2, 3, spec.input_height, spec.input_width)).float()
    deployed = model.deploy()
    with torch.no_grad():
        expected = [tensor for level in model(x).one_to_one for tensor in level]
        actual = deployed(x)
    assert len(actual) == len(deployed.output_names)
    for name, a, b in zip(deployed.output_names, actual, expected, strict=True):
        assert a.shape == b.shape, name
        assert float((a - b).abs().max()) <= 1e-4 * max(1.0, float(b.abs().max())), name
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "deploy() changed the model"
    assert model.backbone.stem is not deployed.backbone.stem


def test_maps_have_the_shapes_the_bundle_promises() -> None:
    spec = ModelSpec(input_height=64, input_width=96, reg_max=16)
    deployed = Detector(spec, 4).deploy()
    maps = dict(zip(deployed.output_names, deployed(torch.zeros(1, 3, 64, 96)), strict=True))
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "p2_class": (1, 4, 16, 24),
        "p2_box": (1, 64, 16, 24),
        "p3_class": (1, 4, 8, 12),
        "p3_box": (1, 64, 8, 12),
        "p4_class": (1, 4, 4, 6),
        "p4_box": (1, 64, 4, 6),
    }
    assert deployed.strides == (4, 8, 16)
    assert deployed.classes == ("class_0", "class_1", "class_2", "class_3")


def test_deployed_network_holds_nothing_but_convolutions_and_the_max_filters() -> None:
    deployed = Detector(ModelSpec(), 4).deploy()
    leaves = {type(m) for m in deployed.modules() if not list(m.children())}
    assert leaves == {nn.Conv2d, MaxFilter}


def test_one_to_one_head_does_not_teach_the_backbone() -> None:
    model = Detector(ModelSpec(input_height=64, input_width=64), 2)
    maps = model(torch.randn(2, 3, 64, 64))
    sum(tensor.sum() for level in maps.one_to_one for tensor in level).backward()
    taught = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert taught == {"one_to_one"}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"levels": ("p2", "p4")}, "model.levels"),
        ({"levels": ()}, "model.levels"),
        ({"input_height": 385}, "model.input_height: 385"),
        ({"reg_max": 0}, "model.reg_max: 0"),
    ],
)
def test_impossible_spec_is_refused_by_name(fields: dict[str, object], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        ModelSpec(**fields)  # type: ignore[arg-type]


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    spec = ModelSpec(block="rep", levels=("p3", "p4"), input_height=64, input_width=96)
    model = trained(spec)
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, model, {"epoch": 3, "map50": 0.5})
    loaded = load_checkpoint(path)
    assert loaded.spec == spec
    assert loaded.classes == ("blue", "yellow", "orange") == loaded.model.classes
    assert loaded.info == {"epoch": 3, "map50": 0.5}
    assert not loaded.model.training
    saved, restored = model.state_dict(), loaded.model.state_dict()
    assert saved.keys() == restored.keys()
    assert all(torch.equal(saved[name], restored[name]) for name in saved)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"], "a temporary file was left behind"


@pytest.mark.parametrize("damage", ["absent", "truncated", "foreign", "other model"])
def test_bad_checkpoint_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.pt"
    if damage == "truncated":
        save_checkpoint(path, Detector(ModelSpec(), 4), {})
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    elif damage == "other model":
        model = Detector(ModelSpec(), 4)
        model.classes = ("a", "b")
        save_checkpoint(path, model, {})
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        load_checkpoint(path)


def test_the_first_weight_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    model = Detector(ModelSpec(), 4)
    model.classes = ("a", "b")
    save_checkpoint(path, model, {})
    with pytest.raises(CheckpointError, match=r"one_to_many\.class_towers\.0\.1\.weight: \[4, 16, 1, 1\] in the file"):
        load_checkpoint(path)
    del model.neck
    save_checkpoint(path, model, {})
    with pytest.raises(CheckpointError, match=r"neck\.\S+: nothing in the file, \[\d+, .*\] in the model") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0])
def test_the_given_part_of_the_one_to_one_gradient_reaches_the_features(part: float) -> None:
    torch.manual_seed(0)
    model = Detector(ModelSpec(input_height=64, input_width=64), 2).eval()
    x = torch.randn(1, 3, 64, 64) * 50

    def gradient(own: float) -> torch.Tensor:
        model.zero_grad()
        model.one_to_one_gradient = own
        sum(box.square().sum() for _, box in model(x).one_to_one).backward()
        found = model.backbone.stem.conv3.weight.grad
        return torch.zeros(1) if found is None else found.clone()

    assert torch.allclose(gradient(part), part * gradient(1.0), rtol=1e-3, atol=1e-4)
