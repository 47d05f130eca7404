"""Reads the protobuf encoding (protobuf.dev, "Encoding"), for ONNX files: a Jetson's image has no ONNX package."""

from collections.abc import Iterator

NUMBER, WITH_LENGTH = 0, 2
"""wire types"""


def fields(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Number, wire type, and the bytes of the value of each field. Raises IndexError, ValueError."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, wire = tag >> 3, tag & 7
        begin = at
        if wire == NUMBER:
            _, at = varint(message, at)
        elif wire == WITH_LENGTH:
            size, begin = varint(message, at)
            at = begin + size
        elif wire in {1, 5}:
            at += 8 if wire == 1 else 4
        else:
            raise ValueError("a field of no kind that ONNX has")
        if at > len(message):
            raise ValueError("a field that ends behind its message")
        yield number, wire, message[begin:at]


def varint(message: memoryview, at: int = 0) -> tuple[int, int]:
    """A number, and where it ends. Raises IndexError, ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")
