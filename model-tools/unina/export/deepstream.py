"""What DeepStream needs of a bundle: a folder with the network, its scales and configurations (docs/deepstream.md).

Keys and values are those of "Gst-nvinfer" and of "DeepStream Reference Application" in NVIDIA's DeepStream developer
guide. nvinfer saves the engine that it builds beside the ONNX file: so the file is copied, for a bundle holds nothing
that its manifest does not name, and bears a digest, so that no engine of another bundle is taken for this one's.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unina.dla.tensorrt import TensorRt
from unina.dla.trtexec import layer_names
from unina.export.manifest import labels

Device = Literal["dla0", "gpu0"]

PARSER_LIBRARY = "libnvdsinfer_unina.so"
PARSER_FUNCTION = "NvDsInferParseCustomUnina"
INFER_FILES: dict[Device, str] = {"dla0": "config_infer_primary.txt", "gpu0": "config_infer_primary_gpu.txt"}
APP_FILE, LABELS_FILE, CACHE_FILE = "deepstream_app.txt", "labels.txt", "calibration.cache"
MOST_DETECTIONS = 300
"""that the parser gives of one picture (runtime/deepstream/network_maps.cpp)"""
SIDES = 4
SAMPLE_VIDEO = "file:///opt/nvidia/deepstream/deepstream/samples/streams/sample_1080p_h264.mp4"

Group = Mapping[str, str | int | float]


@dataclass(frozen=True)
class DeepStreamBundle:
    """What of a bundle goes into the folder."""

    manifest: Mapping[str, Any]
    manifest_bytes: bytes
    model: bytes
    cache: bytes
    layer_precisions: str
    """the content of layer_precisions.txt, or nothing"""

    @property
    def model_file(self) -> str:
        """Name of the ONNX file in the folder, another one for every export."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", str(self.manifest["name"])).lstrip(".-") or "model"
        return f"{name}-{hashlib.sha256(self.manifest_bytes).hexdigest()[:8]}.onnx"

    def engine_file(self, device: Device) -> str:
        """The name under which nvinfer saves what it has built, and finds it at the next start."""
        return f"{self.model_file}_b1_{device}_int8.engine"


def deepstream_files(bundle: DeepStreamBundle, tensorrt: TensorRt, nms_iou: float | None = None) -> dict[str, bytes]:
    """Content by file name.

    Args:
        tensorrt: that will build the engine; it stands in the cache's first line.
        nms_iou: of a class-wise non-maximum suppression by nvinfer, for networks that find an object several times;
            None: none, as heads that find every object once have it.

    Raises:
        ValueError: not a detector that the parser can decode, names that the key file cannot hold, or a TensorRT that
            reads no calibration cache.
    """
    _require_decodable(bundle.manifest)
    if tensorrt.strongly_typed:
        raise ValueError(f"TensorRT {tensorrt} reads no calibration cache, and nvinfer has no other way to INT8 here")
    names = labels(bundle.manifest["classes"])
    if b";" in names:
        raise ValueError("a class name with a semicolon: DeepStream ends names in labels.txt there; rename the class")
    files = {bundle.model_file: bundle.model, CACHE_FILE: _cache(bundle.cache, tensorrt), LABELS_FILE: names}
    for device, name in INFER_FILES.items():
        files[name] = _infer_file(bundle, device, nms_iou).encode()
    files[APP_FILE] = _app_file().encode()
    return files


def _require_decodable(manifest: Mapping[str, Any]) -> None:
    """Raises ValueError unless the parser can tell this network's maps from their shapes (or from our names)."""
    name = manifest["name"]
    if "decode" in manifest:
        raise ValueError(
            f"{name}: its decode is {manifest['decode']}, and DeepStream's parser decodes detectors: class maps and "
            "box maps as docs/bundle.md has them. Of a network with such maps, --from-onnx --level makes one"
        )
    if manifest["max_detections"] > MOST_DETECTIONS:
        raise ValueError(f"{name}: max_detections is {manifest['max_detections']}, the parser gives {MOST_DETECTIONS}")
    told_by_name = all(one["class"].endswith("_class") and one["box"].endswith("_box") for one in manifest["levels"])
    if len(manifest["classes"]) == SIDES * manifest["reg_max"] and not told_by_name:
        raise ValueError(
            f"{name}: class maps and box maps have {len(manifest['classes'])} channels each, and only names that end "
            "in _class and _box would tell them apart; rename the outputs of the ONNX file"
        )
    for tensor in manifest["tensors"]:
        _listable(tensor["name"])


def _listable(name: str) -> str:
    """The name, if it can stand in a list of a key file. Raises ValueError."""
    if not re.fullmatch(r"[!-~]+", name) or re.search(r"[;:\\]", name):
        raise ValueError(f"{name!r}: DeepStream's configuration cannot hold this name; rename it in the ONNX file")
    return name


