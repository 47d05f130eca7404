"""The export of a network that was not made here: ONNX → deploy graph → scale map → every form → checked → bundle."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from unina.compress.calibrate import Method, calibrate, passes
from unina.compress.pictures import CalibrationPictures, sample_paths
from unina.data import Dataset, load_dataset
from unina.dla.check import Device
from unina.dla.graph_reader import read_graph
from unina.dla.network import Network, read_network
from unina.dla.precision import smooth_layers
from unina.dla.trtexec import LAYERS_FILE, layers_text
from unina.evaluate import Head, HostMaps, HostStage, OnnxMaps, OnnxStage, map_classes
from unina.evaluate.classifier import Logits, score_classifier
from unina.evaluate.picture_input import Color, PictureInput
from unina.evaluate.raw_maps import FloatMaps
from unina.evaluate.stage_scores import score_stages
from unina.evaluate.stages import NetworkStage
from unina.evaluate.subject import HOST, ONNX, QDQ
from unina.export.bundle import check_output, new_bundle
from unina.export.cache import checked_cache
from unina.export.deploy_network import DeployNetwork
from unina.export.exporter import PARITY_PICTURES, ExportError, Progress, bundle_signer, relative, silent
from unina.export.level_maps import LevelMaps, head_of
from unina.export.lower import lower
from unina.export.manifest import Provenance, labels, manifest, network_manifest
from unina.export.onnx_report import onnx_report_html, onnx_report_json
from unina.export.parity import ONNX_TOLERANCE, OutputParity, ParityError, measure_parity, parity_json
from unina.export.pixels import Normalisation
from unina.export.qdq import quantised_model
from unina.export.report import DlaFindings, dla_findings
from unina.export.rewrite import before_decoding, deploy_network
from unina.export.rewrite_notes import costly, left_out
from unina.export.selftest import PICTURE as SELFTEST
from unina.export.selftest import selftest
from unina.export.tables import Rounding

Decode = Literal["classify", "raw", "detect"]


@dataclass(frozen=True)
class OnnxSettings:
    """What `unina-export --from-onnx` was asked for."""

    model: Path
    data: Path
    output: Path
    decode: Decode | None = None
    """None: detect where levels are given, classify where the one output has a value for each class, else raw"""
    levels: tuple[LevelMaps, ...] = ()
    """of a detector whose maps mean what ours mean; they are its outputs"""
    score_threshold: float = 0.3
    """of a detector's classes whose threshold is not measured"""
    outputs: tuple[str, ...] = ()
    """tensors that the network shall end at; none: its own outputs"""
    labels: Path | None = None
    """class names, one a line; None: those of the data set"""
    input_size: tuple[int, int] | None = None
    """rows, columns; None: the file's own"""
    color: Color = "rgb"
    normalisation: Normalisation = field(default_factory=Normalisation)
    calibration: Method = "minmax"
    calibration_images: int = 128
    rounding: Rounding = "half-away"
    name: str | None = None
    """None: the stem of `output`"""
    seed: int = 0
    """of the draw of calibration pictures"""
    force: bool = False
    accuracy: bool = True
    sign: Path | None = None

    def __post_init__(self) -> None:
        if self.calibration_images < 1:
            raise ExportError(f"--calibration-images {self.calibration_images}: at least one picture is needed")
        if self.levels and (self.outputs or self.decode):
            raise ExportError(
                "--level names the outputs and the decode of a detector; leave out --outputs and --decode"
            )
        if not 0 < self.score_threshold < 1:
            raise ExportError(f"--score-threshold {self.score_threshold}: a score lies between 0 and 1")


@dataclass(frozen=True)
class OnnxResult:
    """What was written and how close it is to the file."""

    bundle: Path
    bytes: int
    """of the whole bundle"""
    decode: Decode
    outputs: Mapping[str, tuple[int, ...]]
    """shape of each"""
    notes: tuple[str, ...]
    """what is not quite as it was in the file, and what does not run on the DLA"""
    parity: tuple[OutputParity, ...]
    accuracy: Mapping[str, Mapping[str, Any]]
    """of every form, as the manifest has it; of none where nothing was scored"""
    dla: DlaFindings

    def to_json(self) -> dict[str, Any]:
        """As plain Python values."""
        return {
            "bundle": str(self.bundle),
            "bytes": self.bytes,
            "decode": self.decode,
            "outputs": {name: list(shape) for name, shape in self.outputs.items()},
            "notes": list(self.notes),
            "parity": parity_json(self.parity),
            "accuracy": dict(self.accuracy),
            "dla": self.dla.to_json(),
        }


