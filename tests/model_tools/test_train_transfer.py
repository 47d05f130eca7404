"""A run starts from another run's weights, and leaves alone what it is told to."""

from pathlib import Path

import pytest
import torch
from tiny_runs import small_spec, trainer_of, write_dataset

from unina.model import Detector, ModelSpec, save_checkpoint
from unina.train.freeze import freeze, training_mode
from unina.train.schedule import build_optimizer
from unina.train.trainer import TrainingError, Watch
from unina.train.transfer import take_weights


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def donor(path: Path, classes: tuple[str, ...], **spec: object) -> Detector:
    """A checkpoint of random weights; returns its model."""
    torch.manual_seed(7)
    fields: dict[str, object] = {"input_height": 96, "input_width": 96} | spec
    model = Detector(ModelSpec(**fields), len(classes), classes)  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.data.normal_()
    save_checkpoint(path, model, {})
    return model


def test_class_rows_are_taken_by_name_and_the_rest_stays(tmp_path: Path) -> None:
    source = donor(tmp_path / "other.pt", ("orange", "blue"))
    torch.manual_seed(0)
    target = Detector(source.spec, 3, ("blue", "yellow", "orange"))
    ours, theirs = target.one_to_one.class_towers[0][-1], source.one_to_one.class_towers[0][-1]  # type: ignore[index]
    unknown = ours.weight[1].clone()
    taken = take_weights(target, tmp_path / "other.pt")
    assert set(taken.classes) == {"blue", "orange"} and taken.taken == taken.total
    assert torch.equal(ours.weight[0], theirs.weight[1]) and torch.equal(ours.bias[2], theirs.bias[0])
    assert torch.equal(ours.weight[1], unknown), "yellow was not known there"
    assert torch.equal(target.backbone.stem.conv3.weight, source.backbone.stem.conv3.weight)


def test_the_weights_that_ship_are_a_start(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "model-tools" / "weights" / "cones.pt"
    target = Detector(ModelSpec(backbone="b1", input_height=640, input_width=640), 2, ("yellow_cone", "own_cone"))
    taken = take_weights(target, shipped)
    assert taken.taken == taken.total and taken.classes == ("yellow_cone",)


def test_weights_of_another_shape_are_left_and_counted(tmp_path: Path) -> None:
    source = donor(tmp_path / "other.pt", ("blue",), reg_max=1)
    target = Detector(ModelSpec(input_height=96, input_width=96), 1, ("blue",))
    taken = take_weights(target, tmp_path / "other.pt")
    assert taken.taken == taken.total - 2 * 2 * 3, (
        "the last weight and bias of each box tower, both heads, three levels"
    )
    assert torch.equal(target.backbone.stem.conv1.weight, source.backbone.stem.conv1.weight)


def test_a_run_starts_from_the_weights_and_says_what_it_took(tmp_path: Path) -> None:
    source = donor(tmp_path / "other.pt", ("yellow", "blue"))
    said: list[str] = []
    spec = small_spec(write_dataset(tmp_path / "data"), 1, init_from=str(tmp_path / "other.pt"))
    trainer = trainer_of(spec, tmp_path / "run", Watch(note=said.append))
    assert torch.equal(trainer.model.backbone.stem.conv3.weight, source.backbone.stem.conv3.weight)
    average = trainer.average.model.state_dict()
    assert torch.equal(average["backbone.stem.conv3.weight"], source.backbone.stem.conv3.weight)
    assert len(said) == 1 and "tensors taken over; classes known already: blue, yellow" in said[0]


def test_frozen_parts_keep_weights_and_statistics_to_the_bit_and_the_others_move(tmp_path: Path) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), 2, freeze=["backbone", "neck.laterals"], weight_decay=0.5)
    trainer = trainer_of(spec, tmp_path / "run")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.run()
    for model in (trainer.model, trainer.average.model):
        for name, tensor in model.state_dict().items():
            if name.startswith(("backbone.", "neck.laterals.")):
                assert torch.equal(tensor, before[name]), name
            elif name.startswith(("neck.top_down", "one_to_one.class_towers")) and tensor.is_floating_point():
                assert not torch.equal(tensor, before[name]), name
    resumed = trainer_of(spec, tmp_path / "run", resume=True)
    assert not any(p.requires_grad for p in resumed.model.backbone.parameters())


def test_frozen_parameters_are_not_the_optimisers_business() -> None:
    spec = small_spec(Path("data.yaml"), 1)
    model = Detector(spec.model, 2)
    whole = sum(len(group["params"]) for group in build_optimizer([*model.parameters()], spec.train).param_groups)
    freeze(model, ["backbone"])
    training_mode(model, ["backbone"])
    left = sum(len(group["params"]) for group in build_optimizer([*model.parameters()], spec.train).param_groups)
    assert whole - left == len(list(model.backbone.parameters()))
    assert not model.backbone.stem.bn.training and model.neck.training


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"freeze": ["backbon"]}, r"train\.freeze: backbon: the model has no such part; did you mean backbone\?"),
        ({"freeze": ["backbone", "neck", "one_to_many", "one_to_one"]}, "nothing is left to train"),
        ({"init_from": "nowhere.pt"}, r"nowhere\.pt: no such checkpoint"),
    ],
)
def test_a_wrong_start_is_refused_in_one_line(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), 1, **fields)
    with pytest.raises(TrainingError, match=message) as error:
        trainer_of(spec, tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
