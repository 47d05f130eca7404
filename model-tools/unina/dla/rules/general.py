"""Rules that hold for every layer: versions, shapes, types, constants, quantisation."""

import math

from unina.dla.rules.operators import (
    ACTIVATION,
    COMPARISON,
    CONVOLUTION,
    DECONVOLUTION,
    DISAPPEARING,
    ELEMENTWISE,
    FULLY_CONNECTED,
    POOLING,
)
from unina.dla.rules.rule import GUIDE, PAGE, Certainty, Effect, Rule, Site, Versions, ops
from unina.dla.tensorrt import TensorRt

CALIBRATED = Versions(before=TensorRt(11, 0))
"""INT8 comes from a calibration cache; from 11 on from Q/DQ and tensor types."""
MAX_BATCH = 4096
MAX_SIZE = 8192
FLOATS = {"float32", "float16", "float64", "bfloat16", "int8", "uint8", ""}
FLAT = FULLY_CONNECTED | ACTIVATION | DISAPPEARING | ops("Add")
"""What may stand in a row of fully connected layers; Add is their bias."""
WINDOWED = CONVOLUTION | DECONVOLUTION | POOLING
"""They have rules of their own about dimensions."""
JOINING = ELEMENTWISE | COMPARISON | ops("Concat")


def _version(site: Site) -> str | None:
    return f"TensorRT {site.context.trt}" if site.context.trt.without_dla else None


def _tensors(site: Site) -> tuple[str, ...]:
    """Inputs and outputs that are computed."""
    return (*site.variables, *(name for name in site.node.outputs if name))


def _shape_known(site: Site) -> str | None:
    for name in _tensors(site):
        if site.network.shape(name) is None:
            return f"the shape of {name} is not static"
    return None


def _dtype(site: Site) -> str | None:
    compared = site.node.op in COMPARISON
    for name in site.variables if compared else (*site.variables, site.node.outputs[0]):
        found = site.network.tensors.get(name)
        producer = site.network.producers.get(name)
        if site.node.op == "Cast" and producer and producer.op in COMPARISON:
            continue
        if found and found.dtype not in FLOATS:
            return f"{name} is {found.dtype}"
    return None


def _rank(site: Site) -> str | None:
    """4-D everywhere but in a row of fully connected layers, which TensorRT runs as 1×1 convolutions."""
    if site.node.op in FULLY_CONNECTED | WINDOWED:
        return None
    allowed = {2, 4} if site.node.op in FLAT and _behind_fully_connected(site) else {4}
    for name in _tensors(site):
        shape = site.network.shape(name)
        if shape is not None and len(shape) not in allowed:
            return f"{name} is {len(shape)}-D ({_text(shape)})"
    return None


def _fully_connected(site: Site) -> str | None:
    shape = site.shape()
    return f"{site.node.op} over {_text(shape)}" if shape is not None and len(shape) != 2 else None


def _behind_fully_connected(site: Site) -> bool:
    before = [site.network.producers.get(name) for name in site.variables]
    return all(node is not None and node.op in FLAT for node in before)


def _batch(site: Site) -> str | None:
    for name in _tensors(site):
        shape = site.network.shape(name) or ()
        batch = math.prod(shape[:-3]) if len(shape) > 3 else shape[0] if len(shape) == 2 else 1
        if batch > MAX_BATCH:
            return f"{name} has an effective batch of {batch}"
    return None


def _batch_equal(site: Site) -> str | None:
    shapes = [site.network.shape(name) for name in site.variables]
    batches = sorted({shape[0] for shape in shapes if shape is not None and len(shape) == 4})
    return f"it joins batches of {' and '.join(map(str, batches))}" if len(batches) > 1 else None


def _batch_inputs(site: Site) -> str | None:
    """At the nodes that read an input whose batch is not the first input's."""
    shapes = {name: site.network.shape(name) or () for name in site.network.inputs}
    batches = {name: shape[0] for name, shape in shapes.items() if len(shape) == 4}
    first = next(iter(batches), None)
    for name in site.variables:
        if first is not None and batches.get(name, batches[first]) != batches[first]:
            return f"input {name} has a batch of {batches[name]}, input {first} of {batches[first]}"
    return None


def _size(site: Site) -> str | None:
    for name in _tensors(site):
        shape = site.network.shape(name) or ()
        if any(size > MAX_SIZE or size < 1 for size in (shape[-3:] if len(shape) > 2 else shape[1:])):
            return f"{name} is {_text(shape)}"
    return None