def export_onnx_bundle(settings: OnnxSettings, progress: Progress = silent) -> OnnxResult:
    """Writes the bundle, or raises and leaves nothing behind.

    Raises:
        ValueError: DataError, NetworkError, RewriteError, ExportError, GraphError, ScaleError, CalibrationError,
            CacheError, LoweringError, ParityError, SigningError or BundleError, each with a text for the person who can
            mend it.
        OSError: the disk.
    """
    check_output(settings.output, force=settings.force)
    sign = None if settings.sign is None else bundle_signer(settings.sign)
    dataset = load_dataset(settings.data)
    network = _read(settings.model, settings.input_size)
    named = _ends(network, settings)
    ends = before_decoding(network, named)
    picture = PictureInput(*_size(network), color=settings.color)
    paths = sample_paths(
        [sample.image for sample in dataset.split("train")], settings.calibration_images, settings.seed
    )
    pictures = CalibrationPictures(paths, picture)
    few = list(CalibrationPictures(paths[:PARITY_PICTURES], picture))

    rewritten = deploy_network(network, ends)
    original = _Original(settings.model, ends, settings.normalisation)
    _require_unchanged(rewritten, original, settings.normalisation, few)
    folded, notes = settings.normalisation.fold(rewritten)
    model = folded.to_onnx()
    graph = read_graph(model)
    classes, decode = _decode([graph.shapes[name] for name in ends], dataset, settings)
    notes += left_out(network, named, ends, classifies=decode == "classify") + costly(rewritten)
    moved = dict(zip(named, ends, strict=True))
    levels = [replace(one, classes=moved[one.classes], boxes=moved[one.boxes]) for one in settings.levels]
    head = head_of(levels, graph.shapes, classes, picture) if levels else None

    with progress(f"calibrate ({settings.calibration})", len(paths) * passes(settings.calibration)) as advance:
        scales = calibrate(model, pictures, settings.calibration, advance, cut_raw_maps=head is not None)
    halves = smooth_layers(graph)
    cache = checked_cache(scales, model, halves)
    loadable = lower(graph, scales, settings.rounding)
    qdq = quantised_model(model, scales)
    with progress("parity", len(few)) as advance:
        parity = measure_parity(original, ends, model, qdq, loadable, scales, few, advance)
    dla = dla_findings(model.SerializeToString(), scales, halves)
    notes += tuple(
        f"{verdict.node.name} ({verdict.node.op}) does not run on the DLA: {verdict.fix}"
        for verdict in dla.check.verdicts
        if verdict.device is Device.GPU
    )
    thresholds: tuple[float, ...] = ()
    accuracy: dict[str, dict[str, Any]] = {}
    test: tuple[bytes, dict[str, Any]] | None = None
    if head is not None:
        accuracy, thresholds = _detected(settings, dataset, classes, head, model, qdq, loadable, progress)
        val = [sample.image for sample in dataset.splits.get("val", ())]
        test = selftest(HostStage(loadable, head), thresholds, val)
        if test is None:
            notes += ("no self-test: too little is found in rendered scenes and in val to tell a device that works",)
    elif decode == "classify" and settings.accuracy:
        accuracy = _classified(settings, dataset, classes, picture, original, model, qdq, loadable, progress)

    with new_bundle(settings.output, force=settings.force) as draft:
        draft.add("model.onnx", model.SerializeToString())
        draft.add("calibration.cache", cache.encode())
        draft.add("model.qdq.onnx", qdq.SerializeToString())
        draft.add("host.loadable", loadable)
        draft.add("labels.txt", labels(classes))
        if halves:
            draft.add(LAYERS_FILE, layers_text(halves).encode())
        known: dict[str, Any] = {
            "name": settings.name or settings.output.stem,
            "classes": classes,
            "graph": graph,
            "scales": scales,
            "rounding": settings.rounding,
            "provenance": _provenance(settings, dataset, paths, notes),
            "accuracy": accuracy,
            "parity": parity_json(parity),
        }
        if head is None:
            told = network_manifest(decode=decode, picture=picture, **known)
        else:
            told = manifest(head=head, thresholds=thresholds, **known)
        if test is not None:
            draft.add(SELFTEST, test[0])
            told["selftest"] = test[1]
        draft.add("report.json", onnx_report_json(told, notes, dla))
        draft.add("report.html", onnx_report_html(told, notes, dla))
        draft.publish(told, sign)
    size = sum(path.stat().st_size for path in settings.output.iterdir())
    shapes = {name: graph.shapes[name] for name in ends}
    return OnnxResult(settings.output, size, decode, shapes, notes, parity, accuracy, dla)


