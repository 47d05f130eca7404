"""A larger detector teaches a smaller one: what each loss is, and that a run with a teacher is a run like any other."""

import csv
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import small_spec, state_of, stop_after, trainer_of, write_dataset

from unina.cli.train import SpecError, parse
from unina.model import Detector, ModelSpec, save_checkpoint
from unina.train import RunSpec
from unina.train.assigner import Targets
from unina.train.distil import Distiller, bernoulli_divergence, object_masks, standardised, weight_at
from unina.train.distil_spec import DistilSpec
from unina.train.trainer import Interrupted, TrainingError, Watch

SMALL = ModelSpec(input_height=96, input_width=96)
SOME = Targets(torch.tensor([[8.0, 8.0, 40.0, 72.0]]), torch.tensor([0]), torch.tensor([1]))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("distil") / "data")


def teacher_file(folder: Path, **model: object) -> Path:
    torch.manual_seed(3)
    spec = replace(SMALL, **({"backbone": "b0"} | model))  # type: ignore[arg-type]
    path = folder / "teacher.pt"
    save_checkpoint(path, outspoken(Detector(spec, 2, ("blue", "yellow"))).eval(), {}, {})
    return path


def student(**model: object) -> Detector:
    torch.manual_seed(4)
    return outspoken(Detector(replace(SMALL, **model), 2, ("blue", "yellow")))  # type: ignore[arg-type]


def outspoken(model: Detector) -> Detector:
    """An untrained detector that does not say the same everywhere."""
    for head in (model.one_to_many, model.one_to_one):
        for tower in (*head.class_towers, *head.box_towers):
            torch.nn.init.normal_(tower[-1].weight, std=0.3)
    return model


def taught(spec: RunSpec, teacher: Path, **fields: float) -> RunSpec:
    return replace(spec, distil=DistilSpec(teacher=str(teacher), **fields))


def test_a_copy_of_the_teacher_has_nothing_to_learn_from_scores_and_boxes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    twin = student().eval()
    path = tmp_path / "twin.pt"
    save_checkpoint(path, twin, {}, {})
    x = torch.randint(-128, 128, (2, 3, 96, 96)).float()
    distiller = Distiller(DistilSpec(str(path), confident=0.0), twin, 2, 10)
    with torch.no_grad():
        losses = distiller(x, twin(x), SOME, 0)
        other = student(backbone="b0").eval()
        strange = Distiller(DistilSpec(str(path), confident=0.0), other, 2, 10)(x, other(x), SOME, 0)
    assert float(losses.logits) == pytest.approx(0, abs=1e-3)
    assert float(losses.boxes) == pytest.approx(0, abs=1e-4)
    assert float(strange.boxes) > 1e-3
    assert float(losses.features) > 0  # the adapter does not know yet


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_the_class_loss_is_the_divergence_of_two_coins(teacher: float, student: float) -> None:
    p, q = (torch.tensor(z, dtype=torch.float64).sigmoid() for z in (teacher, student))
    wanted = sum(float(torch.xlogy(a, a) - a * torch.log(b)) for a, b in ((p, q), (1 - p, 1 - q)) if b > 0)
    found = float(bernoulli_divergence(torch.tensor(teacher).double(), torch.tensor(student).double()))
    assert found >= -1e-9
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_one_class_alone_still_teaches() -> None:
    """A softmax over a single class is always 1: its divergence would be 0 whatever the teacher says."""
    assert float(bernoulli_divergence(torch.tensor([3.0]), torch.tensor([-3.0]))) > 1


