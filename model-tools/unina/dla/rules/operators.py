"""Which operators the DLA has at all, through TensorRT: everything else is on the GPU before any limit is looked at."""

from unina.dla.rules.rule import GUIDE, HEADER, PAGE, SOFTWARE, Certainty, Check, Rule, Site, Versions, ops
from unina.dla.tensorrt import TensorRt

BEFORE_8_6_12 = Versions(before=TensorRt(8, 6, 12))
"""Div, Pow, Greater, Less, ReduceMax and most unary functions came with DriveOS' 8.6.12 and with 10.x."""

CONVOLUTION = ops("Conv")
FULLY_CONNECTED = ops("Gemm", "MatMul")
DECONVOLUTION = ops("ConvTranspose")
POOLING = ops("MaxPool", "AveragePool")
ACTIVATION = ops("Relu", "Sigmoid", "Tanh", "Clip", "LeakyRelu")
ELEMENTWISE = ops("Add", "Sub", "Mul", "Max", "Min", "Sum", "Div", "Pow")
COMPARISON = ops("Equal", "Greater", "Less")
RESHAPE = ops("Reshape", "Flatten", "Squeeze", "Unsqueeze")
SHUFFLE = RESHAPE | {"Transpose"}
SLICE = ops("Slice", "Split")
REDUCE_MAX = ops("ReduceMax", "GlobalMaxPool")
UNARY = ops("Abs", "Sin", "Cos", "Atan", "Atanh")
RESIZE = ops("Resize", "Upsample")
OTHER = ops("PRelu", "BatchNormalization", "Concat", "Softmax", "LRN", "Cast", "QuantizeLinear", "DequantizeLinear")
DISAPPEARING = ops("Identity", "Dropout")
"""TensorRT's parser leaves nothing of them."""

KNOWN = (
    CONVOLUTION | FULLY_CONNECTED | DECONVOLUTION | POOLING | ACTIVATION | ELEMENTWISE | COMPARISON | SHUFFLE | SLICE
) | (REDUCE_MAX | UNARY | RESIZE | OTHER | DISAPPEARING)

AVERAGES = ops("GlobalAveragePool", "ReduceMean")
OTHER_REDUCTIONS = ops(
    "ReduceMin", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
    "ReduceSumSquare", "GlobalLpPool", "CumSum",
)  # fmt: skip
OTHER_ACTIVATIONS = ops(
    "Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "Softplus", "Softsign", "ThresholdedRelu", "Swish", "Shrink",
)  # fmt: skip
OTHER_UNARY = ops(
    "Neg", "Log", "Erf", "Floor", "Ceil", "Round", "Reciprocal", "Sign", "Not", "IsNaN", "IsInf", "Tan", "Sinh", "Cosh",
    "Asin", "Acos", "Asinh", "Acosh",
)  # fmt: skip
NORMALISATIONS = ops(
    "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization",
    "MeanVarianceNormalization",
)  # fmt: skip
SOFTWARE_ONLY = ops("HardSwish", "Mish", "Pad", "Tile", "Sqrt", "Exp", "DepthToSpace", "SpaceToDepth")
NEVER = ops(
    "Expand", "Where",
    "TopK", "NonMaxSuppression", "Gather", "GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND",
    "ArgMax", "ArgMin", "NonZero", "OneHot", "Unique", "Range", "RoiAlign", "GridSample", "Einsum", "Loop", "If",
    "Scan", "LSTM", "GRU", "RNN", "Attention", "Shape", "LpPool", "MaxRoiPool", "Compress", "Hardmax", "LogSoftmax",
    "And", "Or", "Xor", "LessOrEqual", "GreaterOrEqual", "Mod", "BitShift", "Trilu", "RotaryEmbedding", "DeformConv",
    "MatMulInteger", "QLinearConv", "ConvInteger", "QLinearMatMul", "DynamicQuantizeLinear", "Col2Im", "DFT", "STFT",
)  # fmt: skip


