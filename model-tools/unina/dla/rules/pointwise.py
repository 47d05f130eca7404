"""Rules of what works point by point, and of the two layers across channels, softmax and LRN."""

from unina.dla.rules.general import CALIBRATED
from unina.dla.rules.operators import BEFORE_8_6_12, COMPARISON, ELEMENTWISE
from unina.dla.rules.rule import GUIDE, HEADER, PAGE, Certainty, Effect, Rule, Site, ops

ACCURATE_AXIS = 8192
OPTIMISED_AXIS = 1024


def _before_8_6_12(site: Site) -> str | None:
    return f"{site.node.op} in TensorRT {site.context.trt}"


def _promoted(site: Site) -> str | None:
    return f"{site.node.op} in an INT8 network"


def _clip(site: Site) -> str | None:
    """Bounds are attributes up to opset 10, inputs later; a left-out bound is infinite."""
    bounds = []
    for index, attribute in ((1, "min"), (2, "max")):
        value = site.constant(index)
        if site.has(index) and value is None:
            return f"its {attribute} is computed"
        bounds.append(float(value.reshape(-1)[0]) if value is not None else site.get(attribute))
    low, high = bounds
    if low == 0 and high is not None and 1 <= high <= 127:
        return None
    return f"clips to {'-∞' if low is None else f'{low:g}'} … {'∞' if high is None else f'{high:g}'}"


def _prelu(site: Site) -> str | None:
    slope, shape = site.constant(1), site.shape()
    if slope is None:
        return "the slope is computed"
    if shape is not None and slope.ndim != len(shape):
        return f"a slope of {slope.ndim} dimensions for an input of {len(shape)}"
    return None


def _broadcast(site: Site) -> str | None:
    """Operands N×C×H×W, N×C×1×1 or N×1×1×1; constants are judged by the rule of constants."""
    whole = site.output
    if whole is None or len(whole) != 4:
        return None
    for name in site.variables:
        shape = site.network.shape(name)
        if shape is None or len(shape) > 4:
            continue
        full = (1,) * (4 - len(shape)) + shape
        if full not in {whole, (*whole[:2], 1, 1), (whole[0], 1, 1, 1)}:
            return f"{name} of {'×'.join(map(str, shape))} is spread over {'×'.join(map(str, whole))}"
    return None


def _equal_scales(site: Site) -> str | None:
    scales = site.scales(site.variables)
    if len(set(scales)) > 1:
        return f"input scales {', '.join(f'{scale:.6g}' for scale in scales)}"
    return None


def _batch_norm(site: Site) -> str | None:
    if any(site.constant(index) is None for index in range(1, 5)):
        return "its scale, shift, mean or variance is computed"
    return "it is still training" if site.get("training_mode", 0) else None


def _comparison_precision(site: Site) -> str | None:
    return f"{site.node.op} in an FP16 network"


def _comparison_cast(site: Site) -> str | None:
    readers = site.readers
    if len(readers) == 1 and readers[0].op == "Cast" and site.node.outputs[0] not in site.network.outputs:
        return None
    return f"its result is read by {', '.join(node.op for node in readers) or 'nothing but the output'}"


def _comparison_explicit(site: Site) -> str | None:
    return site.node.op


def _softmax_axes(site: Site) -> tuple[int, int, int] | None:
    """Axis counted from the front, its size, and the largest of the other non-batch dimensions."""
    shape = site.shape()
    if shape is None or len(shape) < 2:
        return None
    axis = site.axis(1 if site.network.opset < 13 else -1, len(shape))
    if not 0 <= axis < len(shape):
        return None
    return axis, shape[axis], max((size for at, size in enumerate(shape) if at not in {0, axis}), default=1)


def _softmax_axis(site: Site) -> str | None:
    known = _softmax_axes(site)
    if known is None:
        return None
    axis, size, others = known
    if axis == 0:
        return "softmax over the batch"
    if size > (ACCURATE_AXIS if others == 1 else OPTIMISED_AXIS):
        return f"softmax over {size} values, other dimensions up to {others}"
    return None


def _softmax_approximate(site: Site) -> str | None:
    known = _softmax_axes(site)
    return f"softmax over {known[1]} values at {known[2]} or more places" if known and known[2] > 1 else None


def _lrn(site: Site) -> str | None:
    size = int(site.get("size", 0))
    return None if size in {3, 5, 7, 9} else f"a window of {size}"


