"""`unina-export --from-onnx`: a network of torch's becomes a bundle that says on the host engine what the file said."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from test_evaluate_command import NAMES, write_data
from torch import Tensor, nn
from untrained_bundle import untrained_bundle

from unina.cli.dla import main as dla
from unina.cli.eval import main as evaluate
from unina.cli.export import main
from unina.data import read_image
from unina.dla.cache_file import read_cache
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleMap
from unina.dla.trtexec import LAYERS_FILE
from unina.evaluate import Head, HostMaps, HostStage, OnnxMaps, OnnxStage
from unina.export.lower import LoweringError, lower
from unina_runtime import Bundle, Detector, Network, UninaError, letterbox
from unina_runtime.compile.trtexec_flags import fp16_layers

HEIGHT, WIDTH = 32, 48


class Classifier(nn.Module):
    """Half a MobileNet: ReLU6, depthwise convolutions, a sum, a fully connected layer, a softmax."""

    def __init__(self, classes: int = len(NAMES)) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.point = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.point(self.depth(x)) + x
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1)).softmax(1)


class Maps(nn.Module):
    """Two levels; the second is below zero everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 4, 4)
        self.second = nn.Conv2d(8, 6, 2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(x).relu()
        return first, self.second(first) - 100


class Elsewhere(nn.Module):
    """What others' networks have: pixels to channels by slices, slopes, pools rounded up, a difference, a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(12, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.head, self.slopes = nn.Conv2d(16, 4, 1), nn.PReLU(16)
        nn.init.uniform_(self.slopes.weight, 0, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.stem(torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)), 0.1)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return self.head(self.slopes(x - self.deep(x))).sigmoid()


class Gated(nn.Module):
    """What the DLA runs in FP16, and what enlarges: SiLU, a gate a channel, a transposed convolution, bilinear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 1)
        self.deep, self.up = nn.Conv2d(16, 16, 3, 2, 1), nn.ConvTranspose2d(16, 16, 4, 2, 1)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.stem(x))
        deep = F.silu(self.deep(x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()))
        return self.head(torch.cat([self.up(deep), F.interpolate(deep, scale_factor=2.0, mode="bilinear")], 1))


