"""Detectors of other people to train beside ours: random first weights, their authors' settings, our batches.

Both are Apache-2.0 and built from `transformers`' classes (Apache-2.0) without a download: D-FINE nano (arXiv
2410.13842) and RT-DETR with an R18 backbone (arXiv 2304.08069). Sizes and optimiser are those of the authors' published
configurations `dfine_hgnetv2_n_coco` and `rtdetr_r18vd_6x_coco`.
"""

import importlib
import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from unina.evaluate.score import MAX_DETECTIONS
from unina.evaluate.stages import SCORE_FLOOR, Image
from unina.train.assigner import Targets
from unina.train.ema import WeightAverage
from unina.train.loader import Batch
from unina.train.schedule import lr_at
from unina.train.spec import TrainSpec
from unina_runtime import Detections, Placement, letterbox

NEEDED = ("transformers", "scipy")
"""What the extra `bench` installs for a peer; scipy solves the Hungarian matching of its loss."""
QUERIES = 300
"""Of both peers; a crop with fewer cells has fewer."""
PRIOR = 0.01
"""Score of every class before training, as the authors' code sets it; the library's default, 1 / (classes + 1), makes
the first losses a hundred times larger."""


class PeerError(RuntimeError):
    """A peer that can't be built; the message says what to install."""


@dataclass(frozen=True)
class Recipe:
    """How a peer's authors train it."""

    name: str
    lr: float
    """peak learning rate, at batches of `batch`"""
    batch: int
    backbone: float
    """learning rate of the backbone, as a part of lr; the authors' backbones come pre-trained"""
    strides: tuple[int, ...]
    """of the feature maps that the decoder looks at"""
    weight_decay: float = 1e-4
    """on kernels only"""
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 0.1
    """largest gradient norm"""

    def lr_for(self, batch: int) -> float:
        """The learning rate for other batches: Adam's goes with the root of the batch (arXiv 2205.10287)."""
        return self.lr * math.sqrt(batch / self.batch)


RECIPES = {
    "dfine-n": Recipe("D-FINE-N", lr=8e-4, batch=128, backbone=0.5, strides=(16, 32)),
    "rtdetr-r18": Recipe("RT-DETR-R18", lr=1e-4, batch=16, backbone=0.1, strides=(8, 16, 32)),
}


def require() -> Any:
    """The module `transformers`, told to stay offline and to count nothing.

    Raises:
        PeerError: it or scipy is not installed.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise PeerError(f"{' and '.join(missing)}: not installed; pip install 'unina-model-tools[bench]'")
    for switch in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):  # read once, when it is imported
        os.environ[switch] = "1"
    return importlib.import_module("transformers")


def build(kind: str, classes: int, crop: int) -> nn.Module:
    """A peer with random weights for square training crops of side `crop`; reads no file and no network.

    Raises:
        PeerError: what it needs is not installed, or too old to have it.
    """
    library = require()
    cells = sum((crop // stride) ** 2 for stride in RECIPES[kind].strides)
    shared = {
        "num_labels": classes,
        "num_queries": min(QUERIES, cells),
        "decoder_layers": 3,
        "initializer_bias_prior_prob": PRIOR,
        "freeze_backbone_batch_norms": False,
    }
    try:
        model: nn.Module = {"dfine-n": dfine_nano, "rtdetr-r18": rtdetr_r18}[kind](library, shared)
    except (AttributeError, TypeError) as error:
        raise PeerError(
            f"transformers {library.__version__}: {error}; pip install -U 'unina-model-tools[bench]'"
        ) from error
    begin_as_torch_does(model)
    return model


def dfine_nano(library: Any, shared: dict[str, Any]) -> nn.Module:
    """D-FINE-N: HGNetV2-B0, levels P4 and P5, width 128."""
    backbone = library.HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        stage_kernel_size=[3, 3, 5, 5],
        stage_light_block=[False, False, True, True],
        use_learnable_affine_block=True,
        hidden_sizes=[64, 256, 512, 1024],
        depths=[1, 1, 2, 1],
        out_features=["stage3", "stage4"],
    )
    config = library.DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[512, 1024],
        feat_strides=[16, 32],
        encoder_hidden_dim=128,
        encoder_ffn_dim=512,
        encode_proj_layers=[1],
        hidden_expansion=0.34,
        depth_mult=0.5,
        d_model=128,
        decoder_in_channels=[128, 128],
        decoder_ffn_dim=512,
        num_feature_levels=2,
        decoder_n_points=[6, 6],
        **shared,
    )
    return cast(nn.Module, library.DFineForObjectDetection(config))


def rtdetr_r18(library: Any, shared: dict[str, Any]) -> nn.Module:
    """RT-DETR-R18: ResNet-18-D, levels P3 to P5, width 256."""
    backbone = library.RTDetrResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = library.RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        use_pretrained_backbone=False,
        backbone=None,
        use_timm_backbone=False,
        **shared,
    )
    return cast(nn.Module, library.RTDetrForObjectDetection(config))


@torch.no_grad()
def begin_as_torch_does(model: nn.Module) -> None:
    """Draws generic layers anew by torch's rules, as they stand in the authors' code.

    `transformers` expects weights from a file: it starts kernels at a standard deviation of 0.01 and RT-DETR's batch
    normalisation near 0, from which nothing trains. What it sets on purpose (a bias, or weights of 0) stays.
    """
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            continue
        chosen = module.bias is not None and bool(module.bias.any())
        if not chosen and bool(module.weight.any()):
            module.reset_parameters()
        if "enc_bbox_head.layers.2" in name:  # boxes begin at their anchors
            module.weight.zero_()
            cast(Tensor, module.bias).zero_()


class Bfloat16(nn.Module):
    """A part of a peer that computes in bfloat16 while it trains, and hands on float32.

    For backbone and encoder, whose work is convolutions. In the decoder it would round coordinates to a 256th of the
    picture, 2.5 px of 640.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """As the inner module's: pairs (map, mask), or an output whose `last_hidden_state` is a list of maps."""
        device = next(self.inner.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.training):
            result = self.inner(*arguments, **named)
        if isinstance(result, list):
            return [(features.float(), mask) for features, mask in result]
        result.last_hidden_state = [features.float() for features in result.last_hidden_state]
        return result


