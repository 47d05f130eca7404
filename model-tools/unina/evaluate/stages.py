"""The stages a detector passes through, each as `image → Detections` behind one preprocessing and one decoder.

A drop of accuracy between two stages is therefore the network's, never the letterbox's or the decoder's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch

from unina.data import Sample, read_image
from unina.evaluate.arithmetic import OWN, Arithmetic
from unina.evaluate.classes import Groups
from unina.evaluate.raw_maps import FloatMaps, HostMaps, Limits, OnnxMaps, dequantised, int8_limits
from unina.evaluate.score import MAX_DETECTIONS, Metrics, score
from unina.evaluate.tinygrad_maps import TinygradMaps
from unina.model import Detector
from unina_runtime import Detections, decode, letterbox

Image = npt.NDArray[np.uint8]
Stage = Callable[[Image], Detections]
SCORE_FLOOR = 0.005
"""Scores below this are not decoded for scoring: they lie past the useful part of the precision-recall curve."""


@dataclass(frozen=True)
class Head:
    """What turns raw maps into detections."""

    output_names: tuple[str, ...]
    """class and box map of the finest level, then of the next, …"""
    strides: tuple[int, ...]
    reg_max: int
    height: int
    """of the network's input, pixels"""
    width: int
    classes: int
    letterbox_value: int = 128
    color: Literal["rgb", "bgr"] = "rgb"

    @classmethod
    def of_deployed(cls, deployed: Any) -> "Head":
        """From a `unina.model.DeployedDetector`."""
        return cls(
            tuple(deployed.output_names),
            tuple(deployed.strides),
            deployed.reg_max,
            deployed.spec.input_height,
            deployed.spec.input_width,
            len(deployed.classes),
        )

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> "Head":
        """From a bundle's manifest (docs/bundle.md). Raises ValueError for that of a network that detects nothing."""
        if "decode" in manifest:
            raise ValueError(f"its network detects nothing, its decode is {manifest['decode']}")
        levels, network_input = manifest["levels"], manifest["input"]
        return cls(
            tuple(level[kind] for level in levels for kind in ("class", "box")),
            tuple(level["stride"] for level in levels),
            manifest["reg_max"],
            network_input["height"],
            network_input["width"],
            len(manifest["classes"]),
            network_input["letterbox_value"],
            network_input["color"],
        )

    def pixels(self, image: Image) -> tuple[Image, Any]:
        """Letterboxes a BGR picture: uint8 H×W×3 in the network's colour order, and the placement."""
        return letterbox(image, self.height, self.width, value=self.letterbox_value, color=self.color)

    def detections(
        self,
        maps: Mapping[str, npt.NDArray[Any]],
        placement: Any,
        scales: Mapping[str, float] | None = None,
        thresholds: Sequence[float] | None = None,
    ) -> Detections:
        """Decodes maps of shape 1×C×h×w, float, or int8 with their scales; `thresholds`: one score a class."""
        classes, boxes = self.output_names[0::2], self.output_names[1::2]
        known = scales or {}  # a float map needs none, whatever the others are
        pairs = [(known.get(c, 1.0), known.get(b, 1.0)) for c, b in zip(classes, boxes, strict=True)]
        return decode(
            [maps[name][0] for name in classes],
            [maps[name][0] for name in boxes],
            strides=list(self.strides),
            reg_max=self.reg_max,
            thresholds=list(thresholds) if thresholds is not None else [SCORE_FLOOR] * self.classes,
            max_detections=MAX_DETECTIONS,
            scales=None if scales is None else pairs,
            placement=placement,
        )


@dataclass(frozen=True, eq=False)
class Observation:
    """What a stage makes of one picture."""

    detections: Detections
    maps: FloatMaps | None = None
    """the raw maps behind them, real values, 1×C×h×w by name; None: only the detections are known"""
    limits: Limits = field(default_factory=dict)
    """what the maps can hold, where they are integers"""