def test_what_lies_far_below_zero_is_not_compared(tmp_path: Path) -> None:
    """A student in integers says -8 where the teacher says -180; both mean that nothing is there."""
    path = teacher_file(tmp_path)
    pupil = student()
    distiller = Distiller(DistilSpec(str(path), confident=0.0), pupil, 1, 10)
    bins = pupil.spec.reg_max
    classes, sides = torch.full((1, len(pupil.classes), 2, 2), -180.0), torch.full((1, 4 * bins, 2, 2), -60.0)
    sides[:, ::bins] = 3.0
    said = (classes.clamp(min=-8).requires_grad_(), sides.clamp(min=-8).requires_grad_())
    assert float(distiller.logit_loss([said], [(classes, sides)])) == pytest.approx(0, abs=1e-6)
    assert float(distiller.box_loss([said], [(classes + 180, sides)])) == pytest.approx(0, abs=1e-6)
    too_sure = said[0] + 6.0
    assert float(distiller.logit_loss([(too_sure, said[1])], [(classes, sides)])) > 0.1


def test_channels_are_compared_by_pattern_alone() -> None:
    x = torch.randn(2, 5, 6, 7)
    gain, offset = torch.rand(1, 5, 1, 1) + 0.5, torch.randn(1, 5, 1, 1)
    torch.testing.assert_close(standardised(x), standardised(x * gain + offset), atol=5e-3, rtol=0)


def test_every_object_weighs_the_same_whatever_its_size() -> None:
    boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0], [40.0, 40.0, 42.0, 41.0], [32.0, 64.0, 96.0, 96.0]])
    targets = Targets(boxes, torch.zeros(3, dtype=torch.int64), torch.tensor([0, 0, 1]))
    objects, outside = object_masks(targets, 8, 2, 12, 12)
    assert objects[0].sum() == pytest.approx(2)
    assert objects[0, 0, 0] == 1 and objects[0, 5, 5] == 1  # a cone smaller than a cell has one to itself
    assert objects[1].sum() == pytest.approx(1) and int((objects[1] > 0).sum()) == 8 * 4
    assert torch.equal(outside, (objects == 0).float())


def test_a_small_object_inside_a_large_one_keeps_its_weight() -> None:
    boxes = torch.tensor([[0.0, 0.0, 96.0, 96.0], [40.0, 40.0, 48.0, 48.0]])
    objects, _ = object_masks(Targets(boxes, torch.zeros(2).long(), torch.zeros(2).long()), 8, 1, 12, 12)
    assert objects[0, 5, 5] == 1 and objects[0, 0, 0] == pytest.approx(1 / 144)


def test_the_weights_fall_from_all_to_the_final_part() -> None:
    falling = [weight_at(step, 50, 0.1) for step in range(50)]
    assert falling[0] == 1 and falling[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(falling))


@pytest.mark.parametrize("left_out", ["features", "logits", "boxes"])
def test_each_way_can_be_left_out(left_out: str, tmp_path: Path) -> None:
    path, model = teacher_file(tmp_path), student().eval()
    x = torch.randint(-128, 128, (2, 3, 96, 96)).float()
    spec = DistilSpec(str(path), confident=0.0, **{left_out: 0.0})
    losses = Distiller(spec, model, 2, 10)(x, model(x), SOME, 0)
    parts = {name: float(getattr(losses, name)) for name in ("features", "logits", "boxes")}
    assert parts.pop(left_out) == 0
    assert all(value > 0 for value in parts.values())
    assert float(losses.total.detach()) == pytest.approx(sum(parts.values()), rel=1e-5)


def test_a_step_moves_the_student_towards_the_teacher_and_never_the_teacher(tmp_path: Path) -> None:
    path, model = teacher_file(tmp_path), student().train()
    x = torch.randint(-128, 128, (2, 3, 96, 96)).float()
    distiller = Distiller(DistilSpec(str(path), confident=0.0), model, 2, 10).train()
    before = {name: value.clone() for name, value in distiller.teacher.state_dict().items()}
    trained = [*model.parameters(), *distiller.adapters.parameters()]
    optimizer = torch.optim.Adam(trained, 1e-3)
    course = []
    for _ in range(6):
        losses = distiller(x, model(x), SOME, 0)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        course.append([float(part) for part in (losses.features, losses.logits, losses.boxes)])
    assert all(last < first for first, last in zip(course[0], course[-1], strict=True)), course
    assert all(torch.equal(before[name], value) for name, value in distiller.teacher.state_dict().items())