class Peer:
    """A peer in training: steps on our batches, an average of its weights."""

    def __init__(
        self,
        kind: str,
        classes: int,
        groups: Sequence[Sequence[int]],
        spec: TrainSpec,
        device: torch.device,
        lr: float | None = None,
    ) -> None:
        """`groups`: what target classes past the last mean, "one of these" each; `lr`: peak learning rate, else that
        of the authors for this batch. Raises PeerError."""
        self.recipe, self.spec, self.groups, self.classes = RECIPES[kind], spec, groups, classes
        torch.manual_seed(spec.seed)
        model: Any = build(kind, classes, spec.crop)
        if spec.bf16:
            model.model.backbone, model.model.encoder = Bfloat16(model.model.backbone), Bfloat16(model.model.encoder)
        self.model = model.to(device).train()
        self.average = WeightAverage(self.model, spec.steps, spec.ema)
        self.lr = self.recipe.lr_for(spec.batch) if lr is None else lr
        self.optimizer = torch.optim.AdamW(self.parameter_groups(), lr=self.lr, betas=self.recipe.betas)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Backbone and rest, each with weight decay on kernels and without; `scale` is the part of the peak rate."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(("backbone" in name, parameter.ndim > 1), []).append(parameter)
        recipe = self.recipe
        return [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if kernels else 0.0,
                "scale": recipe.backbone if backbone else 1.0,
            }
            for (backbone, kernels), parameters in groups.items()
        ]

    def train_step(self, batch: Batch, step: int) -> float:
        """Optimiser step number `step` on a batch on the peer's device; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * self.lr * lr_at(step, self.spec) / self.spec.lr
        labels = labels_of(batch.targets, batch.x.shape[0], batch.x.shape[2], self.classes, self.groups)
        loss: Tensor = self.model(pixel_values=(batch.x + 128) / 255, labels=labels).loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.average.update(self.model)
        return float(loss.detach())


class PeerStage:
    """The averaged peer in float32 behind our letterbox: picture → Detections, as every stage of `unina.evaluate`."""

    def __init__(self, model: nn.Module, height: int, width: int, device: torch.device) -> None:
        self.model, self.height, self.width, self.device = model.eval(), height, width, device

    def __call__(self, image: Image) -> Detections:
        pixels, placement = letterbox(image, self.height, self.width, value=128, color="rgb")
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])).to(self.device).float() / 255
        with torch.inference_mode():
            found = self.model(pixel_values=x)
        logits, boxes = found.logits[0].float().cpu().numpy(), found.pred_boxes[0].float().cpu().numpy()
        return detections_of(logits, boxes, placement, self.height, self.width)


def labels_of(
    targets: Targets, images: int, size: int, classes: int, groups: Sequence[Sequence[int]]
) -> list[dict[str, Tensor]]:
    """The labels of N crops of side `size` as DETR-likes take them: one dictionary a crop.

    `boxes`: T×4, centre, width and height as parts of the side; `class_labels`: T. A label that means "one of a group"
    becomes the group's first class, since the group is scored as one. Ignored regions have no counterpart.
    """
    table = torch.tensor([*range(classes), *(group[0] for group in groups)], device=targets.classes.device)
    corners = targets.boxes / size
    boxes = torch.cat(((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]), dim=1)
    plain = table[targets.classes]
    chosen = [targets.images == image for image in range(images)]
    return [{"class_labels": plain[mine], "boxes": boxes[mine]} for mine in chosen]


def detections_of(
    logits: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32], placement: Placement, height: int, width: int
) -> Detections:
    """Detections in source pixels from Q×classes logits and Q×4 boxes (centre and size, parts of the input).

    Every pair of query and class counts by its sigmoid, the best first: RT-DETR's post-processing, with the limits on
    number and score that our own detections have.
    """
    scores = (1 / (1 + np.exp(-logits.astype(np.float64)))).ravel()
    order = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
    order = order[scores[order] >= SCORE_FLOOR]
    query, label = np.divmod(order, logits.shape[1])
    centre, half = boxes[query, :2], boxes[query, 2:] / 2
    corners = np.concatenate((centre - half, centre + half), axis=1) * np.array([width, height] * 2, np.float32)
    placed = placement.to_source(np.ascontiguousarray(corners, np.float32))
    return Detections(placed, scores[order].astype(np.float32), label.astype(np.int32))
