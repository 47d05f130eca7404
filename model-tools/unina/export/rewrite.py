"""Any network in the operators of a deploy graph, as far as that changes nothing; what is left over is refused by name.

Batch normalisation, and additions and products by channel, go into convolutions; so do averages (a depthwise
convolution of equal weights) and fully connected layers (a window as large as the map). What only reshapes vanishes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from unina.dla.check import Device, check
from unina.dla.network import Network, Node
from unina.export import rewrite_activations as activations
from unina.export import rewrite_channels as channels
from unina.export import rewrite_enlarge as enlarge
from unina.export import rewrite_pairs as pairs
from unina.export import rewrite_places as places
from unina.export import rewrite_windows as windows
from unina.export.caps import caps_apart
from unina.export.deploy_network import DeployNetwork
from unina.export.rewrite_draft import Draft, RewriteError

__all__ = ["RewriteError", "before_decoding", "deploy_network"]

DECODED_AFTERWARDS = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
"""At the end of a network: the decode's work, on the CPU."""
INSTEAD = {
    "LRN": "train with BatchNormalization in its place",
    "QuantizeLinear": "give the network without Q/DQ; the export calibrates it anew",
    "DequantizeLinear": "give the network without Q/DQ; the export calibrates it anew",
}
"""What the DLA runs and the host engine does not, and what both do."""


def deploy_network(network: Network, outputs: Sequence[str]) -> DeployNetwork:
    """The part of a network that leads to `outputs`, as steps of a deploy graph.

    Args:
        network: of one input, 1×C×H×W.
        outputs: names of its tensors, which the steps' outputs keep.

    Raises:
        RewriteError: an operator that neither runs in a deploy graph nor can become one that does.
        ValueError: two outputs are the same tensor, or one is the picture itself.
    """
    draft = Draft(network, outputs)
    _refuse_unknown(draft)
    for node in draft.nodes:
        _HANDLERS[node.op](draft, node)
    (picture,) = draft.network.inputs
    renamed = {_at_the_end(draft, name): name for name in draft.outputs}
    if len(renamed) < len(draft.outputs):
        raise ValueError(f"outputs {', '.join(draft.outputs)}: two of them are the same tensor; name one")
    if picture in renamed:
        raise ValueError(f"output {renamed[picture]}: is the picture itself; name another")
    names = _spellable([step.name for step in draft.steps.values()])
    steps = tuple(
        replace(
            step,
            name=name,
            inputs=tuple(renamed.get(name, name) for name in step.inputs),
            output=renamed.get(step.output, step.output),
        )
        for name, step in zip(names, draft.steps.values(), strict=True)
    )
    return caps_apart(DeployNetwork(picture, draft.shape(picture), steps, draft.outputs))


def _spellable(names: Sequence[str]) -> list[str]:
    """The names of nodes, each once, without what `trtexec --layerPrecisions` parts them by."""
    found: dict[str, None] = {}
    for name in names:
        plain = re.sub(r"[,'\"*\x00-\x1f]", "_", name)
        while plain in found:
            plain += "_"
        found[plain] = None
    return list(found)


def before_decoding(network: Network, outputs: Sequence[str]) -> tuple[str, ...]:
    """The outputs, where one is a softmax or sigmoid what that reads."""
    return tuple(_before_decoding(network, name) for name in outputs)


def _before_decoding(network: Network, name: str) -> str:
    node = network.producers.get(name)
    return _before_decoding(network, node.inputs[0]) if node and node.op in DECODED_AFTERWARDS else name


def _at_the_end(draft: Draft, name: str) -> str:
    if name in draft.padded:
        raise ValueError(f"output {name}: is padding around {draft.padded[name][0]}; name that one")
    if name in draft.arranged:
        raise ValueError(
            f"output {name}: is {draft.arranged[name].source} with its channels on several axes; name that one"
        )
    if name in draft.flat:
        raise ValueError(f"output {name}: is {draft.flat[name].source}, a map, flattened; name that one (--outputs)")
    return draft.at(name)


def _refuse_unknown(draft: Draft) -> None:
    unknown = [node for node in draft.nodes if node.op not in _HANDLERS]
    if not unknown:
        return
    verdict = next(one for one in check(draft.network).verdicts if one.node is unknown[0])
    if verdict.device is Device.GPU:
        why = f"does not run on the DLA: {verdict.fix}"
    else:
        instead = INSTEAD.get(unknown[0].op, "take one of the operators in docs/from/onnx.md")
        why = f"runs on the DLA, but not in the host engine, so that nothing could check the bundle: {instead}"
    more = f"; {len(unknown) - 1} more such nodes (unina-dla check lists them all)" if len(unknown) > 1 else ""
    raise RewriteError(unknown[0], f"{why}; or let the network end before it (--outputs){more}")


_HANDLERS: dict[str, Callable[[Draft, Node], None]] = {
    "Conv": windows.conv,
    "ConvTranspose": enlarge.deconv,
    "DepthToSpace": enlarge.depth_to_space,
    "Gemm": windows.dense,
    "MatMul": windows.dense,
    "BatchNormalization": channels.batch_norm,
    "Add": pairs.arithmetic,
    "Sum": pairs.arithmetic,
    "Sub": pairs.arithmetic,
    "Mul": pairs.arithmetic,
    "Div": pairs.arithmetic,
    "Pow": pairs.power,
    "Max": pairs.extreme,
    "Min": pairs.extreme,
    "Split": channels.split,
    "Slice": channels.channel_slice,
    "Relu": activations.as_it_is,
    "LeakyRelu": activations.leaky_relu,
    "PRelu": activations.prelu,
    "Clip": activations.clip,
    "Sigmoid": activations.as_it_is,
    "Tanh": activations.as_it_is,
    "Abs": activations.as_it_is,
    "Sin": activations.as_it_is,
    "Cos": activations.as_it_is,
    "Atan": activations.as_it_is,
    "HardSigmoid": activations.hard_sigmoid,
    "HardSwish": activations.hard_swish,
    "MaxPool": windows.max_pool,
    "AveragePool": windows.average_pool,
    "GlobalAveragePool": windows.global_average,
    "ReduceMean": windows.reduce_mean,
    "GlobalMaxPool": windows.global_max,
    "ReduceMax": windows.reduce_max,
    "SpaceToDepth": places.space_to_depth,
    "Concat": places.concat,
    "Resize": enlarge.resize,
    "Upsample": enlarge.resize,
    "Pad": places.pad,
    "Expand": pairs.expand,
    "Reshape": places.reshape,
    "Flatten": places.reshape,
    "Squeeze": places.reshape,
    "Unsqueeze": places.reshape,
    "Transpose": places.transpose,
    "Identity": places.nothing,
    "Dropout": places.nothing,
    "Cast": places.cast,
}
