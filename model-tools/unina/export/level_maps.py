"""The maps of a detector that was trained elsewhere, where they mean what ours mean (docs/bundle.md)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unina.dla.graph import Shape
from unina.evaluate import Head
from unina.evaluate.picture_input import PictureInput

SIDES = 4


@dataclass(frozen=True)
class LevelMaps:
    """One level: names of two outputs."""

    stride: int
    classes: str
    """logits, a channel a class"""
    boxes: str
    """distances in strides to left, top, right and bottom: themselves, or as many bins for each"""

    @classmethod
    def parse(cls, text: str) -> "LevelMaps":
        """`STRIDE=CLASSES,BOXES`. Raises ValueError."""
        match = re.fullmatch(r"([1-9]\d{0,3})=([^,]+),([^,]+)", text)
        if match is None:
            raise ValueError(f"--level {text}: expected STRIDE=CLASS_MAP,BOX_MAP, such as 8=/cls/Conv,/box/Conv")
        return cls(int(match[1]), match[2], match[3])


def head_of(
    levels: Sequence[LevelMaps], shapes: Mapping[str, Shape], classes: Sequence[str], picture: PictureInput
) -> Head:
    """What decodes the maps. Raises ValueError where their shapes are not those of such maps."""
    strides = tuple(level.stride for level in levels)
    if list(strides) != sorted(set(strides)) or any(stride & (stride - 1) for stride in strides):
        raise ValueError(f"--level: the strides are {strides}; give powers of two, the finest first")
    bins = shapes[levels[0].boxes][1] // SIDES
    for level in levels:
        size = (picture.height // level.stride, picture.width // level.stride)
        for name, channels in ((level.classes, len(classes)), (level.boxes, SIDES * bins)):
            wanted = (1, channels, *size)
            if shapes[name] != wanted or picture.height % level.stride or picture.width % level.stride:
                told = ("×".join(map(str, shape)) for shape in (shapes[name], wanted))
                raise ValueError("--level {}: {} is {}, expected {}".format(level.stride, name, *told))
    names = tuple(name for level in levels for name in (level.classes, level.boxes))
    return Head(
        names,
        strides,
        bins,
        picture.height,
        picture.width,
        len(classes),
        picture.letterbox_value,
        picture.color,
    )
