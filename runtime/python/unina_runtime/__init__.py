"""Runs UNINA detector bundles; a thin face over libunina.

There is one letterbox, one engine and one decoder, in C++: what Python trains, calibrates and scores with is what
the device runs.
"""

from unina_runtime._unina import HostEngine, Placement, UninaError
from unina_runtime.bundle import Bundle
from unina_runtime.decode import decode
from unina_runtime.detection_ring import DetectionRing, RingMessage
from unina_runtime.detections import Detections
from unina_runtime.detector import Detector
from unina_runtime.letterbox import letterbox
from unina_runtime.network import Network
from unina_runtime.picture import Picture, PixelFormat

__all__ = [
    "Bundle",
    "DetectionRing",
    "Detections",
    "Detector",
    "HostEngine",
    "Network",
    "Picture",
    "PixelFormat",
    "Placement",
    "RingMessage",
    "UninaError",
    "decode",
    "letterbox",
]
