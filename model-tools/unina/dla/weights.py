"""Convolution weights and biases as integers, one scale an output channel (docs/integer-semantics.md, Numbers)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina.dla.graph import Conv, Deconv, Pair

BIAS_LIMIT = 1 << 30


@dataclass(frozen=True, eq=False)
class IntegerConv:
    """`weight` int8 O×(I/groups)×k_h×k_w in [−127, 127], `scale` float32 O, `bias` int32 O in units of s_in · scale."""

    weight: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int32]


def quantise_conv(conv: Conv | Deconv, input_scale: np.float32) -> IntegerConv:
    """Quantises one convolution: `s_w[k] = max|w[k]| / 127`, and 1 for a channel without weights and bias.

    The weights of a transposed one come out as O×I×k_h×k_w too.

    A channel whose bias would not fit into ±2³⁰ steps of `s_in · s_w[k]` (pruned to zero, or its weights have all but
    died) takes the smallest scale that holds the bias: what its weights lose cannot be seen behind the bias.
    """
    real = conv.weight.transpose(1, 0, 2, 3) if isinstance(conv, Deconv) else conv.weight
    largest = np.abs(real.reshape(real.shape[0], -1)).max(axis=1)
    # float64: input_scale · scale may leave float32's range
    holds_bias = np.abs(conv.bias.astype(np.float64)) / (float(input_scale) * (BIAS_LIMIT - 128))
    scale = np.maximum(largest / np.float32(127), holds_bias.astype(np.float32))
    scale = np.where(scale >= np.finfo(np.float32).tiny, scale, np.float32(1))
    per_weight = scale.astype(np.float64)[:, None, None, None]
    weight = np.clip(np.rint(real / per_weight), -127, 127).astype(np.int8)
    bias = np.rint(conv.bias / (np.float64(input_scale) * scale.astype(np.float64)))
    return IntegerConv(weight, scale, np.clip(bias, -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32))


def by_phase(integers: IntegerConv, stride: Pair) -> IntegerConv:
    """A transposed convolution as one of stride 1 around which `taps − 1` zeros lie.

    Its output channel `(p_y · s_w + p_x) · O + o` holds what the transposed one writes at `s · i + p` of channel o:
    `Σ_j in[i − j] · w[p + s · j]`, over `⌈k / s⌉` taps on each axis.
    """
    outputs, inputs, *kernel = integers.weight.shape
    taps = [-(-size // step) for size, step in zip(kernel, stride, strict=True)]
    whole = np.zeros((outputs, inputs, taps[0] * stride[0], taps[1] * stride[1]), np.int8)
    whole[:, :, : kernel[0], : kernel[1]] = integers.weight
    apart = whole.reshape(outputs, inputs, taps[0], stride[0], taps[1], stride[1])[:, :, ::-1, :, ::-1]
    weight = apart.transpose(3, 5, 0, 1, 2, 4).reshape(-1, inputs, *taps)
    phases = stride[0] * stride[1]
    return IntegerConv(weight, np.tile(integers.scale, phases), np.tile(integers.bias, phases))
