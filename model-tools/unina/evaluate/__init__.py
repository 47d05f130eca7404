"""Accuracy: one letterbox, one decoder and one metric for every stage from torch to the integer engine."""

from unina.evaluate.raw_maps import HostMaps, OnnxMaps, host_maps, onnx_maps
from unina.evaluate.score import Metrics, score
from unina.evaluate.stages import Head, HostStage, OnnxStage, Stage, TorchStage, centred, evaluate, run_stage

__all__ = [
    "Head",
    "HostMaps",
    "HostStage",
    "Metrics",
    "OnnxMaps",
    "OnnxStage",
    "Stage",
    "TorchStage",
    "centred",
    "evaluate",
    "host_maps",
    "onnx_maps",
    "run_stage",
    "score",
]