def test_levels_and_widths_may_differ(tmp_path: Path) -> None:
    path, model = teacher_file(tmp_path, levels=("p3", "p4", "p5")), student()
    distiller = Distiller(DistilSpec(str(path)), model, 2, 10)
    assert [stride for stride, _, _ in distiller.levels] == [8, 16]
    x = torch.randint(-128, 128, (2, 3, 96, 96)).float()
    assert math.isfinite(float(distiller(x, model(x), SOME, 3).total.detach()))


@pytest.mark.parametrize(
    ("model", "classes", "complaint"),
    [
        ({"reg_max": 8}, ("blue", "yellow"), r"distil.boxes: 1: both need the same bins.*reg_max 8, this model 16"),
        ({}, ("red", "green"), r"its classes are red, green; this run's are blue, yellow"),
        ({"levels": ("p5",)}, ("blue", "yellow"), r"has levels p5, none of this model's p2, p3, p4"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(
    model: dict[str, object], classes: tuple[str, ...], complaint: str, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "teacher.pt"
    save_checkpoint(path, Detector(replace(SMALL, **model), 2, classes), {}, {})  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=complaint):
        trainer_of(taught(small_spec(data, 1), path), tmp_path / "run")


def test_a_missing_teacher_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.pt"):
        trainer_of(taught(small_spec(data, 1), tmp_path / "nowhere.pt"), tmp_path / "run")


def test_the_losses_are_logged_one_by_one_and_an_untaught_run_leaves_them_empty(data: Path, tmp_path: Path) -> None:
    spec = small_spec(data, 2)
    trainer_of(taught(spec, teacher_file(tmp_path)), tmp_path / "taught").run()
    trainer_of(spec, tmp_path / "alone").run()
    with (tmp_path / "taught" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        parts = [float(row[f"distil_{name}"]) for name in ("features", "logits", "boxes")]
        own = sum(float(row[f"{name}_loss"]) for name in ("class", "box", "dfl"))
        assert parts[0] > 0 and parts[1] > 0
        assert float(row["loss"]) == pytest.approx(own + sum(parts), rel=1e-3)
    with (tmp_path / "alone" / "metrics.csv").open() as file:
        assert {row["distil_features"] for row in csv.DictReader(file)} == {""}


def test_a_taught_run_resumes_exactly(data: Path, tmp_path: Path) -> None:
    spec = taught(small_spec(data, 4), teacher_file(tmp_path))
    trainer_of(spec, tmp_path / "whole").run()
    with pytest.raises(Interrupted):
        trainer_of(spec, tmp_path / "parts", Watch(step=stop_after(3))).run()
    trainer_of(spec, tmp_path / "parts", resume=True).run()
    whole, parts = state_of(tmp_path / "whole"), state_of(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_deployed_network_knows_nothing_of_the_teacher(data: Path, tmp_path: Path) -> None:
    trainer_of(taught(small_spec(data, 1), teacher_file(tmp_path)), tmp_path / "run").run()
    payload = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert payload["weights"].keys() == student().state_dict().keys()
    assert payload["training"]["adapters"]


def test_the_yaml_block_is_read_and_its_mistakes_are_named(data: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"data: {data}\ndistil: {{teacher: big.pt, boxes: 0}}\n")
    read = parse([str(spec), "--output", str(tmp_path / "run")]).spec.distil
    assert read == DistilSpec("big.pt", boxes=0)
    spec.write_text(f"data: {data}\ndistil: {{teacher: big.pt, temprature: 3}}\n")
    with pytest.raises(SpecError, match=r"distil.temprature: no such field; did you mean distil.temperature"):
        parse([str(spec), "--output", str(tmp_path / "run")])
    spec.write_text(f"data: {data}\ndistil: {{features: 2}}\n")
    with pytest.raises(SpecError, match=r"distil.teacher"):
        parse([str(spec), "--output", str(tmp_path / "run")])