def _constant(site: Site) -> str | None:
    """Uniform and per-channel operands become a scale or fold into weights; other constants stay a layer.

    A scale layer multiplies and adds: that is Add, Sub and Mul on either side, and Div by the constant.
    """
    if not site.variables:
        return "it depends on no input"
    if site.node.op not in ELEMENTWISE | COMPARISON | {"Concat"}:
        return None
    for index, name in enumerate(site.node.inputs):
        value = site.constant(index)
        if value is None:
            continue
        scales = site.node.op in {"Add", "Sub", "Mul"} or (site.node.op == "Div" and index == 1)
        if not scales or not _per_channel(tuple(value.shape), site.output or ()):
            return f"operand {name} of {site.node.op} is a constant of shape {_text(value.shape)}"
    return None


def _per_channel(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a constant is one number, or one a channel."""
    full = (1,) * (len(whole) - len(shape)) + shape
    return all(size == 1 for axis, size in enumerate(full) if axis != 1 or len(whole) < 2)


def _scale(site: Site) -> str | None:
    known = site.context.scales
    if known is None:
        return None
    missing = [name for name in _tensors(site) if name not in known]
    return f"{missing[0]} has no scale" if missing else None


def _quantise(site: Site) -> str | None:
    return f"{site.node.op} in the network"


def _typed(site: Site) -> str | None:
    if site.node.op in {"QuantizeLinear", "DequantizeLinear"}:
        return None
    for name in site.variables:
        found = site.network.tensors.get(name)
        if found and found.dtype == "float32" and not _dequantised(site, name):
            return f"{name} is float32"
    return None


def _dequantised(site: Site, name: str) -> bool:
    """Whether a tensor was INT8: straight, or in the convolution that an activation or batch norm folds into."""
    producer = site.network.producers.get(name)
    folds = site.node.op in ACTIVATION | {"BatchNormalization"} and len(site.network.consumers[name]) == 1
    if producer is not None and folds and producer.op in CONVOLUTION | DECONVOLUTION | FULLY_CONNECTED:
        producer = site.network.producers.get(producer.inputs[0])
    return producer is not None and producer.op == "DequantizeLinear"


def _fp16_layer(site: Site) -> str | None:
    return "it is asked to be FP16" if site.precision != site.context.precision else None


def _cast(site: Site) -> str | None:
    producer = site.network.producers.get(site.node.inputs[0])
    if producer and producer.op in COMPARISON:
        return None
    return "Cast that is not behind a comparison"


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


RULES = (
    Rule(
        id="version",
        layer="all",
        condition="TensorRT",
        limit="≤ 10.7, or ≥ 11.4.1 (AGX Orin, JetPack ≥ 7.2.2)",
        certainty=Certainty.EXCERPT,
        source="TensorRT 10.7 and 11.x documentation, Working with DLA",
        fix="stay on TensorRT 10.3 (JetPack 6), or go to JetPack 7.2.2 with TensorRT 11.4.1",
        check=_version,
    ),
    Rule(
        id="static-shapes",
        layer="all",
        condition="dynamic shapes",
        limit="none: min = opt = max, the same dimensions at build and at run time, one batch size a loadable",
        source=GUIDE,
        fix="export with fixed input sizes; keep shapes that depend on data (NonZero, boxes) out of the network",
        check=_shape_known,
    ),
    Rule(
        id="data-type",
        layer="all",
        condition="precision",
        limit="FP16 and INT8 only",
        source=GUIDE,
        fix="keep integer and boolean arithmetic out of the network: make indices and masks constants",
        check=_dtype,
    ),
    Rule(
        id="rank",
        layer="all",
        condition="tensors",
        limit="N×C×H×W; N×C only for a fully connected layer and the activation behind it",
        source=f"{GUIDE} (“only two spatial dimensions”; 4-D inputs); ultralytics#18012",
        certainty=Certainty.INFERRED,
        fix="keep tensors 4-D: leave out reshapes to tokens or anchors and end the network at its raw maps",
        check=_rank,
    ),
    Rule(
        id="fc-input",
        layer="Conv / FC",
        condition="input of MatMul and Gemm",
        limit="N×C: it becomes a 1×1 convolution",
        source=f"{GUIDE} (two spatial dimensions); log of ResNet-50 on AGX Orin with TensorRT 10.3",
        certainty=Certainty.INFERRED,
        ops=FULLY_CONNECTED,
        fix="write it as a 1×1 convolution over N×C×H×W",
        check=_fully_connected,
    ),
    Rule(
        id="batch",
        layer="all",
        condition="batch",
        limit="≤ 4096; the product of all dimensions but the last three",
        source=GUIDE,
        fix="build with a smaller batch; on Orin a larger one gains nothing",
        check=_batch,
    ),
    Rule(
        id="batch-equal",
        layer="all",
        condition="batch within one loadable",
        limit="the same for every layer; another batch makes another loadable",
        source=PAGE,
        certainty=Certainty.EXCERPT,
        fix="give all inputs the same batch",
        ops=JOINING,
        check=_batch_equal,
    ),
    Rule(
        id="batch-inputs",
        layer="all",
        condition="batch of the inputs",
        limit="the same for all: another batch makes another loadable, and a standalone one holds only one",
        source=PAGE,
        certainty=Certainty.EXCERPT,
        effect=Effect.NOTE,
        fix="give all inputs the same batch",
        check=_batch_inputs,
    ),
    Rule(
        id="size",
        layer="all",
        condition="C, H and W",
        limit="each 1 to 8192",
        source=f"{GUIDE}; {PAGE}",
        fix="tile the picture, or reduce channels; put a pooling before a flatten",
        check=_size,
    ),
    Rule(
        id="constant",
        layer="Constant",
        condition="constants other than weights",
        limit="never on the DLA; uniform and per-channel operands of Add, Sub, Mul, and divisors, become a scale",
        source="jetson_dla_tutorial#3, ultralytics#16449; scales: Deep-Learning-Accelerator-SW, operators/README.md",
        certainty=Certainty.USER,
        fix="fold it into the convolution before it; ReLU for a maximum with 0, a product for a square; compute "
        "anchors and grids after the network, on the host",
        check=_constant,
    ),
    Rule(
        id="qdq",
        layer="Q/DQ",
        condition="QuantizeLinear, DequantizeLinear",
        limit="not on the DLA before TensorRT 11.4.1",
        trt=CALIBRATED,
        ops=ops("QuantizeLinear", "DequantizeLinear"),
        source="cuDLA-samples#19; TensorRT#2222",
        certainty=Certainty.USER,
        fix="build from the plain network and a calibration cache (a bundle holds both)",
        check=_quantise,
    ),
    Rule(
        id="qdq-explicit",
        layer="Q/DQ",
        condition="QuantizeLinear, DequantizeLinear",
        limit="expected to be how INT8 is asked for from TensorRT 11.4.1 on",
        trt=Versions(since=TensorRt(11, 4, 1)),
        source="TensorRT 11.x headers (no calibrator is left); 11.4.1 documentation, INT8 section not read",
        certainty=Certainty.UNVERIFIED,
        effect=Effect.NOTE,
        ops=ops("QuantizeLinear", "DequantizeLinear"),
        fix="try it on the device before you rely on it",
        check=_quantise,
    ),
    Rule(
        id="typed-precision",
        layer="Q/DQ",
        condition="precision from TensorRT 11 on",
        limit="that of the tensor types and Q/DQ: a float32 tensor is neither INT8 nor FP16",
        trt=Versions(since=TensorRt(11, 4, 1)),
        source="TensorRT 11.4.1 documentation, Strongly Typed Networks for DLA; its INT8 section not read",
        certainty=Certainty.INFERRED,
        fix="build from the network with Q/DQ on every tensor (model.qdq.onnx of a bundle), or export it in FP16",
        check=_typed,
    ),
    Rule(
        id="layer-precision",
        layer="all",
        condition="layers that a bundle's layer_precisions.txt names",
        limit="FP16",
        trt=CALIBRATED,
        source="docs/bundle.md; trtexec --layerPrecisions",
        effect=Effect.FP16,
        fix="a convolution: take it out of layer_precisions.txt, if its INT8 is accurate enough; a gate: train without",
        check=_fp16_layer,
    ),
    Rule(
        id="scale-missing",
        layer="all",
        condition="INT8 scale of every tensor",
        limit="a layer without one runs in FP16 if that is allowed, else the build fails",
        precision="INT8",
        trt=CALIBRATED,
        source="super-gradients#1760; Model-Optimizer#1661",
        certainty=Certainty.USER,
        effect=Effect.FP16,
        fix="calibrate every tensor, by the names that the network has (`unina-dla lint-cache` lists them)",
        check=_scale,
    ),
    Rule(
        id="cast",
        layer="Cast",
        condition="Cast",
        limit="only directly behind a comparison",
        ops=ops("Cast"),
        source=PAGE,
        certainty=Certainty.INFERRED,
        fix="export the network in one floating-point type",
        check=_cast,
    ),
)
"""In the order in which they decide."""