def _cache(cache: bytes, tensorrt: TensorRt) -> bytes:
    """The calibration cache with the first line that this TensorRT wants."""
    _, _, scales = cache.partition(b"\n")
    return f"TRT-{tensorrt.cache_number}-EntropyCalibration2\n".encode() + scales


def _infer_file(bundle: DeepStreamBundle, device: Device, nms_iou: float | None) -> str:
    manifest = bundle.manifest
    picture = manifest["input"]
    network: dict[str, str | int | float] = {
        "gpu-id": 0,
        "gie-unique-id": 1,
        "process-mode": 1,
        "network-type": 0,
        "onnx-file": bundle.model_file,
        "model-engine-file": bundle.engine_file(device),
        "int8-calib-file": CACHE_FILE,
        "network-mode": 1,
        "batch-size": 1,
        **({"enable-dla": 1, "use-dla-core": 0} if device == "dla0" else {}),
        **_layer_precisions(bundle.layer_precisions, device),
        "net-scale-factor": float(picture["scale"]),
        "offsets": ";".join([f"{float(picture['offset']):.9g}"] * 3),
        "model-color-format": {"rgb": 0, "bgr": 1}[picture["color"]],
        "maintain-aspect-ratio": 1,
        "symmetric-padding": 1,
        "scaling-filter": 1,
        "output-blob-names": ";".join(name for one in manifest["levels"] for name in (one["class"], one["box"])),
        "num-detected-classes": len(manifest["classes"]),
        "labelfile-path": LABELS_FILE,
        "custom-lib-path": PARSER_LIBRARY,
        "parse-bbox-func-name": PARSER_FUNCTION,
        "cluster-mode": 4 if nms_iou is None else 2,
    }
    every: dict[str, str | int | float] = {"topk": manifest["max_detections"]}
    if nms_iou is not None:
        every["nms-iou-threshold"] = nms_iou
    groups: dict[str, Group] = {"property": network, "class-attrs-all": every}
    for number, threshold in enumerate(manifest["thresholds"]):
        groups[f"class-attrs-{number}"] = {"pre-cluster-threshold": float(threshold)}
    where = "DLA core 0" if device == "dla0" else "the GPU"
    return _key_file(
        [
            f"Gst-nvinfer: {manifest['name']} in INT8 on {where}. Written by unina-export deepstream; "
            "docs/deepstream.md says why each",
            f"line is as it is, and what differs from unina-detector. {PARSER_LIBRARY} is expected beside this file.",
        ],
        groups,
    )


def _layer_precisions(text: str, device: Device) -> dict[str, str]:
    """What keeps the promoted convolutions in FP16."""
    promoted = layer_names(text)
    if not promoted:
        return {}
    return {"layer-device-precision": ";".join(f"{_listable(name)}:fp16:{device[:3]}" for name in promoted)}


def _app_file() -> str:
    """For one camera or file, without a display: frames per second on the terminal."""
    groups: dict[str, Group] = {
        "application": {"enable-perf-measurement": 1, "perf-measurement-interval-sec": 5},
        "source0": {"enable": 1, "type": 3, "uri": SAMPLE_VIDEO, "num-sources": 1, "gpu-id": 0},
        "streammux": {
            "gpu-id": 0,
            "live-source": 0,
            "batch-size": 1,
            "batched-push-timeout": 40000,
            "width": 1920,
            "height": 1080,
        },
        "primary-gie": {
            "enable": 1,
            "gpu-id": 0,
            "gie-unique-id": 1,
            "batch-size": 1,
            "config-file": INFER_FILES["dla0"],
        },
        "osd": {"enable": 1, "gpu-id": 0, "border-width": 2, "text-size": 12},
        "sink0": {"enable": 1, "type": 1, "sync": 0},
        "sink1": {
            "enable": 0,
            "type": 3,
            "container": 1,
            "codec": 1,
            "enc-type": 0,
            "bitrate": 8000000,
            "output-file": "found.mp4",
            "sync": 0,
        },
    }
    return _key_file(
        [
            "deepstream-app -c deepstream_app.txt: detections of a file, its frames per second on the terminal.",
            "streammux: width and height of the camera. sink1: enable=1 writes found.mp4 with the boxes drawn in.",
            f"primary-gie: {INFER_FILES['gpu0']} runs the same on the GPU.",
        ],
        groups,
    )


def _key_file(comment: Sequence[str], groups: Mapping[str, Group]) -> str:
    """As GLib reads it (g_key_file_load_from_file)."""
    lines = [f"# {line}" for line in comment]
    for name, keys in groups.items():
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"
