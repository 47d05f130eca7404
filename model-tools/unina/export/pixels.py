"""What a network expects of pixels, folded into its first convolutions: the DLA reads pixel − 128 as int8."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from unina.export.deploy_network import DeployNetwork, Step, channel_step

CENTRE = 128.0
"""What is subtracted from a pixel anyway; it is also what padding then stands for."""
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Normalisation:
    """The network was trained on (pixel − mean) / std, with pixels of 0 to 255, in its own order of colours."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)

    def __post_init__(self) -> None:
        if not all(np.isfinite([*self.mean, *self.std])) or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std}: each std is above zero, all are finite")

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """pixel − 128 → what the network was trained on; both float32 1×3×H×W."""
        scale, shift = self._affine()
        return (x * scale.reshape(1, 3, 1, 1) + shift.reshape(1, 3, 1, 1)).astype(np.float32)

    def _affine(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        std = np.asarray(self.std, np.float64)
        return 1 / std, (CENTRE - np.asarray(self.mean, np.float64)) / std

    def fold(self, network: DeployNetwork) -> tuple[DeployNetwork, tuple[str, ...]]:
        """The network on pixel − 128, and what is no longer exact about it.

        Exact, but for a convolution that reads the picture and pads it: zeros there meant the mean, and now mean 128.
        """
        scale, shift = self._affine()
        readers = [step for step in network.steps if network.input in step.inputs]
        if np.array_equal(scale, np.ones(3)) and not shift.any():
            return network, ()
        if any(step.op != "Conv" for step in readers) or network.input in network.outputs:
            return _in_front(network, scale, shift), ()
        steps = tuple(_folded(step, scale, shift) if step in readers else step for step in network.steps)
        means = " ".join(f"{value:g}" for value in self.mean)
        notes = tuple(
            f"{step.name}: its padding stands for pixel 128, where the network was trained with {means}"
            for step in readers
            if shift.any() and any(step.attributes["pads"])
        )
        return replace(network, steps=steps), notes


def _folded(step: Step, scale: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]) -> Step:
    """A convolution that reads the picture."""
    outputs, inputs = step.weight.shape[:2]
    group = np.arange(outputs) // (outputs // step.attributes["group"])
    channels = group[:, None] * inputs + np.arange(inputs)  # which of the picture's each weight reads
    weight = step.weight * scale[channels][:, :, None, None]
    bias = step.bias + (step.weight * shift[channels][:, :, None, None]).sum(axis=(1, 2, 3))
    constants = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    return replace(step, constants=constants)


def _in_front(network: DeployNetwork, scale: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]) -> DeployNetwork:
    """With a layer of its own, where something else than convolutions reads the picture."""
    name = f"{network.input}_normalised"
    first = channel_step(f"{name}/Conv", network.input, name, scale, shift)
    rest = tuple(
        replace(step, inputs=tuple(name if x == network.input else x for x in step.inputs)) for step in network.steps
    )
    return replace(network, steps=(first, *rest))
