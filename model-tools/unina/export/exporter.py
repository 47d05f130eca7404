"""The export as one story: checkpoint → deploy graph → scale map → every form of the network → checked → bundle."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from unina.compress.calibrate import Method, calibrate, passes
from unina.compress.pictures import CalibrationPictures, sample_paths
from unina.data import Dataset, Sample, load_dataset
from unina.dla.graph import Conv, Graph
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleMap
from unina.dla.ties import tied_groups
from unina.dla.trtexec import LAYERS_FILE, layers_text
from unina.evaluate import ClassMap, Head, HostStage, Metrics, OnnxStage, TorchStage, map_classes, run_stage, score_as
from unina.evaluate.stage_scores import Scores, score_stages
from unina.evaluate.stages import NetworkStage, TrainingForm
from unina.evaluate.subject import FUSED, HOST, ONNX, QDQ, TORCH
from unina.export.bundle import BundleDraft, check_output, new_bundle
from unina.export.cache import checked_cache
from unina.export.lower import lower
from unina.export.manifest import Provenance, labels, manifest
from unina.export.onnx_graph import export_onnx
from unina.export.parity import OutputParity, measure_parity, parity_json, require_onnx_parity, torch_maps
from unina.export.precision import Precision, found_precision, given_precision, listed_layers, price_of
from unina.export.qdq import quantised_model
from unina.export.report import DlaFindings, dla_findings, report_html, report_json, sensitivity_json
from unina.export.selftest import PICTURE as SELFTEST
from unina.export.selftest import selftest
from unina.export.tables import Rounding
from unina.model import Checkpoint, DeployedDetector, load_checkpoint

PARITY_PICTURES = 8
SENSITIVITY_PICTURES = 4
"""Twice 34 partial passes of the shipped network a picture: a few seconds each."""
MAX_DROP = 0.3
"""Points of mAP50-95."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""(what, how many) → a context whose value is called after each one."""


class ExportError(ValueError):
    """The checkpoint and the data set do not fit together; the text says how."""


@dataclass(frozen=True)
class ExportSettings:
    """What `unina-export` was asked for."""

    checkpoint: Path
    data: Path
    output: Path
    calibration: Method = "minmax"
    calibration_images: int = 128
    rounding: Rounding = "half-away"
    score_threshold: float = 0.3
    """of every class whose threshold is not measured"""
    name: str | None = None
    """None: the stem of `output`"""
    seed: int = 0
    """of the draw of calibration pictures"""
    force: bool = False
    accuracy: bool = True
    precision: Literal["int8", "auto"] = "int8"
    """auto: as many layers in FP16 as `max_drop` needs"""
    max_drop: float | None = None
    """of `auto`: points of mAP50-95 that the host engine may lose against FP32; None: MAX_DROP"""
    fp16_layers: Path | None = None
    """a list of layers that run in FP16, instead of `auto`"""
    sign: Path | None = None
    """an Ed25519 key; None: the bundle is not signed"""

    def __post_init__(self) -> None:
        if self.calibration_images < 1:
            raise ExportError(f"--calibration-images {self.calibration_images}: at least one picture is needed")
        if not 0 < self.score_threshold < 1:
            raise ExportError(f"--score-threshold {self.score_threshold}: a score lies between 0 and 1")
        if self.max_drop is not None and self.precision != "auto":
            raise ExportError("--max-drop is what --precision auto keeps to; give both")
        if self.max_drop is not None and not (0 <= self.max_drop < math.inf):
            raise ExportError(f"--max-drop {self.max_drop}: points of mAP50-95 that may be lost, 0 or more")
        if self.precision == "auto" and self.fp16_layers is not None:
            raise ExportError("--precision auto chooses the layers itself; leave out --fp16-layers, or auto")
        if self.precision == "auto" and not self.accuracy:
            raise ExportError("--precision auto goes by the accuracy on val; leave out --no-accuracy")


@dataclass(frozen=True)
class ExportResult:
    """What was written and how good it is."""

    bundle: Path
    bytes: int
    """of the whole bundle"""
    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    parity: tuple[OutputParity, ...]
    scores: Scores
    """of torch, fused, onnx, qdq, host; of none with `--no-accuracy`"""
    dla: DlaFindings
    precision: Precision

    def to_json(self) -> dict[str, Any]:
        """As plain Python values."""
        return {
            "bundle": str(self.bundle),
            "bytes": self.bytes,
            "thresholds": dict(zip(self.classes, self.thresholds, strict=True)),
            "parity": parity_json(self.parity),
            "accuracy": {stage: metrics.to_json() for stage, metrics in self.scores.accuracy.items()},
            "stages": {row.stage: row.to_json() for row in self.scores.rows},
            "dla": self.dla.to_json(),
            **precision_json(self.precision, self.scores),
            **sensitivity_json(self.precision),
        }