def _named(site: Site) -> str | None:
    return f"operator {site.node.op}"


def _two_tensors(site: Site) -> str | None:
    if site.constant(1) is not None and site.constant(0) is None:
        return None
    which = "two computed tensors" if len(site.variables) > 1 else "a constant on the left"
    return f"{site.node.op} of {which}"


def _unknown(site: Site) -> str | None:
    known = KNOWN | AVERAGES | OTHER_REDUCTIONS | OTHER_ACTIVATIONS | OTHER_UNARY | NORMALISATIONS
    return None if site.node.op in known | SOFTWARE_ONLY | NEVER else f"operator {site.node.op}"


def _row(
    id: str,  # noqa: A002 - the field's name
    layer: str,
    which: frozenset[str] | None,
    condition: str,
    limit: str,
    source: str,
    fix: str,
    *,
    certainty: Certainty = Certainty.READ,
    check: Check = _named,
) -> Rule:
    return Rule(id, layer, condition, limit, source, fix, which, check, certainty=certainty)


RULES = (
    _row(
        "never",
        "TopK, NMS, Gather",
        NEVER,
        "selection, indexing, recurrence, control flow, logic",
        "GPU or CPU only",
        SOFTWARE,
        "end the network at its raw maps and do this on the host",
        certainty=Certainty.INFERRED,
    ),
    _row(
        "software-only",
        "DLA software ≥ 3.14",
        SOFTWARE_ONLY,
        "HardSwish, Mish, Pad, Tile, Sqrt, Exp, DepthToSpace, SpaceToDepth",
        "in the DLA's own software, but TensorRT does not hand it over",
        SOFTWARE,
        "rebuild it from convolutions, as NVIDIA's op_reconstruction recipes do",
    ),
    _row(
        "reduce-average",
        "GlobalAveragePool / ReduceMean",
        AVERAGES,
        "average over whole maps",
        "in the DLA's own software, not through TensorRT (“DLA cores do not support AVG Reduce operation”)",
        f"{SOFTWARE}; log of ResNet-50 on AGX Orin with TensorRT 10.3",
        "use AveragePool with a window up to 8×8, or a convolution",
    ),
    _row(
        "reduce-kind",
        "GlobalMaxPool / ReduceMax",
        OTHER_REDUCTIONS,
        "reductions",
        "maximum only",
        f"{PAGE}; {SOFTWARE}",
        "a sum over channels is a 1×1 convolution; leave others to the host",
        certainty=Certainty.EXCERPT,
    ),
    _row(
        "activation-function",
        "Activation",
        OTHER_ACTIVATIONS,
        "function",
        "ReLU, Sigmoid, TanH, Clip, LeakyReLU",
        GUIDE,
        "use ReLU",
    ),
    _row(
        "unary-function",
        "Unary",
        OTHER_UNARY,
        "function",
        "Abs; Sin, Cos, Atan, Atanh from TensorRT 8.6.12 on",
        f"{HEADER}; {SOFTWARE}",
        "fold it into weights, or leave it to the host",
    ),
    _row(
        "normalisation",
        "Scale / BN",
        NORMALISATIONS,
        "normalisation",
        "only what is fixed after training: BatchNormalization, a scale and shift",
        GUIDE,
        "use BatchNorm, which folds into the convolution",
    ),
    _row(
        "matmul-constant",
        "Conv / FC",
        FULLY_CONNECTED,
        "second operand of MatMul and Gemm",
        "a constant",
        SOFTWARE,
        "attention needs products of two tensors: use convolutions instead",
        check=_two_tensors,
    ),
    _row(
        "unknown",
        "all",
        None,
        "operator",
        "one that TensorRT's DLA layers cover",
        SOFTWARE,
        "build it from convolution, ReLU, add, concat, pooling and resize",
        certainty=Certainty.INFERRED,
        check=_unknown,
    ),
)