class GatedDetector(nn.Module):
    """One level of stride 4 behind SiLU and a gate: classes and distances."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1)
        self.gate = nn.Conv2d(16, 16, 1)
        self.classes, self.boxes = nn.Conv2d(16, len(NAMES), 1), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.silu(self.deep(F.silu(self.stem(x))))
        x = x * self.gate(x).sigmoid()
        return 2 * self.classes(x) - 1, self.boxes(x).relu() + 1


def write_file(network: nn.Module, file: Path, *, size: tuple[int, int] | None = (HEIGHT, WIDTH)) -> Path:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:  # of this seed, whatever was made before
                nn.init.uniform_(module.bias, -0.2, 0.2)
    axes = {0: "batch"} if size else {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, *(size or (HEIGHT, WIDTH))),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["pixels"],
        dynamic_axes={"pixels": axes},
    )
    return file


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_file(Classifier(), tmp_path_factory.mktemp("onnx") / "classifier.onnx")


@pytest.fixture(scope="module")
def bundle(classifier: Path, data: Path) -> Path:
    return export(classifier, data, classifier.parent / "classifier.unina", "--mean", "127.5", "--std", "127.5")


def export(file: Path, data: Path, output: Path, *words: str) -> Path:
    arguments = ["--from-onnx", str(file), "--data", str(data), "--output", str(output), "--json", *words]
    assert main(arguments) == 0
    return output


def said(file: Path, image: Path, *, mean: float, std: float) -> dict[str, np.ndarray]:
    """What the file itself says about a picture."""
    pixels, _ = letterbox(read_image(image), HEIGHT, WIDTH)
    x = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    return OnnxMaps(file)(np.ascontiguousarray(x.transpose(2, 0, 1)[None]))


def test_a_classifier_names_the_same_class_with_about_the_same_score(
    bundle: Path, classifier: Path, data: Path
) -> None:
    network = Network(bundle, "host")
    assert (network.decode, network.classes) == ("classify", NAMES)
    for image in sorted((data.parent / "images" / "val").iterdir()):
        (scores,) = said(classifier, image, mean=127.5, std=127.5).values()
        found = dict(network.classify(read_image(image)))
        np.testing.assert_allclose([found[name] for name in NAMES], scores[0], atol=0.05)


def test_the_bundle_is_whole_and_of_schema_2(bundle: Path, data: Path) -> None:
    manifest = Bundle(bundle).manifest
    assert (manifest["schema"], manifest["decode"]) == (2, "classify")
    assert not {"levels", "reg_max", "thresholds", "max_detections"} & set(manifest)
    assert set(manifest["files"]) == {
        *("model.onnx", "calibration.cache", "model.qdq.onnx", "host.loadable", "labels.txt"),
        *("report.json", "report.html"),
    }
    images, logits = manifest["tensors"]
    assert (images["shape"], logits["shape"]) == ([1, 3, HEIGHT, WIDTH], [1, len(NAMES), 1, 1])
    assert manifest["provenance"]["spec"]["std"] == [127.5] * 3
    assert set(manifest["accuracy"]) == {"original", "onnx", "qdq", "host"}
    assert all(row["images"] == row["labelled"] == 4 for row in manifest["accuracy"].values())
    with pytest.raises(UninaError, match="its network detects nothing, its decode is classify"):
        Detector(bundle)


def test_a_jetson_can_be_asked_for_the_same_bits(bundle: Path, tmp_path: Path) -> None:
    assert dla(["vectors", str(bundle), "--output", str(tmp_path / "v"), "--count", "1"]) == 0
    (vector,) = json.loads((tmp_path / "v" / "vectors.json").read_text())["vectors"]
    (logits,) = vector["expected"]["half-away fp32"].values()
    integers = np.fromfile(tmp_path / "v" / logits["linear"]["file"], np.int8)
    network = HostMaps(bundle / "host.loadable")
    picture = np.fromfile(tmp_path / "v" / vector["inputs"]["pixels"]["file"], np.int8)
    rows = picture.reshape(HEIGHT, -1)[:, : 4 * WIDTH].reshape(HEIGHT, WIDTH, 4)  # hwc4
    (expected,) = network(np.ascontiguousarray(rows[..., :3].transpose(2, 0, 1)[None])).values()
    np.testing.assert_array_equal(integers, expected.reshape(-1))


def test_who_scores_boxes_is_told_that_there_are_none(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate([str(bundle), "--data", str(data)]) == 2
    assert "its network detects nothing, its decode is classify" in capsys.readouterr().err


def test_relu6_is_where_int8_ends(bundle: Path) -> None:
    graph = read_graph(onnx.load(bundle / "model.onnx"))
    scales = scales_of(bundle)
    (stem, depth) = (op.output for op in graph.ops if getattr(op, "cap", None) == 6)
    assert max(float(scales[name]) * 127 for name in (stem, depth)) <= 6 * (1 + 1e-6)
    (row,) = Bundle(bundle).manifest["parity"]
    assert row["qdq_equal"] == 1.0, "a Clip that the host engine left out would show"
    wide = ScaleMap({name: np.float32(2 * scale) if name == depth else scale for name, scale in scales.items()})
    with pytest.raises(LoweringError, match="clips to 6, but shares its scale with tensors that reach"):
        lower(graph, wide)


def scales_of(bundle: Path) -> ScaleMap:
    return read_cache(bundle / "calibration.cache").scales


def test_raw_maps_keep_what_lies_below_zero(data: Path, tmp_path: Path) -> None:
    file = write_file(Maps(), tmp_path / "maps.onnx")
    network = Network(export(file, data, tmp_path / "maps.unina"))
    assert (network.decode, network.classes) == ("raw", ())
    image = next(iter((data.parent / "images" / "val").iterdir()))
    found = network.run(read_image(image))
    for name, values in said(file, image, mean=0, std=255).items():
        step = next(t["scale"] for t in network.manifest["tensors"] if t["name"] == name)
        assert np.abs(found[name] - values).max() < 4 * step
        assert np.abs(values).max() > 20 * step


def test_operators_of_others_become_ours_and_what_they_cost_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_file(Elsewhere(), tmp_path / "elsewhere.onnx")
    capsys.readouterr()
    network = Network(export(file, data, tmp_path / "elsewhere.unina"), "host")
    report = json.loads(capsys.readouterr().out)
    notes = " ".join(report["notes"])
    assert "(Sigmoid) is left out: the bundle ends at /head/Conv_output_0" in notes
    assert "PRelu, 1 times, became three layers each" in notes
    assert min(row["host_snr_db"] for row in report["parity"]) > 25
    assert report["dla"]["on_dla"]
    image = next(iter((data.parent / "images" / "val").iterdir()))
    (logits,), (scores,) = (
        list(one.values()) for one in (network.run(read_image(image)), said(file, image, mean=0, std=255))
    )
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, atol=0.1)
    assert logits.shape == (1, 4, 8, 12)


def test_gates_run_in_fp16_and_the_bundle_says_so_everywhere(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_file(Gated(), tmp_path / "gated.onnx")
    capsys.readouterr()
    bundle = export(file, data, tmp_path / "gated.unina", "--mean", "128", "--std", "64")
    report = json.loads(capsys.readouterr().out)
    assert "3 × Sigmoid, 3 × Mul: FP16 layers between INT8 ones on the DLA" in " ".join(report["notes"])
    (row,) = report["parity"]
    assert row["qdq_equal"] > 0.99 and row["host_snr_db"] > 25
    assert report["dla"]["on_dla"]
    assert sorted((bundle / LAYERS_FILE).read_text().split()) == [
        *("/Mul:fp16", "/Mul_1:fp16", "/Mul_2:fp16"),
        *("/Sigmoid:fp16", "/Sigmoid_1:fp16", "/Sigmoid_2:fp16"),
    ]
    assert dla(["lint-cache", str(bundle)]) == 0
    assert dla(["command", str(bundle)]) == 0
    told = capsys.readouterr()
    assert "--layerPrecisions=" in told.out and "need one scale" not in told.out + told.err
    image = next(iter((data.parent / "images" / "val").iterdir()))
    (found,), (expected,) = (
        list(one.values())
        for one in (Network(bundle, "host").run(read_image(image)), said(file, image, mean=128, std=64))
    )
    step = next(t["scale"] for t in Bundle(bundle).manifest["tensors"] if t["role"] == "output")
    assert np.abs(found - expected).max() < 8 * step and np.abs(expected).max() > 40 * step


def test_a_network_ends_where_it_is_told_to(classifier: Path, data: Path, tmp_path: Path) -> None:
    names = [node.output[0] for node in onnx.load(classifier).graph.node if node.op_type == "Clip"]
    bundle = export(classifier, data, tmp_path / "cut.unina", "--outputs", names[0], "--decode", "raw")
    (shape,) = (t["shape"] for t in Bundle(bundle).manifest["tensors"] if t["role"] == "output")
    assert shape == [1, 16, HEIGHT // 2, WIDTH // 2]


def test_an_open_size_is_given_and_colours_can_be_turned(data: Path, tmp_path: Path) -> None:
    file = write_file(Maps(), tmp_path / "open.onnx", size=None)
    bundle = export(file, data, tmp_path / "open.unina", "--input-size", f"{WIDTH}x{HEIGHT}", "--color", "bgr")
    told = Bundle(bundle).manifest["input"]
    assert (told["width"], told["height"], told["color"]) == (WIDTH, HEIGHT, "bgr")
    image = read_image(next(iter((data.parent / "images" / "val").iterdir())))
    turned = Network(export(file, data, tmp_path / "rgb.unina", "--input-size", f"{WIDTH}x{HEIGHT}"))
    mine, theirs = Network(bundle).run(image), turned.run(np.ascontiguousarray(image[..., ::-1]))
    for tensor in turned.manifest["tensors"][1:]:
        assert np.abs(mine[tensor["name"]] - theirs[tensor["name"]]).max() < 4 * tensor["scale"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unina-export: ")]
    assert len(err) == 1, err
    return err[0]


def test_a_detector_with_maps_like_ours_is_served_as_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, ours_data = untrained_bundle(tmp_path)
    levels = Bundle(ours).manifest["levels"]
    words = [word for one in levels for word in ("--level", f"{one['stride']}={one['class']},{one['box']}")]
    pixels = ["--mean", "128", "--std", "1", "--calibration-images", "3", "--score-threshold", "0.4"]
    bundle = export(ours / "model.onnx", ours_data, tmp_path / "again.unina", *words, *pixels)
    again, first = Bundle(bundle).manifest, Bundle(ours).manifest
    for key in ("schema", "classes", "input", "levels", "reg_max", "max_detections"):
        assert again[key] == first[key]
    assert set(again["accuracy"]) == {"onnx", "qdq", "host"}
    found = Detector(bundle).detect(cv2.imread(str(bundle / again["selftest"]["picture"])))
    assert len(again["selftest"]["expected"]) >= 3
    for one in again["selftest"]["expected"]:
        assert np.abs(found.boxes - one["box"]).max(axis=1).min() < 0.01
    image = read_image(next(iter((ours_data.parent / "images" / "val").iterdir())))
    mine, theirs = (Detector(path, score_threshold=0.3).detect(image) for path in (bundle, ours))
    assert len(mine.boxes)
    np.testing.assert_array_equal(mine.boxes, theirs.boxes)
    np.testing.assert_array_equal(mine.classes, theirs.classes)
    scores = onnx.load(ours / "model.onnx")  # a file that ends in scores is served as well: the decoder makes them
    scores.graph.node.append(onnx.helper.make_node("Sigmoid", ["p2_class"], ["scores"], "sigmoid"))
    value = onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, None)
    scores.graph.output.insert(0, value)
    onnx.save(scores, tmp_path / "scores.onnx")
    ends = [word.replace("p2_class", "scores") for word in words]
    same = export(tmp_path / "scores.onnx", ours_data, tmp_path / "scores.unina", *ends, *pixels)
    assert Bundle(same).manifest["levels"] == first["levels"]
    capsys.readouterr()
    one = ["--from-onnx", str(ours / "model.onnx"), "--data", str(ours_data), "--output", str(tmp_path / "x.unina")]
    for level, message in [
        (["8=a"], "--level 8=a: expected STRIDE=CLASS_MAP,BOX_MAP"),
        (["4=p2_class,nothing"], "--level nothing: "),
        (["8=p2_class,p2_box"], "--level 8: p2_class is 1×2×16×24, expected 1×2×8×12"),
        (["4=p2_box,p2_class"], "expected 1×2×16×24"),
        (["8=p3_class,p3_box", "4=p2_class,p2_box"], "powers of two, the finest first"),
        (["4=p2_class,p2_box", "--decode", "raw"], "leave out --outputs and --decode"),
    ]:
        words = [word for text in level if "=" in text for word in ("--level", text)]
        assert message in refused([*one, *words, *(text for text in level if "=" not in text)], capsys)


def test_a_detector_with_gates_is_served_and_compiled(data: Path, tmp_path: Path) -> None:
    file = write_file(GatedDetector(), tmp_path / "gated.onnx")
    classes, boxes = (value.name for value in onnx.load(file).graph.output)
    words = [
        "--level",
        f"4={classes},{boxes}",
        "--score-threshold",
        "0.3",
        "--no-accuracy",
        "--mean",
        "128",
        "--std",
        "64",
    ]
    bundle = export(file, data, tmp_path / "gated.unina", *words)
    assert Bundle(bundle).manifest["schema"] == 1
    head = Head.of_manifest(Bundle(bundle).manifest)
    images = [read_image(path) for path in sorted((data.parent / "images" / "val").iterdir())]
    host = [Detector(bundle, "host", score_threshold=0.3).detect(image) for image in images]
    assert sum(len(one.boxes) for one in host) > 10
    stages = OnnxStage(bundle / "model.onnx", head), HostStage(bundle / "host.loadable", head)
    exact, integers = ([stage(image) for image in images] for stage in stages)
    high = [[one.boxes[one.scores > 0.4] for one in found] for found in (exact, integers)]
    for one, other in zip(*high, strict=True):
        near = [np.abs(other - box).max(axis=1).min(initial=np.inf) < 4 for box in one]
        assert len(one) and np.mean(near) > 0.9
    layers = fp16_layers((bundle / LAYERS_FILE).read_text(), "layers")
    assert len(layers) == 6 and set(layers) <= {node.name for node in onnx.load(bundle / "model.onnx").graph.node}


def test_what_is_wrong_is_said_in_one_line(
    classifier: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, output = tmp_path / "labels.txt", tmp_path / "x.unina"
    labels.write_text("a\nb\nc\n")
    open_size = write_file(Maps(), tmp_path / "open.onnx", size=None)
    one = ["--data", str(data), "--output", str(output)]
    from_onnx = ["--from-onnx", str(classifier), *one]
    for words, message in [
        ([*from_onnx, "--labels", str(labels), "--decode", "classify"], "names 3 classes, so that the one output must"),
        ([*from_onnx, "--outputs", "nothing"], "computes no such tensor; its outputs are"),
        ([*from_onnx, "--mean", "a"], "--mean a: one number, or three with commas"),
        ([*from_onnx, "--mean", "imagenet", "--std", "1"], "--mean imagenet brings its own --std"),
        ([*from_onnx, "--std", "0"], "each std is above zero"),
        ([*from_onnx, "--input-size", "64x64"], "is ?×3×32×48, and --input-size says 64x64"),
        ([*from_onnx, "--input-size", "big"], "expected WIDTHxHEIGHT"),
        ([*from_onnx, "--max-drop", "1"], "--max-drop goes with a checkpoint alone"),
        (["--from-onnx", str(open_size), *one], "is ?×3×?×?: give --input-size WIDTHxHEIGHT"),
        (["--from-onnx", str(data), *one], "not an ONNX network"),
        (["--from-onnx", str(tmp_path / "none.onnx"), *one], "none.onnx: no such file"),
        (one, "give a checkpoint.pt of unina-train, or --from-onnx MODEL.onnx: one of the two"),
        (["checkpoint.pt", "--decode", "raw", *one], "--decode goes with --from-onnx alone"),
    ]:
        assert message in refused(words, capsys)
        assert not output.exists()


def test_the_command_says_what_became_of_the_network(
    classifier: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--from-onnx", str(classifier), "--data", str(data), "--output", str(tmp_path / "c.unina")]
    assert main([*words, "--mean", "imagenet"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for told in (
        "same first class as the file, of 4 pictures of val: original 100.0%",
        "pixels: rgb, (123.675 116.28 103.53) subtracted, divided by (58.395 57.12 57.375)",
        "its padding stands for pixel 128, where the network was trained with 123.675 116.28 103.53",
        f"decode classify: /head/Gemm_output_0 1×{len(NAMES)}×1×1",
        "on the DLA, by its documented rules: every node",
    ):
        assert told in out, told
    report = json.loads((tmp_path / "c.unina" / "report.json").read_text())
    assert report["decode"] == "classify" and len(report["notes"]) == 1
    assert "its padding stands for pixel 128" in (tmp_path / "c.unina" / "report.html").read_text()
