"""Whether an operator's operands and attributes fit each other, by ONNX's definitions.

Shape inference passes over what does not fit: it leaves the shape out, or believes the one that the file declares.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Shape = tuple[int, ...] | None
Shapes = Sequence[Shape]
Attributes = Mapping[str, Any]

_CONVOLVES = {"Conv", "ConvTranspose"}
_POOLS = {"MaxPool", "AveragePool", "LpPool"}
_SPREADS = {
    *("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Equal", "Greater", "Less", "Where", "PRelu"),
}
_RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}


def misfit(op: str, attributes: Attributes, inputs: Shapes, outputs: Shapes) -> str | None:
    """What is impossible about an operator, with the numbers; None when nothing is, as far as its shapes are known.

    Args:
        op: as ONNX calls it, of its own domain.
        attributes: those that are given, as Python values.
        inputs: shapes of the inputs; None for what is left out or unknown.
        outputs: shapes of the outputs, as inferred or declared.
    """
    if op in _CONVOLVES | _POOLS:
        return _window(op, attributes, inputs)
    if op in _SPREADS:
        return _spread(inputs)
    check = _CHECKS.get(op)
    if check is not None:
        return check(attributes, inputs)
    return _elements(inputs, outputs) if op in _RESHAPES else None


def _window(op: str, attributes: Attributes, inputs: Shapes) -> str | None:
    """Of convolution and pooling: attributes against the window's dimensions, channels against weights."""
    whole = inputs[0]
    weight = inputs[1] if op in _CONVOLVES and len(inputs) > 1 else None
    given = tuple(attributes.get("kernel_shape", ()))
    window = given or (weight[2:] if weight else ())
    found = _attributes(attributes, window)
    if found is None and weight is not None and given and weight[2:] != given:
        found = f"kernel_shape {_text(given)}, but weights of {_text(weight)}"
    if found is None and op in _CONVOLVES and whole is not None and weight is not None:
        found = _channels(op, int(attributes.get("group", 1)), whole, weight, inputs[2] if len(inputs) > 2 else None)
    if found is None and whole is not None and window and len(whole) != len(window) + 2:
        found = f"a {len(window)}-D window over an input of {_text(whole)}"
    rounds_up = op in _POOLS and attributes.get("ceil_mode", 0)  # then a window may reach beyond its input
    if (
        found
        or op == "ConvTranspose"
        or rounds_up
        or whole is None
        or attributes.get("auto_pad", "NOTSET") not in {"", "NOTSET"}
    ):
        return found
    pads = tuple(attributes.get("pads", (0,) * (2 * len(window))))
    dilations = tuple(attributes.get("dilations", (1,) * len(window)))
    for size, kernel, dilation, *around in zip(
        whole[2:], window, dilations, pads[: len(window)], pads[len(window) :], strict=False
    ):
        if size + sum(around) < (kernel - 1) * dilation + 1:
            return (
                f"a window of {(kernel - 1) * dilation + 1} over {size + sum(around)}, padding included: "
                f"its input of {_text(whole)} is too small"
            )
    return None


def _attributes(attributes: Attributes, window: tuple[int, ...]) -> str | None:
    for name, ends, least in (("kernel_shape", 1, 1), ("strides", 1, 1), ("dilations", 1, 1), ("pads", 2, 0)):
        values = attributes.get(name)
        if values is None:
            continue
        if min(values, default=least) < least:
            return f"{name} {_text(values)}: each is at least {least}"
        if window and len(values) != ends * len(window):
            return f"{name} {_text(values)}: {len(values)} values for a {len(window)}-D window"
    group = attributes.get("group", 1)
    return f"group {group}: at least 1" if group < 1 else None


def _channels(op: str, group: int, whole: tuple[int, ...], weight: tuple[int, ...], bias: Shape) -> str | None:
    if len(whole) < 2 or len(weight) < 2:
        return f"an input of {_text(whole)} and weights of {_text(weight)}"
    forward = op == "Conv"
    reads, writes = (weight[1] * group, weight[0]) if forward else (weight[0], weight[1] * group)
    groups = f"{group} group{'s' * (group != 1)}"
    if whole[1] != reads:
        return (
            f"weights of {_text(weight)} in {groups} read {reads} channels, its input of {_text(whole)} has {whole[1]}"
        )
    if weight[0] % group:
        what = "output" if forward else "input"
        return f"{weight[0]} {what} channels cannot be divided into {groups}"
    return f"a bias of {_text(bias)} for {writes} output channels" if bias and bias != (writes,) else None


def _spread(inputs: Shapes) -> str | None:
    """Of element-wise operators: each dimension equal, or 1, counted from the last."""
    known = [shape for shape in inputs if shape is not None]
    for axis in range(1, max(map(len, known), default=0) + 1):
        sizes = {shape[-axis] for shape in known if len(shape) >= axis} - {1}
        if len(sizes) > 1:
            return f"operands of {' and '.join(map(_text, known))} cannot be spread over each other"
    return None


def _matmul(_: Attributes, inputs: Shapes) -> str | None:
    left, right = inputs[:2]
    if not left or not right or left[-1] == (right[-2] if len(right) > 1 else right[0]):
        return None
    return f"a product of {_text(left)} and {_text(right)}: the inner sizes differ"


def _gemm(attributes: Attributes, inputs: Shapes) -> str | None:
    left, right = inputs[:2]
    if left is None or right is None:
        return None
    if len(left) != 2 or len(right) != 2:
        return f"a product of {_text(left)} and {_text(right)}: Gemm takes two dimensions"
    left, right = left[::-1] if attributes.get("transA") else left, right[::-1] if attributes.get("transB") else right
    return None if left[1] == right[0] else f"a product of {_text(left)} and {_text(right)}: the inner sizes differ"


def _batch_norm(_: Attributes, inputs: Shapes) -> str | None:
    whole = inputs[0]
    for shape in inputs[1:5]:
        if whole is not None and shape is not None and len(whole) > 1 and shape != (whole[1],):
            return f"statistics of {_text(shape)} for an input of {_text(whole)}"
    return None


def _elements(inputs: Shapes, outputs: Shapes) -> str | None:
    before, after = inputs[0], outputs[0]
    if before is None or after is None or _product(before) == _product(after):
        return None
    return f"{_text(before)} cannot become {_text(after)}: {_product(before)} values, not {_product(after)}"


_CHECKS: Mapping[str, Callable[[Attributes, Shapes], str | None]] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "BatchNormalization": _batch_norm,
}


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _text(sizes: Sequence[int] | None) -> str:
    return "×".join(map(str, sizes or ())) or "one number"
