"""Rules of what only moves data: concat, slice and split, reshape and transpose."""

from unina.dla.rules.general import CALIBRATED
from unina.dla.rules.operators import RESHAPE, SHUFFLE, SLICE
from unina.dla.rules.rule import GUIDE, PAGE, Certainty, Effect, Rule, Site, Versions, ops
from unina.dla.tensorrt import TensorRt

CHANNELS = 1


def _concat_axis(site: Site) -> str | None:
    axis = site.axis(1, len(site.output or (0,) * 4))
    return None if axis == CHANNELS else f"concat along axis {axis}"


def _concat_inputs(site: Site) -> str | None:
    count = len([name for name in site.node.inputs if name])
    return f"{count} input" if count < 2 else None


def _concat_sizes(site: Site) -> str | None:
    shapes = [site.network.shape(name) for name in site.variables]
    sizes = {shape[2:] for shape in shapes if shape is not None and len(shape) == 4}
    return f"maps of {', '.join('×'.join(map(str, size)) for size in sorted(sizes))}" if len(sizes) > 1 else None


def _concat_scales(site: Site) -> str | None:
    scales = site.scales((*site.variables, site.node.outputs[0]))
    return f"scales {', '.join(f'{scale:.6g}' for scale in scales)}" if len(set(scales)) > 1 else None


def _slice_static(site: Site) -> str | None:
    names = ("starts", "ends", "axes", "steps") if site.node.op == "Slice" else ("split",)
    for index, name in enumerate(names, 1):
        if site.has(index) and site.constant(index) is None:
            return f"its {name} are computed"
    return None


def _slice_axes(site: Site) -> tuple[int, ...]:
    rank = len(site.shape() or (0,) * 4)
    if site.node.op == "Split":
        return (site.axis(0, rank),)
    given = site.constant(3)
    axes = given.reshape(-1).tolist() if given is not None else site.get("axes")
    if axes is None:
        starts = site.constant(1)
        axes = range(starts.size if starts is not None else len(site.get("starts", ())))
    return tuple(int(axis) + rank if axis < 0 else int(axis) for axis in axes)


def _slice_batch(site: Site) -> str | None:
    shape, out = site.shape(), site.output
    touched = shape is None or out is None or shape[:1] != out[:1]
    return f"it {site.node.op.lower()}s the batch" if 0 in _slice_axes(site) and touched else None


def _slice_step(site: Site) -> str | None:
    steps = site.constant(4)
    if site.node.op != "Slice" or steps is None or all(step == 1 for step in steps.reshape(-1)):
        return None
    return f"steps {', '.join(str(int(step)) for step in steps.reshape(-1))}"


def _slice_precision(site: Site) -> str | None:
    return f"{site.node.op} in an INT8 network"


def _reshape_batch(site: Site) -> str | None:
    shape, out = site.shape(), site.output
    if shape and out and shape[0] != out[0]:
        return f"the batch of {shape[0]} becomes {out[0]}"
    return None


def _transpose_batch(site: Site) -> str | None:
    order = site.get("perm")
    rank = len(site.shape() or (0,) * 4)
    first = order[0] if order else rank - 1
    return (
        f"the batch moves: order {', '.join(map(str, order))}"
        if first != 0 and order
        else ("the batch moves: all axes are turned round" if first != 0 else None)
    )


def _beside_slice(site: Site) -> str | None:
    before = [site.network.producers.get(name) for name in site.variables]
    for node in [*before, *site.readers]:
        if node is not None and node.op in {"Slice", "Split", "Concat"}:
            return f"it is directly connected to {node.name} ({node.op})"
    return None


RULES = (
    Rule("concat-axis", "Concat", "axis", "channels only", GUIDE,
         "concatenate channels; keep levels apart as outputs of their own", ops("Concat"), _concat_axis),
    Rule("concat-inputs", "Concat", "inputs", "at least two", GUIDE, "leave it out", ops("Concat"), _concat_inputs),
    Rule("concat-sizes", "Concat", "H and W of the inputs", "equal", GUIDE, "resize first", ops("Concat"),
         _concat_sizes),
    Rule("concat-scales", "Concat", "ranges in INT8", "all inputs equal, and equal to the output", GUIDE,
         "tie the scales of the inputs and the output, as `unina-export` does", ops("Concat"), _concat_scales,
         precision="INT8", trt=CALIBRATED, effect=Effect.NOTE),
    Rule("slice-static", "Slice / Split", "start, size and axes", "constants, within bounds", GUIDE,
         "slice at fixed places", SLICE, _slice_static),
    Rule("slice-batch", "Slice / Split", "axes", "not the batch", GUIDE, "slice channels or maps", SLICE, _slice_batch),
    Rule("slice-step", "Slice / Split", "stride", "1", GUIDE,
         "instead of every second pixel (Focus), use a strided convolution: 6×6, stride 2, padding 2", SLICE,
         _slice_step),
    Rule("slice-precision", "Slice / Split", "precision", "FP16 only in TensorRT 8.5; later INT8, too", GUIDE,
         "two convolutions instead of a split", SLICE, _slice_precision, precision="INT8",
         trt=Versions(before=TensorRt(8, 6)), effect=Effect.FP16),
    Rule("slice-int8", "Slice / Split", "precision", "INT8 after TensorRT 8.5", PAGE,
         "try it on the device; two convolutions instead of a split are safe", SLICE, _slice_precision,
         precision="INT8", trt=Versions(since=TensorRt(8, 6)), certainty=Certainty.UNVERIFIED, effect=Effect.NOTE),
    Rule("shuffle-batch", "Shuffle (Reshape / Transpose)", "batch", "untouched", GUIDE,
         "keep the batch dimension first and whole", SHUFFLE - {"Transpose"}, _reshape_batch),
    Rule("transpose-batch", "Shuffle (Reshape / Transpose)", "batch", "untouched", GUIDE,
         "keep the batch dimension first and whole", ops("Transpose"), _transpose_batch),
    Rule("shuffle-beside", "Shuffle (Reshape / Transpose)", "reshape next to Slice or Concat",
         "not supported (“reshape layers directly connected to Slice or Concat”)", "ultralytics#18012",
         "leave out the reshape; end the network at its raw maps", RESHAPE, _beside_slice, certainty=Certainty.USER),
)  # fmt: skip
