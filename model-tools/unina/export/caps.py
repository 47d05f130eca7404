"""Keeps tensors that are clipped from above (ReLU6) away from ties that would give them a wider scale.

INT8 ends at 127 steps, and that is where a clipped tensor is cut. A sum or a concatenation gives its inputs one scale,
the widest, and so does clipping to what it reads, where others read that as well. There a depthwise convolution of 1×1
copies the tensor first.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from unina.export.deploy_network import DeployNetwork, Step, channel_step


def caps_apart(network: DeployNetwork) -> DeployNetwork:
    """The same function, with a copy of every clipped tensor where a tie would widen its scale."""
    capped: dict[str, float] = {}
    """tensor → what it is clipped to, and all that share its scale with it"""
    channels: dict[str, int] = {network.input: network.shape[1]}
    steps: list[Step] = []
    readers = Counter([*network.outputs, *(name for step in network.steps for name in set(step.inputs))])
    for step in network.steps:
        caps = {capped.get(name) for name in step.inputs}
        if step.op in {"Add", "Concat", "Max", "Min"} and len(caps) > 1:
            copies = {name: f"{name}_for_{step.name}" for name in dict.fromkeys(step.inputs) if name in capped}
            steps += [_copy(name, copy, channels[name]) for name, copy in copies.items()]
            channels |= {copy: channels[name] for name, copy in copies.items()}
            step = replace(step, inputs=tuple(copies.get(name, name) for name in step.inputs))  # noqa: PLW2901
        elif step.op == "Clip" and (readers[step.inputs[0]] > 1 or step.inputs[0] == network.input):
            copy = f"{step.inputs[0]}_for_{step.name}"
            channels[copy] = channels[step.inputs[0]]
            steps.append(_copy(step.inputs[0], copy, channels[copy]))
            step = replace(step, inputs=(copy,))  # noqa: PLW2901
        elif _keeps_scale(step) and caps != {None}:
            capped[step.output] = next(cap for cap in caps if cap is not None)
        if step.op == "Clip":
            capped[step.output] = float(step.constants["max"])
        channels[step.output] = _channels(step, channels)
        steps.append(step)
    return replace(network, steps=tuple(steps))


def _keeps_scale(step: Step) -> bool:
    nearest = step.op == "Resize" and step.attributes["mode"] == "nearest"
    return nearest or step.op in {"MaxPool", "AveragePool", "Concat", "Max", "Min"}


def _channels(step: Step, channels: dict[str, int]) -> int:
    if step.op == "Conv":
        return len(step.weight)
    if step.op == "ConvTranspose":
        return int(step.weight.shape[1])
    return sum(channels[name] for name in step.inputs) if step.op == "Concat" else channels[step.inputs[0]]


def _copy(name: str, copy: str, channels: int) -> Step:
    return channel_step(f"{copy}/Conv", name, copy, np.ones(channels), np.zeros(channels))
