"""Accuracy: one letterbox, one decoder and one metric for every stage from torch to the integer engine."""

from unina.evaluate.classes import ClassMap, map_classes
from unina.evaluate.raw_maps import HostMaps, OnnxMaps, host_maps, onnx_maps
from unina.evaluate.score import Metrics, score, score_as
from unina.evaluate.stages import Head, HostStage, OnnxStage, Stage, TorchStage, centred, evaluate, run_stage
from unina.evaluate.thresholds import best_thresholds

__all__ = [
    "ClassMap",
    "Head",
    "HostMaps",
    "HostStage",
    "Metrics",
    "OnnxMaps",
    "OnnxStage",
    "Stage",
    "TorchStage",
    "best_thresholds",
    "centred",
    "evaluate",
    "host_maps",
    "map_classes",
    "onnx_maps",
    "run_stage",
    "score",
    "score_as",
]
