"""Rules of convolution, fully connected layer and deconvolution: their limits and the buffer that they run in."""

from math import ceil

from unina.dla.rules.operators import CONVOLUTION, DECONVOLUTION
from unina.dla.rules.rule import GUIDE, PAGE, Certainty, Check, Effect, Rule, Site

CBUF_BANKS = 16
BANK_BYTES = 32 * 1024
ENTRY_BYTES = 128
"""A bank holds 256 entries."""
HWC4_CHANNELS = {1, 3, 4}


def kernel(site: Site) -> tuple[int, ...]:
    """Height and width of the window; empty when it isn't known."""
    given = site.get("kernel_shape")
    weight = site.shape(1)
    return tuple(given) if given else tuple(weight[2:]) if weight else ()


def spatial(site: Site, attribute: str) -> tuple[int, ...]:
    """`strides` or `dilations`, 1 when left out."""
    return tuple(site.get(attribute, (1,) * len(kernel(site))))


def pads(site: Site) -> tuple[int, ...]:
    """All begins, then all ends; of `auto_pad`, too."""
    window = kernel(site)
    auto = site.get("auto_pad", "NOTSET")
    if auto in {"NOTSET", ""}:
        return tuple(site.get("pads", (0,) * (2 * len(window))))
    shape = site.shape()
    if auto == "VALID" or shape is None:
        return (0,) * (2 * len(window))
    totals = [
        max((ceil(size / stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        for size, stride, k, dilation in zip(
            shape[2:], spatial(site, "strides"), window, spatial(site, "dilations"), strict=False
        )
    ]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return tuple(small + large) if auto == "SAME_UPPER" else tuple(large + small)


def outside(what: str, values: tuple[int, ...], low: int, high: int) -> str | None:
    """Says which value leaves low…high."""
    if all(low <= value <= high for value in values):
        return None
    return f"{what} {'×'.join(map(str, values))}"


def reads_hwc4(site: Site) -> bool:
    """Whether the input is a picture that the DLA takes in its HWC4 layout."""
    if site.node.inputs[0] not in site.network.inputs:
        return False
    shape, asked = site.shape(), site.context.input_format
    return asked == "dla_hwc4" or (asked is None and shape is not None and shape[1:2] in {(c,) for c in HWC4_CHANNELS})


def cbuf_banks(channels: int, width: int, window: tuple[int, int], dilation_h: int, element_bytes: int) -> int:
    """Banks of the convolution buffer for one kernel and the lines that it covers; 16 there are.

    Pseudo-code of the TensorRT 8.2 to 8.4 developer guides: `channels` and `width` of the input, `window` (h, w).
    """
    weight_bytes = ceil(channels * window[0] * window[1] * element_bytes / ENTRY_BYTES) * ENTRY_BYTES
    entries_per_slice = ceil(ceil(channels * element_bytes / 32) * width / 4)
    lines = (window[0] - 1) * dilation_h + 1
    return ceil(weight_bytes / BANK_BYTES) + ceil(entries_per_slice * lines / 256)


def _two_dimensions(site: Site) -> str | None:
    weight = site.shape(1)
    return f"a {len(weight) - 2}-D window" if weight is not None and len(weight) != 4 else None


def _weights(site: Site) -> str | None:
    return "the weights are computed" if site.constant(1) is None else None


def _kernel(site: Site) -> str | None:
    return outside("kernel", kernel(site), 1, 32)


def _pad(site: Site) -> str | None:
    padding, window = pads(site), kernel(site)
    if outside("", padding, 0, 31) or any(p >= k for p, k in zip(padding, window * 2, strict=False)):
        return f"padding {','.join(map(str, padding))} around a kernel {'×'.join(map(str, window))}"
    return None


def _stride(site: Site) -> str | None:
    return outside("stride", spatial(site, "strides"), 1, 8)


def _dilation(site: Site) -> str | None:
    return outside("dilation", spatial(site, "dilations"), 1, 32)


def _maps(site: Site) -> str | None:
    shape = site.shape(1)
    return outside("output maps", (shape[0],), 1, 8192) if shape else None


def _groups(site: Site) -> str | None:
    return outside("groups", (int(site.get("group", 1)),), 1, 8192)


def _groups_hwc4(site: Site) -> str | None:
    found = outside("groups", (int(site.get("group", 1)),), 1, 4)
    return f"{found} on an input in HWC4" if found and reads_hwc4(site) else None


def _cbuf(site: Site) -> str | None:
    shape, window = site.shape(), kernel(site)
    if shape is None or len(shape) != 4 or len(window) != 2:
        return None
    _, channels, _, width = shape
    dilation = spatial(site, "dilations")[0]
    banks = cbuf_banks(channels, width, (window[0], window[1]), dilation, site.element_bytes)
    if banks <= CBUF_BANKS:
        return None
    return f"{banks} banks for a {window[0]}×{window[1]} kernel over {channels} channels of {width} columns"


def _deconv_kernel(site: Site) -> str | None:
    window = kernel(site)
    strip = len(window) == 2 and min(window) == 1 and max(window) in {64, 96, 128}
    return None if strip else outside("kernel", window, 1, 32)


def _deconv_stride(site: Site) -> str | None:
    strides = spatial(site, "strides")
    strip = len(strides) == 2 and min(strides) == 1 and max(strides) in {64, 96, 128}
    return None if strip else outside("stride", strides, 1, 32)


def _deconv_square(site: Site) -> str | None:
    window, strides = kernel(site), spatial(site, "strides")
    both = {*window, *strides}
    if len(both) == 1 and 23 <= window[0] <= 32:
        return f"kernel and stride {window[0]}×{window[0]}"
    return None


def _deconv_pad(site: Site) -> str | None:
    """Written as such, or implied by an output of another size than stride · (size − 1) + dilated kernel."""
    padding = (*tuple(site.get("pads", ())), *site.get("output_padding", ()))
    if any(padding):
        return f"padding {','.join(map(str, padding))}"
    shape, out = site.shape(), site.output
    if shape is None or out is None:
        return None
    whole = tuple(
        stride * (size - 1) + (k - 1) * dilation + 1
        for size, stride, k, dilation in zip(
            shape[2:], spatial(site, "strides"), kernel(site), spatial(site, "dilations"), strict=False
        )
    )
    return (
        f"an output of {'×'.join(map(str, out[2:]))} instead of {'×'.join(map(str, whole))}"
        if out[2:] != whole
        else None
    )


def _deconv_groups(site: Site) -> str | None:
    return outside("groups", (int(site.get("group", 1)),), 1, 1)


def _deconv_dilation(site: Site) -> str | None:
    return outside("dilation", spatial(site, "dilations"), 1, 1)


def _deconv_channels(site: Site) -> str | None:
    shape = site.shape(1)
    return outside("input and output channels", (shape[0], shape[1]), 1, 8192) if shape else None


def _deconv_overlap(site: Site) -> str | None:
    window, strides = kernel(site), spatial(site, "strides")
    if window == strides:
        return None
    return f"kernel {'×'.join(map(str, window))}, stride {'×'.join(map(str, strides))}"


def _row(
    name: str,
    condition: str,
    limit: str,
    fix: str,
    check: Check,
    source: str = GUIDE,
    certainty: Certainty = Certainty.READ,
    effect: Effect = Effect.GPU,
) -> Rule:
    deconv = name.startswith("deconv")
    layer, which = ("Deconv", DECONVOLUTION) if deconv else ("Conv / FC", CONVOLUTION)
    return Rule(name, layer, condition, limit, source, fix, which, check, certainty=certainty, effect=effect)


RULES = (
    _row("conv-dimensions", "window", "two-dimensional", "reshape the data to pictures, use a 2-D convolution",
         _two_dimensions),
    _row("conv-weights", "weights", "a constant", "fix the weights before export", _weights,
         source="NvInfer.h, release/10.3", certainty=Certainty.INFERRED),
    _row("conv-kernel", "kernel height, width", "1 to 32", "stack smaller kernels: two 3×3 see what a 5×5 does",
         _kernel),
    _row("conv-padding", "padding", "0 to 31, and less than the kernel", "pad less; a 1×1 needs none", _pad),
    _row("conv-stride", "stride", "1 to 8", "stride in two steps", _stride),
    _row("conv-dilation", "dilation", "1 to 32", "dilate less, or downsample first", _dilation),
    _row("conv-maps", "output maps", "1 to 8192", "split into several convolutions", _maps),
    _row("conv-groups", "groups, input in kDLA_LINEAR, kCHW16 or kCHW32", "1 to 8192",
         "use fewer groups: dense convolutions are what the DLA is good at", _groups),
    _row("conv-groups-hwc4", "groups, input in kDLA_HWC4", "1 to 4", "let the first convolution be dense",
         _groups_hwc4),
    _row("conv-cbuf", "convolution buffer: banks of one kernel and of the lines it covers", "≤ 16 of 32 KiB",
         "fewer channels, a narrower picture, a smaller kernel or less dilation at this layer", _cbuf,
         source="TensorRT 8.2–8.4 developer guide (pseudo-code); from 8.6 on a heuristic before the DLA compiler"),
    _row("deconv-dimensions", "window", "two-dimensional", "use a 2-D deconvolution", _two_dimensions),
    _row("deconv-kernel", "kernel height, width", "1 to 32, or 1×{64, 96, 128}, or {64, 96, 128}×1",
         "use a smaller kernel", _deconv_kernel),
    _row("deconv-stride", "stride", "1 to 32, or 1×{64, 96, 128}, or {64, 96, 128}×1", "upsample in two steps",
         _deconv_stride, source=PAGE, certainty=Certainty.MEMORY),
    _row("deconv-square", "square kernel and stride of 23 to 32", "switched off: compiles too slowly",
         "upsample in two steps", _deconv_square),
    _row("deconv-padding", "padding", "0", "kernel = stride without padding, or nearest resize and a 3×3 convolution",
         _deconv_pad),
    _row("deconv-groups", "groups", "1", "nearest resize and a grouped convolution", _deconv_groups),
    _row("deconv-dilation", "dilation", "1", "leave out the dilation", _deconv_dilation),
    _row("deconv-channels", "input and output channels", "1 to 8192", "use fewer channels", _deconv_channels),
    _row("deconv-overlap", "kernel", "best equal to the stride",
         "kernel = stride, or nearest resize and a 3×3 convolution", _deconv_overlap,
         source="NVIDIA Deep-Learning-Accelerator-SW, FAQ", effect=Effect.NOTE),
)  # fmt: skip
