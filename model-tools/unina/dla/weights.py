"""Convolution weights and biases as integers, one scale an output channel (docs/integer-semantics.md, Numbers)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina.dla.graph import Conv

BIAS_LIMIT = 1 << 30


@dataclass(frozen=True, eq=False)
class IntegerConv:
    """`weight` int8 O×(I/groups)×k_h×k_w in [−127, 127], `scale` float32 O, `bias` int32 O in units of s_in · scale."""

    weight: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int32]


def quantise_conv(conv: Conv, input_scale: np.float32) -> IntegerConv:
    """Quantises one convolution: `s_w[k] = max|w[k]| / 127`, a channel of zeros takes 1.

    A channel whose bias would not fit into ±2³⁰ steps of `s_in · s_w[k]` (its weights have all but died) takes the
    smallest scale that holds the bias: its weights lose steps that cannot be seen behind the bias.
    """
    flat = np.abs(conv.weight.reshape(conv.weight.shape[0], -1)).max(axis=1)
    scale = np.where(flat > 0, flat / np.float32(127), np.float32(1)).astype(np.float32)
    # float64: input_scale · scale may leave float32's range while the bias is computed
    smallest = np.abs(conv.bias.astype(np.float64)) / (float(input_scale) * (BIAS_LIMIT - 128))
    scale = np.maximum(scale, np.maximum(smallest, np.finfo(np.float32).tiny).astype(np.float32))
    per_weight = scale.astype(np.float64)[:, None, None, None]
    weight = np.clip(np.rint(conv.weight / per_weight), -127, 127).astype(np.int8)
    bias = np.rint(conv.bias / (np.float64(input_scale) * scale.astype(np.float64)))
    return IntegerConv(weight, scale, np.clip(bias, -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32))
