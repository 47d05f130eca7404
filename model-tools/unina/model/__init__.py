"""The detector: RepVGG-style backbone, Rep-PAN, one-to-many and one-to-one heads."""

from unina.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from unina.model.deploy import DeployedDetector
from unina.model.detector import Detector, DetectorMaps
from unina.model.spec import ModelSpec

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "DeployedDetector",
    "Detector",
    "DetectorMaps",
    "ModelSpec",
    "load_checkpoint",
    "save_checkpoint",
]
