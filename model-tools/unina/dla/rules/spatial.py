"""Rules of pooling, reduction and resize."""

from itertools import pairwise

from unina.dla.rules.convolution import kernel, outside, pads, spatial
from unina.dla.rules.general import CALIBRATED
from unina.dla.rules.operators import BEFORE_8_6_12, POOLING, REDUCE_MAX, RESIZE
from unina.dla.rules.rule import GUIDE, PAGE, SOFTWARE, Certainty, Effect, Rule, Site, ops

NEAREST_MODES = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}
"""(ASYMMETRIC, FLOOR) and (HALF_PIXEL, HALF_DOWN or HALF_UP) in ONNX's words."""


def _dimensions(site: Site) -> str | None:
    window = kernel(site)
    return f"a {len(window)}-D window" if len(window) != 2 else None


def _window(site: Site) -> str | None:
    return outside("window", kernel(site), 1, 8)


def _pad(site: Site) -> str | None:
    return outside("padding", pads(site), 0, 7)


def _stride(site: Site) -> str | None:
    return outside("stride", spatial(site, "strides"), 1, 16)


def _plain(site: Site) -> str | None:
    if len([name for name in site.node.outputs if name]) > 1:
        return "it writes indices, too"
    return outside("dilation", spatial(site, "dilations"), 1, 1)


def _same_scale(site: Site) -> str | None:
    scales = site.scales((*site.variables, site.node.outputs[0]))
    if any(a != b for a, b in pairwise(scales)):
        return f"input scale {scales[0]:.6g}, output scale {scales[-1]:.6g}"
    return None


def _reduce_version(site: Site) -> str | None:
    return f"{site.node.op} in TensorRT {site.context.trt}"


def _reduce_axes(site: Site) -> str | None:
    if site.node.op == "GlobalMaxPool":
        return None
    given = site.constant(1)
    axes = tuple(int(axis) for axis in given.reshape(-1)) if given is not None else site.get("axes")
    rank = len(site.shape() or ())
    if axes is None:
        return "it reduces the batch, too"
    return "it reduces the batch, too" if any(axis in {0, -rank} for axis in axes) else None


def _factors(site: Site) -> list[float] | None:
    """The scales that a Resize or Upsample is given; None when it is given none."""
    index = 1 if site.node.op == "Upsample" or site.network.opset < 11 else 2
    value = site.constant(index)
    if value is None or not value.size:
        given = site.get("scales")
        return list(given) if given else None
    return [float(v) for v in value.reshape(-1)]


def _mode(site: Site) -> str:
    return {"bilinear": "linear"}.get(mode := str(site.get("mode", "nearest")), mode)


def _resize_scales_given(site: Site) -> str | None:
    return "it is given sizes, or computed scales" if _factors(site) is None else None


def _resize_mode(site: Site) -> str | None:
    mode = _mode(site)
    return None if mode in {"nearest", "linear"} else f"mode {mode}"


def _resize_factors(site: Site) -> str | None:
    factors = _factors(site)
    if factors is None:
        return None
    whole = all(1 <= factor <= 32 and factor == int(factor) for factor in factors[2:])
    if len(factors) == 4 and factors[:2] == [1, 1] and whole:
        return None
    return f"{_mode(site)} with scales {', '.join(f'{factor:g}' for factor in factors)}"


def _resize_bilinear(site: Site) -> str | None:
    factors = [factor for factor in (_factors(site) or ())[2:] if factor > 4]
    return f"bilinear by {factors[0]:g}" if factors and _mode(site) == "linear" else None


def _resize_nearest(site: Site) -> str | None:
    if site.node.op == "Upsample" or site.network.opset < 11 or _mode(site) != "nearest":
        return None
    found = (
        site.get("coordinate_transformation_mode", "half_pixel"),
        site.get("nearest_mode", "round_prefer_floor"),
    )
    return None if found in NEAREST_MODES else f"{found[0]} with {found[1]}"


RULES = (
    Rule("pool-dimensions", "Pooling", "window", "two-dimensional", GUIDE, "use a 2-D pooling", POOLING, _dimensions),
    Rule("pool-window", "Pooling", "window height, width", "1 to 8", GUIDE,
         "pool in steps: 8×8, then the rest; or a strided convolution", POOLING, _window),
    Rule("pool-padding", "Pooling", "padding", "0 to 7", GUIDE, "pad less", POOLING, _pad),
    Rule("pool-stride", "Pooling", "stride", "1 to 16", GUIDE, "pool in steps", POOLING, _stride),
    Rule("pool-plain", "Pooling", "kind", "maximum and average; no indices, no dilation", GUIDE,
         "use a plain pooling", POOLING, _plain, certainty=Certainty.INFERRED),
    Rule("pool-scales", "Pooling", "scales in INT8", "input = output", GUIDE,
         "tie the scales of both sides, as `unina-export` does", POOLING, _same_scale, precision="INT8",
         trt=CALIBRATED, effect=Effect.NOTE),
    Rule("pool-xavier", "Pooling", "average on Xavier", "inclusive padding only; Orin takes both", GUIDE,
         "count the padding, or don't pad", unchecked="it is about Xavier, the check about Orin"),
    Rule("reduce-max-version", "GlobalMaxPool / ReduceMax", "GlobalMaxPool, ReduceMax", "from TensorRT 8.6.12 on",
         f"{PAGE}; {SOFTWARE}", "use MaxPool with a window up to 8×8", REDUCE_MAX, _reduce_version,
         trt=BEFORE_8_6_12, certainty=Certainty.EXCERPT),
    Rule("reduce-max-axes", "GlobalMaxPool / ReduceMax", "axes", "any of C, H, W, never the batch", PAGE,
         "reduce channels or maps only", ops("ReduceMax", "GlobalMaxPool"), _reduce_axes,
         certainty=Certainty.EXCERPT),
    Rule("resize-sizes", "Resize", "how the size is given", "by four constant scales, not by sizes", GUIDE,
         "export scales: nn.Upsample(scale_factor=2), or F.interpolate(…, scale_factor=2)", RESIZE,
         _resize_scales_given),
    Rule("resize-mode", "Resize", "mode", "nearest or bilinear", GUIDE, "use nearest", RESIZE, _resize_mode),
    Rule("resize-bilinear", "Resize", "scales, bilinear", "1 to 4", GUIDE,
         "bilinear up to 4, in steps if need be, or nearest up to 32", RESIZE, _resize_bilinear),
    Rule("resize-factors", "Resize", "scales", "N and C 1; H and W whole numbers, 1 to 32 (bilinear: 1 to 4)", GUIDE,
         "resize by a whole factor; shrink with a strided convolution", RESIZE, _resize_factors),
    Rule("resize-nearest", "Resize", "nearest: how coordinates are rounded",
         "(asymmetric, floor), (half_pixel, round_prefer_floor) or (half_pixel, round_prefer_ceil)", GUIDE,
         'export with nn.Upsample(mode="nearest"), which gives asymmetric and floor', RESIZE, _resize_nearest),
)  # fmt: skip
