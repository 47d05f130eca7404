"""The keys of DeepStream's configuration files and their legal values.

From NVIDIA's DeepStream developer guide: the tables of "Gst-nvinfer" (groups property, class-attrs-*) and of
"DeepStream Reference Application". Only keys that a detector on full frames can have; deprecated ones are left out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

Values = Callable[[str], bool]


@dataclass(frozen=True)
class Key:
    """How the application reads it, and what it may be."""

    kind: str
    """integer, double, string, strings, doubles"""
    legal: Values = lambda _: True


def one_of(*values: int) -> Key:
    return Key("integer", lambda text: int(text) in values)


def between(least: float, most: float, kind: str = "double") -> Key:
    return Key(kind, lambda text: least <= float(text) <= most)


def at_least(least: int) -> Key:
    return between(least, 2**31 - 1, "integer")


def matching(pattern: str, kind: str = "string") -> Key:
    return Key(kind, lambda text: re.fullmatch(pattern, text) is not None)


SWITCH, COUNT, POSITIVE, TEXT = one_of(0, 1), at_least(0), at_least(1), matching(r".+")
PROPERTY = {
    "gpu-id": COUNT,
    "gie-unique-id": POSITIVE,
    "process-mode": one_of(1, 2),
    "network-type": one_of(0, 1, 2, 3, 100),
    "onnx-file": TEXT,
    "model-engine-file": TEXT,
    "int8-calib-file": TEXT,
    "network-mode": one_of(0, 1, 2),
    "batch-size": POSITIVE,
    "interval": COUNT,
    "enable-dla": SWITCH,
    "use-dla-core": one_of(0, 1),
    "layer-device-precision": matching(r"[^:;]+:(fp32|fp16|int32|int8):(gpu|dla)", "strings"),
    "output-io-formats": matching(r"[^:;]+:(fp32|fp16|int32|int8):(chw|chw2|hwc8|chw4|chw16|chw32)", "strings"),
    "workspace-size": COUNT,
    "net-scale-factor": Key("double", lambda text: float(text) > 0),
    "offsets": matching(r"-?[0-9.]+", "doubles"),
    "mean-file": TEXT,
    "model-color-format": one_of(0, 1, 2),
    "maintain-aspect-ratio": SWITCH,
    "symmetric-padding": SWITCH,
    "scaling-filter": one_of(0, 1, 2, 3, 4, 5, 6),
    "scaling-compute-hw": one_of(0, 1, 2),
    "infer-dims": matching(r"[0-9]+", "strings"),
    "network-input-order": one_of(0, 1),
    "output-blob-names": matching(r"[^;\s]+", "strings"),
    "num-detected-classes": POSITIVE,
    "labelfile-path": TEXT,
    "custom-lib-path": TEXT,
    "parse-bbox-func-name": matching(r"[A-Za-z_]\w*"),
    "cluster-mode": one_of(0, 1, 2, 3, 4),
    "filter-out-class-ids": matching(r"[0-9]+", "strings"),
    "output-tensor-meta": SWITCH,
}
CLASS_ATTRIBUTES = {
    "pre-cluster-threshold": between(0, 1),
    "post-cluster-threshold": between(0, 1),
    "nms-iou-threshold": between(0, 1),
    "topk": COUNT,
    "eps": between(0, 1),
    "minBoxes": COUNT,
    "dbscan-min-score": between(0, 1000),
    "group-threshold": COUNT,
    "roi-top-offset": COUNT,
    "roi-bottom-offset": COUNT,
    "detected-min-w": COUNT,
    "detected-min-h": COUNT,
    "detected-max-w": COUNT,
    "detected-max-h": COUNT,
}
APPLICATION = {
    "application": {
        "enable-perf-measurement": SWITCH,
        "perf-measurement-interval-sec": POSITIVE,
        "gie-kitti-output-dir": TEXT,
    },
    "source": {
        "enable": SWITCH,
        "type": one_of(1, 2, 3, 4, 5),
        "uri": matching(r"(file|rtsp|http)s?://.+"),
        "num-sources": POSITIVE,
        "gpu-id": COUNT,
        "camera-width": POSITIVE,
        "camera-height": POSITIVE,
        "camera-fps-n": POSITIVE,
        "camera-fps-d": POSITIVE,
        "camera-v4l2-dev-node": COUNT,
        "camera-csi-sensor-id": COUNT,
    },
    "streammux": {
        "gpu-id": COUNT,
        "live-source": SWITCH,
        "batch-size": POSITIVE,
        "batched-push-timeout": at_least(-1),
        "width": POSITIVE,
        "height": POSITIVE,
        "enable-padding": SWITCH,
    },
    "primary-gie": {
        "enable": SWITCH,
        "gpu-id": COUNT,
        "gie-unique-id": POSITIVE,
        "batch-size": POSITIVE,
        "interval": COUNT,
        "config-file": TEXT,
        "model-engine-file": TEXT,
        "labelfile-path": TEXT,
    },
    "osd": {"enable": SWITCH, "gpu-id": COUNT, "border-width": POSITIVE, "text-size": POSITIVE},
    "sink": {
        "enable": SWITCH,
        "type": one_of(1, 2, 3, 4, 5, 6),
        "sync": SWITCH,
        "container": one_of(1, 2),
        "codec": one_of(1, 2),
        "enc-type": one_of(0, 1),
        "bitrate": POSITIVE,
        "output-file": TEXT,
    },
}


def keys_of(group: str, *, application: bool) -> dict[str, Key]:
    """The documented keys of a group. Raises KeyError for a group that is not."""
    if application:
        return APPLICATION[re.sub(r"\d+$", "", group)]
    if group == "property":
        return PROPERTY
    if re.fullmatch(r"class-attrs-(all|\d+)", group):
        return CLASS_ATTRIBUTES
    raise KeyError(group)
