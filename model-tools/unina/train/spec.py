"""What a training run is made of, as typed values: a YAML spec holds these fields, the command line overrides them.

The docstring under a field is its help text.
"""

from dataclasses import dataclass, field
from typing import Literal

from unina.model import ModelSpec
from unina.train.distil_spec import DistilSpec
from unina.train.quantise_spec import QuantiseSpec
from unina.train.ranges import check_range

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class TrainSpec:
    """Length, optimiser and losses."""

    epochs: int = 100
    """passes over epoch_crops; a checkpoint and a row of metrics.csv after each"""

    epoch_crops: int = 800
    """crops an epoch, whatever the size of the data set, so that a run's length is known beforehand"""

    batch: int = 8
    """crops an optimiser step"""

    crop: int = 256
    """side of the square training crop, pixels; cut at about the scale at which the network sees the picture"""

    init_from: str = ""
    """checkpoint to start from: weights whose name and shape agree are taken, class rows by class name"""

    freeze: tuple[str, ...] = ()
    """parts of the model that stay as they are, their batch statistics too, such as [backbone]"""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """adamw learns several times more from a short run; sgd is the classic for hundreds of epochs (try lr 0.02)"""

    lr: float = 0.004
    """peak learning rate"""

    final_lr: float = 0.01
    """learning rate at the end of the cosine, as a fraction of lr"""

    warmup: float = 0.03
    """part of all steps in which the learning rate climbs from 0"""

    momentum: float = 0.9
    """Nesterov momentum of sgd, the first beta of adamw"""

    weight_decay: float = 0.05
    """on convolution weights only (sgd: try 0.0005); biases and normalisation are left alone"""

    clip: float = 10.0
    """largest gradient norm"""

    ema: float = 0.03
    """memory of the weight average, as a part of all steps; 0 deploys the last weights"""

    one_to_many_top: int = 10
    """anchors a target in the one-to-many head"""

    one_to_one_relax: float = 0.6
    """part of the run in which the one-to-one head's anchors a target fall from one_to_many_top to 1"""

    one_to_one_gradient: float = 0.0
    """part of the one-to-one head's gradient that reaches neck and backbone; 0 detaches it, as YOLOv10 does"""

    alpha: float = 0.5
    """exponent of the score in the one-to-many head's matching metric s^α · IoU^β (arXiv 2108.07755)"""

    beta: float = 6.0
    """exponent of the IoU in it"""

    one_to_one_alpha: float = 1.0
    """exponent of the score in the one-to-one head's metric: the higher, the truer it stays to an anchor once chosen"""

    one_to_one_beta: float = 2.0
    """exponent of the IoU in it"""

    class_gain: float = 0.5
    """weight of the class loss"""

    box_gain: float = 7.5
    """weight of the CIoU loss"""

    dfl_gain: float = 1.5
    """weight of the distribution focal loss"""

    sparsity: float = 0.0
    """weight of the L1 penalty on the gains of channels, before unina-prune (arXiv 1708.06519); try 1e-5 to 1e-3"""

    bf16: bool = True
    """bfloat16 convolutions (about 1.8 times faster on CPUs that have them)"""

    val_every: int = 0
    """epochs between two validations; the best weights are kept in best.pt; 0 validates at the end only"""

    tensorboard: bool = True
    """curves and pictures for `tensorboard --logdir RUN_DIR`"""

    device: Device = "auto"
    """auto takes CUDA where there is one"""

    threads: int = 0
    """CPU threads; 0 lets torch choose"""

    seed: int = 0
    """of the first weights and of every crop"""

    cache_mb: int = 4096
    """memory for decoded pictures; what does not fit is read again each time"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "freeze", tuple(self.freeze))  # YAML gives lists
        for name, low, high in (
            ("epochs", 1, 1e6),
            ("epoch_crops", 1, 1e9),
            ("batch", 1, 4096),
            ("crop", 32, 4096),
            ("lr", 1e-8, 10),
            ("final_lr", 0, 1),
            ("warmup", 0, 0.9),
            ("momentum", 0, 0.9999),
            ("weight_decay", 0, 1),
            ("clip", 1e-6, 1e9),
            ("ema", 0, 1),
            ("one_to_many_top", 1, 1000),
            ("one_to_one_relax", 0, 1),
            ("one_to_one_gradient", 0, 1),
            ("alpha", 0, 20),
            ("beta", 0, 20),
            ("one_to_one_alpha", 0, 20),
            ("one_to_one_beta", 0, 20),
            ("class_gain", 0, 1000),
            ("box_gain", 0, 1000),
            ("dfl_gain", 0, 1000),
            ("sparsity", 0, 1),
            ("val_every", 0, 1e6),
            ("threads", 0, 1024),
            ("seed", 0, 2**31),
            ("cache_mb", 0, 1e7),
        ):
            check_range(f"train.{name}", getattr(self, name), low, high)

    @property
    def epoch_steps(self) -> int:
        """Optimiser steps an epoch."""
        return -(-self.epoch_crops // self.batch)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.epoch_steps


@dataclass(frozen=True)
class AugmentSpec:
    """How a crop is varied; nothing here turns one cone colour into another."""

    focus: float = 0.8
    """part of the crops that are placed over a cone, its class drawn evenly; the others fall anywhere"""

    horizon: float = 0.5
    """part of the other crops that lie level with the cones, where the clutter is that looks like them"""

    balance: float | Literal["auto"] = 0.5
    """pictures are repeated for the sake of classes that stand in fewer than this part of them; auto: fewer than the
    commonest class; 0 takes all alike"""

    scale_min: float = 0.7
    """smallest zoom, drawn log-uniformly up to scale_max; at zoom 1 a cone is as large as the network will see it"""

    scale_max: float = 1.5
    """largest zoom"""

    stretch: float = 0.1
    """width over height is multiplied by 1 − this … 1 + this"""

    rotate: float = 3.0
    """largest rotation, degrees"""

    flip: float = 0.5
    """part of the crops that are mirrored"""

    mosaic: float = 0.0
    """part of the crops that are put together from four"""

    mosaic_close: float = 0.15
    """last part of the run without mosaics, so that it ends on pictures as they are"""

    paste: float = 0.0
    """part of the crops into which objects of other pictures are pasted, rare classes as often as common ones"""

    hue: float = 3.0
    """largest hue shift, degrees; orange and yellow cones lie about 30 degrees apart"""

    saturation: float = 0.4
    """saturation is multiplied by 1 − this … 1 + this"""

    value: float = 0.4
    """brightness is multiplied by 1 − this … 1 + this"""

    blur: float = 0.1
    """part of the crops that are blurred (motion or focus)"""

    noise: float = 0.2
    """part of the crops that get sensor noise"""

    jpeg: float = 0.0
    """part of the crops that are compressed as video stills are"""

    keep_visible: float = 0.4
    """a box cut by the crop's edge is kept when at least this part of its area remains, else ignored"""

    def __post_init__(self) -> None:
        for name in (
            *("focus", "horizon", "flip", "mosaic", "mosaic_close", "paste"),
            *("saturation", "value", "blur", "noise", "jpeg", "keep_visible"),
        ):
            check_range(f"augment.{name}", getattr(self, name), 0, 1)
        if self.balance != "auto":
            check_range("augment.balance", self.balance, 0, 1)
        check_range("augment.hue", self.hue, 0, 10)  # more would bring orange and yellow together
        check_range("augment.stretch", self.stretch, 0, 0.5)
        check_range("augment.rotate", self.rotate, 0, 15)  # boxes stay upright: more would loosen them
        check_range("augment.scale_min", self.scale_min, 0.1, 10)
        check_range("augment.scale_max", self.scale_max, self.scale_min, 10)