class _Original:
    """The file itself on ONNX Runtime, behind the picture that the bundle takes."""

    def __init__(self, path: Path, ends: Sequence[str], normalisation: Normalisation) -> None:
        model = onnx.load(path)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ends)
        self._maps = OnnxMaps(model)
        self._normalisation = normalisation

    def __call__(self, x: npt.NDArray[np.float32]) -> FloatMaps:
        """x: pixel − 128. Returns every output, 1×C×h×w."""
        found = self._maps(self._normalisation(x))
        return {name: values.reshape((*values.shape, 1, 1)[:4]) for name, values in found.items()}


def _read(path: Path, size: tuple[int, int] | None) -> Network:
    """The network at batch 1. Raises NetworkError, ExportError."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    try:
        proto = onnx.load(path, load_external_data=False)
    except Exception:  # whatever it is, read_network says it in one line
        return read_network(path)
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) == 1 and inputs[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16:
        raise ExportError(f"{path}: its input {inputs[0].name} is float16: export the network in float32")
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        told = ", ".join(value.name for value in inputs) or "none"
        raise ExportError(f"{path}: its inputs are {told}; a bundle's network takes one picture, float32 1×3×H×W")
    (value,) = inputs
    dims = value.type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims]
    if len(sizes) != 4 or sizes[1] not in (3, None):
        raise ExportError(f"{path}: input {value.name} is {_dims(sizes)}, not a picture of 1×3×H×W")
    if size is None and None in sizes[2:]:
        raise ExportError(f"{path}: input {value.name} is {_dims(sizes)}: give --input-size WIDTHxHEIGHT")
    if size is not None and any(fixed not in (None, wanted) for fixed, wanted in zip(sizes[2:], size, strict=True)):
        raise ExportError(f"{path}: input {value.name} is {_dims(sizes)}, and --input-size says {size[1]}x{size[0]}")
    height, width = size or (sizes[2], sizes[3])
    assert height is not None and width is not None
    return read_network(path, {value.name: (1, 3, height, width)})


def _dims(sizes: Sequence[int | None]) -> str:
    return "×".join("?" if size is None else str(size) for size in sizes)


def _size(network: Network) -> tuple[int, int]:
    shape = network.shape(network.inputs[0])
    assert shape is not None
    return shape[2], shape[3]


def _ends(network: Network, settings: OnnxSettings) -> tuple[str, ...]:
    wanted = settings.outputs or tuple(name for one in settings.levels for name in (one.classes, one.boxes))
    for name in wanted:
        if name not in network.producers:
            known = ", ".join(network.outputs)
            option = "--level" if settings.levels else "--outputs"
            raise ExportError(f"{option} {name}: {settings.model} computes no such tensor; its outputs are {known}")
    return tuple(dict.fromkeys(wanted)) or network.outputs


def _require_unchanged(
    rewritten: DeployNetwork,
    original: _Original,
    normalisation: Normalisation,
    inputs: Sequence[npt.NDArray[np.float32]],
) -> None:
    """Raises ParityError where the rewritten network, on what it was trained on, says something else than the file."""
    maps = OnnxMaps(rewritten.to_onnx())
    for x in inputs:
        exact, found = original(x), maps(normalisation(x))
        for name, values in exact.items():
            error = float(np.abs(values - found[name]).max()) / max(float(np.abs(values).max()), 1e-30)
            if not error <= ONNX_TOLERANCE:  # NaN fails too
                raise ParityError(
                    f"output {name}: the file and the deploy graph made of it differ by {error:.2%} of the largest "
                    "value: a mistake of ours, or a file that computes in float16 inside (export it in float32)"
                )


def _decode(
    shapes: Sequence[tuple[int, ...]], dataset: Dataset, settings: OnnxSettings
) -> tuple[tuple[str, ...], Decode]:
    """The classes and what becomes of the outputs."""
    classes = dataset.names
    if settings.labels is not None:
        classes = tuple(settings.labels.read_text(encoding="utf-8").splitlines())
    fits = len(shapes) == 1 and shapes[0] == (1, len(classes), 1, 1)
    if settings.decode == "classify" and not fits:
        source = settings.labels or settings.data
        told = ", ".join("×".join(map(str, shape)) for shape in shapes)
        raise ExportError(
            f"--decode classify: {source} names {len(classes)} classes, so that the one output must be "
            f"1×{len(classes)}×1×1; found {told}: give --labels, or --decode raw"
        )
    guess: Decode = "detect" if settings.levels else "classify" if fits else "raw"
    decode = settings.decode or guess
    return (classes if decode != "raw" or settings.labels else ()), decode


def _detected(
    settings: OnnxSettings,
    dataset: Dataset,
    classes: Sequence[str],
    head: Head,
    model: onnx.ModelProto,
    qdq: onnx.ModelProto,
    loadable: bytes,
    progress: Progress,
) -> tuple[dict[str, dict[str, Any]], tuple[float, ...]]:
    """Accuracy of every form of a detector on the split val, and the thresholds that it recommends."""
    if not settings.accuracy:
        return {}, (settings.score_threshold,) * len(classes)
    samples = dataset.splits.get("val", ())
    if not any(len(sample.classes) for sample in samples):
        raise ExportError(f"{settings.data}: no labelled picture in a split val to score on, or --no-accuracy")
    stages: dict[str, NetworkStage] = {
        ONNX: OnnxStage(model, head),
        QDQ: OnnxStage(qdq, head),
        HOST: HostStage(loadable, head),
    }
    mapped = map_classes(classes, dataset.names, dataset.groups, samples)
    with progress("accuracy, all forms", len(samples)) as advance:
        scores = score_stages(stages, samples, mapped, settings.score_threshold, advance)
    return {name: metrics.to_json() for name, metrics in scores.accuracy.items()}, scores.thresholds


def _classified(
    settings: OnnxSettings,
    dataset: Dataset,
    classes: Sequence[str],
    picture: PictureInput,
    original: _Original,
    model: onnx.ModelProto,
    qdq: onnx.ModelProto,
    loadable: bytes,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """Of every form of a classifier, on the split val."""
    samples = dataset.splits.get("val", ())
    if not samples:
        raise ExportError(f"{settings.data}: no pictures in a split val to compare on; add some, or --no-accuracy")
    deployed, quantised, host = OnnxMaps(model), OnnxMaps(qdq), HostMaps(loadable)
    forms: dict[str, Logits] = {
        "original": lambda x: next(iter(original(x).values())),
        "onnx": lambda x: next(iter(deployed(x).values())),
        "qdq": lambda x: next(iter(quantised(x).values())),
        "host": lambda x: next(iter(host(x.astype(np.int8)).values())),
    }
    with progress("accuracy, all forms", len(samples)) as advance:
        return score_classifier(forms, samples, picture, classes, dataset.names, advance).to_json()


def _provenance(settings: OnnxSettings, dataset: Dataset, paths: Sequence[Path], notes: Sequence[str]) -> Provenance:
    folder = dataset.path.parent.resolve()
    return Provenance(
        seed=None,
        dataset_sha256=dataset.sha256,
        calibration={
            "method": settings.calibration,
            "seed": settings.seed,
            "images": [relative(path.resolve(), folder) for path in paths],
        },
        spec={
            "from_onnx": settings.model.name,
            "sha256": hashlib.sha256(settings.model.read_bytes()).hexdigest(),
            "mean": list(settings.normalisation.mean),
            "std": list(settings.normalisation.std),
            "notes": list(notes),
        },
        training={},
    )