RULES = (
    Rule("activation-sigmoid", "Activation", "Sigmoid, TanH in INT8", "upgraded to FP16", GUIDE,
         "use ReLU in the network; apply a last sigmoid on the host", ops("Sigmoid", "Tanh"), _promoted,
         precision="INT8", effect=Effect.FP16),
    Rule("activation-clip", "Activation", "Clip", "a clipped ReLU: from 0 to something in 1 to 127", GUIDE,
         "use ReLU or ReLU6", ops("Clip"), _clip),
    Rule("activation-negative-slope", "Activation", "ReLU", "no negative slope: that is LeakyReLU, or PReLU", GUIDE,
         "use LeakyReLU", unchecked="ONNX's Relu has no slope"),
    Rule("prelu-slope", "PReLU", "slope", "a build-time constant of the input's rank", GUIDE,
         "store the slope as 1×C×1×1, or use LeakyReLU", ops("PRelu"), _prelu),
    Rule("elementwise-version", "ElementWise", "Div, Pow", "from TensorRT 8.6.12 and 10.x on", PAGE,
         "multiply by the reciprocal; replace a square by a product", ops("Div", "Pow"), _before_8_6_12,
         trt=BEFORE_8_6_12, certainty=Certainty.EXCERPT),
    Rule("elementwise-broadcast", "ElementWise", "operand shapes", "equal, or one of N×C×1×1 or N×1×1×1", PAGE,
         "give both operands the same shape, or one value a channel", ELEMENTWISE | COMPARISON, _broadcast,
         certainty=Certainty.MEMORY),
    Rule("elementwise-scales", "ElementWise", "input ranges in INT8",
         "equal; when calibrated, the largest is taken for both", HEADER,
         "tie the scales of both inputs, as `unina-export` does", ELEMENTWISE, _equal_scales, precision="INT8",
         trt=CALIBRATED, effect=Effect.NOTE),
    Rule("comparison-version", "Equal, Greater, Less", "Greater, Less",
         "from TensorRT 8.6.12 on; Equal from 8.5 on", PAGE, "compare on the host", ops("Greater", "Less"),
         _before_8_6_12, trt=BEFORE_8_6_12, certainty=Certainty.EXCERPT),
    Rule("comparison-precision", "Equal, Greater, Less", "precision", "INT8 only", PAGE, "compare on the host",
         COMPARISON, _comparison_precision, precision="FP16", certainty=Certainty.EXCERPT),
    Rule("comparison-cast", "Equal, Greater, Less", "result", "cast at once to FP16 or INT8, read by nothing else",
         PAGE, "put a Cast right behind it, or compare on the host", COMPARISON, _comparison_cast,
         certainty=Certainty.EXCERPT),
    Rule("comparison-explicit", "Equal, Greater, Less", "device and precision of the layer", "set explicitly", PAGE,
         "set both for this layer when building (`--layerDeviceTypes`, `--layerPrecisions`)", COMPARISON,
         _comparison_explicit, precision="INT8", certainty=Certainty.EXCERPT, effect=Effect.NOTE),
    Rule("scale-shift", "Scale / BN", "scale layers",
         "uniform, per channel or element-wise; scale and shift only, no power", GUIDE,
         "fold batch normalisation into the convolution before it: export in eval mode", ops("BatchNormalization"),
         _batch_norm),
    Rule("softmax-precision", "Softmax", "precision, device", "FP16; Orin only", PAGE,
         "leave the softmax to the host, or let it be FP16", ops("Softmax"), _promoted, precision="INT8",
         certainty=Certainty.EXCERPT, effect=Effect.FP16),
    Rule("softmax-axis", "Softmax", "axis",
         "not the batch; ≤ 8192 values where all other dimensions are 1, else ≤ 1024", PAGE,
         "leave the softmax to the host", ops("Softmax"), _softmax_axis, certainty=Certainty.EXCERPT),
    Rule("softmax-approximate", "Softmax", "other non-batch dimensions", "1, else an approximate mode is used", PAGE,
         "leave the softmax to the host when its digits matter", ops("Softmax"), _softmax_approximate,
         certainty=Certainty.EXCERPT, effect=Effect.NOTE),
    Rule("unary-version", "Unary", "Sin, Cos, Atan, Atanh", "from TensorRT 8.6.12 on; Abs before, too", PAGE,
         "leave it to the host", ops("Sin", "Cos", "Atan", "Atanh"), _before_8_6_12,
         trt=BEFORE_8_6_12, certainty=Certainty.EXCERPT),
    Rule("lrn-window", "LRN", "window", "3, 5, 7 or 9, across channels", GUIDE, "use BatchNorm, which costs nothing",
         ops("LRN"), _lrn),
    Rule("lrn-precision", "LRN", "LRN in INT8", "upgraded to FP16", GUIDE, "use BatchNorm, which costs nothing",
         ops("LRN"), _promoted, precision="INT8", effect=Effect.FP16),
)  # fmt: skip