class NetworkStage(ABC):
    """A form of the network that can be asked for its raw maps as well."""

    @abstractmethod
    def observe(self, image: Image) -> Observation:
        """image: uint8 H×W×3 BGR."""

    def __call__(self, image: Image) -> Detections:
        """The detections alone."""
        return self.observe(image).detections


class TorchStage(NetworkStage):
    """A torch module in float32 that returns the maps of `Head.output_names`: a deployed one, or `TrainingForm`."""

    def __init__(self, module: torch.nn.Module, head: Head | None = None) -> None:
        self._module = module.eval()
        self._head = head or Head.of_deployed(module)

    def observe(self, image: Image) -> Observation:
        """image: uint8 H×W×3 BGR."""
        pixels, placement = self._head.pixels(image)
        with torch.inference_mode():
            maps = self._module(torch.from_numpy(centred(pixels)))
        named = {name: m.float().numpy() for name, m in zip(self._head.output_names, maps, strict=True)}
        return Observation(self._head.detections(named, placement), named)


class TrainingForm(torch.nn.Module):
    """The detector as it was trained, every branch of its blocks apart, with the one-to-one head's maps as output."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self._model = model

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """x: N×3×H×W, pixel − 128. Returns class and box map of the finest level, then of the next, …"""
        return tuple(tensor for level in self._model(x).one_to_one for tensor in level)


class OnnxStage(NetworkStage):
    """An ONNX file, plain or with Q/DQ, on ONNX Runtime (which runs Q/DQ partly in float)."""

    def __init__(self, model: onnx.ModelProto | Path | bytes, head: Head) -> None:
        maps = OnnxMaps(model)
        self._maps: OnnxMaps | TinygradMaps = maps
        self._head, self._limits = head, maps.limits

    def observe(self, image: Image) -> Observation:
        """image: uint8 H×W×3 BGR."""
        pixels, placement = self._head.pixels(image)
        maps = self._maps(centred(pixels))
        return Observation(self._head.detections(maps, placement), maps, self._limits)


class TinygradStage(OnnxStage):
    """An ONNX file in float on tinygrad's CPU backend."""

    def __init__(self, model: onnx.ModelProto | Path | bytes, head: Head) -> None:
        self._maps = TinygradMaps(model)
        self._head, self._limits = head, {}


class HostStage(NetworkStage):
    """The integer host engine on a `host.loadable`."""

    def __init__(self, loadable: Path | bytes, head: Head, arithmetic: Arithmetic = OWN) -> None:
        self._maps = HostMaps(loadable, arithmetic)
        self._head = head

    def observe(self, image: Image) -> Observation:
        """image: uint8 H×W×3 BGR; the maps come back dequantised, real = scale · int8."""
        pixels, placement = self._head.pixels(image)
        maps = self._maps(centred_int8(pixels))
        detections = self._head.detections(maps, placement, self._maps.scales)
        return Observation(detections, dequantised(maps, self._maps.scales), int8_limits(self._maps.scales))


def centred(pixels: Image) -> npt.NDArray[np.float32]:
    """uint8 H×W×3 → float32 1×3×H×W, pixel − 128: what every float stage takes."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32) - np.float32(128)


def centred_int8(pixels: Image) -> npt.NDArray[np.int8]:
    """uint8 H×W×3 → int8 1×3×H×W, pixel − 128: what the integer engine and the DLA take."""
    q = (pixels ^ np.uint8(128)).view(np.int8)  # pixel − 128 without leaving eight bits
    return np.ascontiguousarray(q.transpose(2, 0, 1)[None])


def run_stage(stage: Stage, samples: Iterable[Sample], advance: Callable[[], None] = lambda: None) -> list[Detections]:
    """The stage's detections on every sample, in order; `advance` is called after each.

    Raises DataError for an unreadable picture.
    """
    found = []
    for sample in samples:
        found.append(stage(read_image(sample.image)))
        advance()
    return found


def evaluate(stage: Stage, samples: Sequence[Sample], names: Sequence[str], groups: Groups = ()) -> Metrics:
    """Runs and scores one stage; `names` and `groups` are the data set's."""
    return score(samples, run_stage(stage, samples), names, groups)