@dataclass(frozen=True)
class SourceSpec:
    """A split of a data set and what its classes mean to the model."""

    data: str
    """data set, as unina-data reads it: a data.yaml, COCO json, KITTI or Supervisely folder"""

    split: str = "train"
    """split of the data set"""

    share: float = 1.0
    """crops from this source, in proportion to the other sources' shares"""

    classes: dict[str, str] = field(default_factory=dict)
    """its class → the model's; "a|b" where its labels do not tell a from b, "ignore" or "drop"; else names agree"""

    def __post_init__(self) -> None:
        check_range("sources.share", self.share, 1e-6, 1e6)


@dataclass(frozen=True)
class RunSpec:
    """A whole training run."""

    data: str = ""
    """data set to train on (split train) and to validate on (split val); or give sources and validation"""

    sources: tuple[SourceSpec, ...] = ()
    """what to train on, mixed by share"""

    validation: SourceSpec | None = None
    """what to validate on"""

    classes: tuple[str, ...] = ()
    """the model's classes; default: those of the first data set"""

    model: ModelSpec = field(default_factory=ModelSpec)
    train: TrainSpec = field(default_factory=TrainSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)

    distil: DistilSpec | None = None
    """a larger detector that teaches this one"""

    quantise: QuantiseSpec | None = None
    """trains on in the integers of the device, from train.init_from"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))  # YAML gives lists
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.train.crop % self.model.strides[-1]:
            stride, level = self.model.strides[-1], self.model.levels[-1]
            raise ValueError(f"train.crop: {self.train.crop}: must be a multiple of {stride}, the stride of {level}")
        for name in sorted({name for name in self.classes if self.classes.count(name) > 1}):
            raise ValueError(f"classes: {name}: stands twice; no label could tell the two apart")
        if self.data and self.sources:
            raise ValueError(f"data: {self.data}: sources are given too; name it there")
        if self.quantise and not self.train.init_from:
            raise ValueError("quantise: needs train.init_from: the detector that was trained in float")
        if self.quantise and self.train.sparsity:
            raise ValueError(
                "train.sparsity: pulls at normalisations, which quantise has frozen; leave one of them out"
            )
        if self.validation and not self.sources:
            raise ValueError("validation: needs sources; with data, its split val validates")