@contextmanager
def silent(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Progress that shows nothing."""
    yield lambda: None


def export_bundle(settings: ExportSettings, progress: Progress = silent) -> ExportResult:
    """Writes the bundle, or raises and leaves nothing behind.

    Raises:
        NotAccurate: no set of layers in FP16 keeps to `max_drop`.
        ValueError: DataError, CheckpointError, ExportError, GraphError, ScaleError, CalibrationError, CacheError,
            LayersError, LoweringError, ParityError, SigningError or BundleError, each with a text for the person who
            can mend it.
        OSError: the disk.
    """
    check_output(settings.output, force=settings.force)
    sign = None if settings.sign is None else bundle_signer(settings.sign)
    checkpoint = load_checkpoint(settings.checkpoint)
    dataset = load_dataset(settings.data)
    training, scored = _splits(dataset, settings)
    classes = _classes(checkpoint, dataset, scored, settings)

    deployed = checkpoint.model.deploy()
    head = Head.of_deployed(deployed)
    with progress("trace", 1) as advance:
        model = export_onnx(deployed)
        advance()
    graph = read_graph(model)

    paths = sample_paths([sample.image for sample in training], settings.calibration_images, settings.seed)
    if checkpoint.scales is None:
        pictures = CalibrationPictures(paths, head)
        with progress(f"calibrate ({settings.calibration})", len(paths) * passes(settings.calibration)) as advance:
            scales = calibrate(model, pictures, settings.calibration, advance)
    else:
        scales = trained_scales(checkpoint.scales, graph, settings.checkpoint)
    cache = checked_cache(scales, model)
    precision = _precision(settings, model, graph, scales, head, paths, scored, classes, progress)
    loadable = lower(graph, scales, settings.rounding, precision.promoted)
    qdq = quantised_model(model, scales, precision.promoted)

    few = CalibrationPictures(paths[:PARITY_PICTURES], head)
    with progress("parity", len(few)) as advance:
        parity = measure_parity(
            torch_maps(deployed, head.output_names), head.output_names, model, qdq, loadable, scales, few, advance
        )
    require_onnx_parity(parity)

    with new_bundle(settings.output, force=settings.force) as draft:
        draft.add("model.onnx", model.SerializeToString())
        draft.add("calibration.cache", cache.encode())
        draft.add("model.qdq.onnx", qdq.SerializeToString())
        draft.add("host.loadable", loadable)
        draft.add("labels.txt", labels(checkpoint.classes))
        if precision.layers:
            draft.add(LAYERS_FILE, layers_text(precision.promoted).encode())
        scores = _score(draft, checkpoint, deployed, head, scored, classes, settings, progress)
        told = manifest(
            name=settings.name or settings.output.stem,
            classes=checkpoint.classes,
            head=head,
            graph=graph,
            scales=scales,
            thresholds=scores.thresholds,
            rounding=settings.rounding,
            provenance=_provenance(checkpoint, dataset, settings, paths),
            accuracy={stage: metrics.to_json() for stage, metrics in scores.accuracy.items()},
            parity=parity_json(parity),
            promoted=precision.promoted,
        )
        told |= precision_json(precision, scores)
        if test := selftest(HostStage(loadable, head), scores.thresholds):
            draft.add(SELFTEST, test[0])
            told["selftest"] = test[1]
        with progress("report", 1) as advance:
            dla = dla_findings(model.SerializeToString(), scales, precision.promoted)
            draft.add("report.json", report_json(told, dla, scores.rows, precision))
            draft.add("report.html", report_html(told, dla, HostStage(loadable, head), scores.rows, precision))
            advance()
        draft.publish(told, sign)
    size = sum(path.stat().st_size for path in settings.output.iterdir())
    return ExportResult(settings.output, size, checkpoint.classes, scores.thresholds, parity, scores, dla, precision)


def bundle_signer(key: Path) -> Callable[[bytes], bytes]:
    """Before anything is computed: a key that is no good is said at once. Raises SigningError."""
    from unina.export.signature import signing_key  # noqa: PLC0415 (whoever signs nothing needs no cryptography)

    signer: Callable[[bytes], bytes] = signing_key(key).sign
    return signer


def precision_json(precision: Precision, scores: Scores) -> dict[str, Any]:
    """The manifest's entry `precision`; none where everything is INT8 and nobody asked."""
    if not precision.layers and precision.max_drop is None:
        return {}
    accuracy = scores.accuracy
    return {"precision": precision.to_json(_drop(accuracy[ONNX], accuracy[HOST]) if accuracy else None)}


def _precision(
    settings: ExportSettings,
    model: onnx.ModelProto,
    graph: Graph,
    scales: ScaleMap,
    head: Head,
    paths: Sequence[Path],
    samples: Sequence[Sample],
    classes: ClassMap,
    progress: Progress,
) -> Precision:
    """What runs in FP16."""
    if settings.fp16_layers is not None:
        names = listed_layers(settings.fp16_layers, graph)
        return given_precision(names, graph, price_of(model.SerializeToString()))
    if settings.precision == "int8":
        return Precision()

    def accuracy(title: str, stage: NetworkStage) -> Metrics:
        with progress(title, len(samples)) as advance:
            return score_as(classes, samples, run_stage(stage, samples, advance))

    exact = accuracy("accuracy, FP32", OnnxStage(model, head))

    def drop_of(promoted: tuple[str, ...]) -> float:
        stage = HostStage(lower(graph, scales, settings.rounding, promoted), head)
        return _drop(exact, accuracy(f"accuracy, {len(promoted)} in FP16" if promoted else "accuracy, INT8", stage))

    inputs = list(CalibrationPictures(paths[:SENSITIVITY_PICTURES], head))
    count = sum(isinstance(op, Conv) for op in graph.ops) * len(inputs)
    max_drop = MAX_DROP if settings.max_drop is None else settings.max_drop
    with progress("sensitivity", count) as advance:
        return found_precision(graph, scales, inputs, price_of(model.SerializeToString()), drop_of, max_drop, advance)


def _drop(exact: Metrics, integers: Metrics) -> float:
    """Points of mAP50-95."""
    return 100 * (exact.map50_95 - integers.map50_95)


def trained_scales(scales: Mapping[str, float], graph: Graph, checkpoint: Path) -> ScaleMap:
    """The scales that a run in integers learnt, for exactly the tensors of the graph, ties kept.

    Raises ExportError when the checkpoint lacks one, or breaks a tie.
    """
    for name in graph.shapes:
        if name not in scales:
            raise ExportError(f"{checkpoint}: trained in integers, but has no scale for {name}; train again")
    found = ScaleMap({name: np.float32(scales[name]) for name in graph.shapes})
    for group in tied_groups(graph):
        apart = next((name for name in group if found[name] != found[group[0]]), None)
        if apart is not None:
            pair = f"they have {found[group[0]]} and {found[apart]}"
            raise ExportError(f"{checkpoint}: {group[0]} and {apart} must share one scale, {pair}")
    return found


def _classes(checkpoint: Checkpoint, dataset: Dataset, scored: Sequence[Sample], settings: ExportSettings) -> ClassMap:
    """Which class of the data set each class of the detector is scored as."""
    try:
        return map_classes(checkpoint.classes, dataset.names, dataset.groups, scored)
    except ValueError as error:
        raise ExportError(
            f"{settings.data}: its classes are {', '.join(dataset.names)}; the checkpoint was trained on "
            f"{', '.join(checkpoint.classes)}"
        ) from error


def _splits(dataset: Dataset, settings: ExportSettings) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """The samples to calibrate on and to score on (none with `--no-accuracy`)."""
    training = dataset.split("train")
    if not settings.accuracy:
        return training, ()
    scored = dataset.splits.get("val", ())
    if not any(len(sample.classes) for sample in scored):
        raise ExportError(
            f"{settings.data}: no labelled picture in a split val to score on; label some, or --no-accuracy"
        )
    return training, scored


def _score(
    draft: BundleDraft,
    checkpoint: Checkpoint,
    deployed: DeployedDetector,
    head: Head,
    samples: Sequence[Sample],
    classes: ClassMap,
    settings: ExportSettings,
    progress: Progress,
) -> Scores:
    """Every stage, from the very files that the bundle will hold."""
    if not samples:
        return Scores({}, (), (settings.score_threshold,) * head.classes)
    stages: dict[str, NetworkStage] = {
        TORCH: TorchStage(TrainingForm(checkpoint.model), head),
        FUSED: TorchStage(deployed, head),
        ONNX: OnnxStage(draft.folder / "model.onnx", head),
        QDQ: OnnxStage(draft.folder / "model.qdq.onnx", head),
        HOST: HostStage(draft.folder / "host.loadable", head),
    }
    with progress("accuracy, all stages", len(samples)) as advance:
        return score_stages(stages, samples, classes, settings.score_threshold, advance)


def _provenance(
    checkpoint: Checkpoint, dataset: Dataset, settings: ExportSettings, paths: Sequence[Path]
) -> Provenance:
    folder = dataset.path.parent.resolve()
    names = [relative(path.resolve(), folder) for path in paths]
    info = checkpoint.info
    return Provenance(
        seed=info.get("seed"),
        dataset_sha256=dataset.sha256,
        calibration={"method": settings.calibration, "seed": settings.seed, "images": names}
        if checkpoint.scales is None
        else {"method": "trained", "seed": info.get("seed"), "images": []},
        spec=dataclasses.asdict(checkpoint.spec),
        training=_without_places(
            {key: info[key] for key in ("spec", "dataset_sha256", "step", "epoch", "metrics") if key in info}
        ),
    )


def _without_places(value: Any, key: str = "") -> Any:
    """A training spec in which paths keep only their last two parts: a manifest says nothing about somebody's disk."""
    if isinstance(value, dict):
        return {name: _without_places(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_places(entry, key) for entry in value]
    if key in ("data", "init_from") and value:
        return Path(*Path(value).parts[-2:]).as_posix()
    return value


def relative(path: Path, folder: Path) -> str:
    """Seen from the data set where it lies inside, so that a manifest says nothing about somebody's disk."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
