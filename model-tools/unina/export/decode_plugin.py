"""The deploy graph with one node behind it: `UninaDecode`, a TensorRT plugin that turns the raw maps into boxes.

The node's name, attributes and inputs are what runtime/tensorrt-plugin/decode_fields.h reads; outputs are as many, and
of the same meaning, as those of TensorRT's own detection plugins. docs/tensorrt-plugin.md.
"""

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import TensorProto, helper

PLUGIN, VERSION, NAMESPACE = "UninaDecode", "1", ""
DOMAIN = "unina"
"""ONNX asks for one beside its own; TensorRT finds the plugin by name, version and namespace."""
NO_NMS = 1.0
"""IoU above which a box is dropped: none is."""
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


def with_decode_plugin(model: onnx.ModelProto, manifest: Mapping[str, Any], nms_iou: float = NO_NMS) -> onnx.ModelProto:
    """A copy of a bundle's `model.onnx` that ends in boxes, with the manifest's thresholds.

    Args:
        model: ends at the raw maps, N×C×h×w; N may be open.
        manifest: of the bundle, schema 1.
        nms_iou: class-wise NMS for a head that answers an object several times, 0 to 1; 1: none.

    Returns:
        The model with four outputs: how many detections, int32 N×1; boxes (x0, y0, x1, y1 in pixels of the network's
        input), float32 N×K×4; scores, float32 N×K, falling; classes, int32 N×K. K is the manifest's max_detections.

    Raises:
        ValueError: the manifest is no detector's, or names a map that the model does not end at.
    """
    if "levels" not in manifest:
        raise ValueError(f"its network has no boxes to decode: its decode is {manifest.get('decode')!r}")
    if not 0.0 <= nms_iou <= NO_NMS:
        raise ValueError(f"NMS at an IoU of {nms_iou}: expected 0 to 1")
    maps = [level[role] for level in manifest["levels"] for role in ("class", "box")]
    shapes = {output.name: output.type.tensor_type.shape.dim for output in model.graph.output}
    missing = [name for name in maps if name not in shapes]
    if missing:
        raise ValueError(f"model.onnx has no output {missing[0]}, which manifest.json names")
    taken = {name for node in model.graph.node for name in node.output}
    if taken & set(OUTPUTS):
        raise ValueError(f"model.onnx has a tensor {min(taken & set(OUTPUTS))} already")
    batch = shapes[maps[0]][0]
    pictures = batch.dim_param or batch.dim_value
    most = int(manifest["max_detections"])
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.node.append(
        helper.make_node(
            PLUGIN,
            maps,
            OUTPUTS,
            name="decode",
            domain=DOMAIN,
            plugin_version=VERSION,
            plugin_namespace=NAMESPACE,
            strides=[int(level["stride"]) for level in manifest["levels"]],
            reg_max=int(manifest["reg_max"]),
            thresholds=[float(one) for one in manifest["thresholds"]],
            max_detections=most,
            nms_iou=float(nms_iou),
        )
    )
    del made.graph.output[:]
    integers, reals = TensorProto.INT32, TensorProto.FLOAT
    shaped = zip(OUTPUTS, (integers, reals, reals, integers), ([1], [most, 4], [most], [most]), strict=True)
    for name, kind, shape in shaped:
        made.graph.output.append(helper.make_tensor_value_info(name, kind, [pictures, *shape]))
    made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    onnx.checker.check_model(made)
    return made
