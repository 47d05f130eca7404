"""The published figures that the estimate rests on, as runs of rebuilt networks (published.csv names the sources)."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import networks

from unina.dla.network import Network
from unina.dla.platforms import PowerMode
from unina.dla.step import Plan
from unina.dla.steps import plan

CSV = Path(__file__).with_name("published.csv")
BUILD: Mapping[str, Callable[[], Network]] = {
    "ResNet-34 backbone": networks.resnet34_backbone,
    "SSD-ResNet-34": networks.ssd_resnet34,
    "ResNet-50": networks.resnet50,
    "RetinaNet ResNeXt-50": networks.retinanet_resnext50,
    "SSD-MobileNetV1": networks.ssd_mobilenet_v1,
    "YOLOv5s": networks.yolov5s,
}
ORDINARY = ("ResNet-34 backbone", "SSD-ResNet-34", "ResNet-50")
"""Networks of ordinary convolutions: what is fitted to."""
NVIDIA = "NVIDIA-measured"


@dataclass(frozen=True)
class Run:
    """One figure: a network in one power mode."""

    network: str
    mode: PowerMode
    precision: str
    """as published.csv has it: "int8", "int8 sparse", or which layers were FP16"""
    batch: int
    ms: float
    """of one image on one DLA"""
    kind: str


def rows() -> list[dict[str, str]]:
    """All rows of published.csv."""
    with CSV.open(newline="") as file:
        return list(csv.DictReader(file))


@lru_cache(maxsize=1)
def runs() -> tuple[Run, ...]:
    """Every throughput or latency of a whole network; of two DLAs that share the images, each takes twice the time."""
    found = []
    for row in rows():
        if row["quantity"] not in {"images_per_second", "batch_ms"}:
            continue
        value, batch, cores = float(row["value"]), int(row["batch"]), int(row["cores"])
        ms = value / batch if row["quantity"] == "batch_ms" else 1000 * cores / value
        mode = PowerMode(row["power_mode"] or row["platform"], float(row["clock_mhz"]), float(row["emc_mhz"]))
        found.append(Run(row["network"], mode, row["precision"], batch, ms, row["kind"]))
    return tuple(found)


def measured(network: str, precision: str = "int8", kind: str = NVIDIA) -> tuple[Run, ...]:
    """The runs of one network."""
    return tuple(run for run in runs() if (run.network, run.precision, run.kind) == (network, precision, kind))


@lru_cache(maxsize=8)
def steps(network: str) -> Plan:
    """What the DLA does for one image of it."""
    return plan(BUILD[network]())


def predictors(network: str) -> tuple[str, ...]:
    """YOLOv5s: the three last convolutions, which were published in FP16."""
    return tuple(step.name for step in steps(network).steps if step.convolution and step.convolution.outputs == 255)
