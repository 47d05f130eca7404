"""Another batch size for an ONNX file of a fixed one, without the ONNX package, which a Jetson's image has not.

It walks the protobuf encoding (protobuf.dev, "Encoding") down to the first dimension of each input and output
(onnx.proto: ModelProto.graph, GraphProto.input and output, ValueInfoProto.type, TypeProto.tensor_type, shape, dim), and
leaves out value_info, whose shapes would be those of the former batch. A network that reshapes to a fixed batch inside
will be refused by TensorRT, not by this.
"""

from collections.abc import Iterator

from unina_runtime.profile.outcome import CannotSay

GRAPH = 7
INITIALIZER, NAME_OF_INITIALIZER, INPUTS, OUTPUTS, VALUE_INFO = 5, 8, 11, 12, 13
TYPE_PATH = (2, 1, 2)
"""ValueInfoProto.type, TypeProto.tensor_type, TypeProto.Tensor.shape"""
DIM, DIM_VALUE = 1, 1


def with_batch(model: bytes, batch: int, origin: str) -> bytes:
    """The model with this first dimension of every input and output. Raises CannotSay."""
    try:
        parts = [
            (number, wire, _graph(value, batch, origin) if number == GRAPH else value)
            for number, wire, value in _fields(model)
        ]
    except (IndexError, ValueError) as error:
        raise CannotSay(f"{origin}: is not an ONNX file ({error})") from error
    if not any(number == GRAPH for number, _, _ in parts):
        raise CannotSay(f"{origin}: is not an ONNX file (no graph in it)")
    return b"".join(_field(*part) for part in parts)


def _graph(graph: bytes, batch: int, origin: str) -> bytes:
    fields = [one for one in _fields(graph) if one[0] != VALUE_INFO]
    constants = {_text(value, NAME_OF_INITIALIZER) for number, _, value in fields if number == INITIALIZER}
    changed = []
    for number, wire, value in fields:
        if number in {INPUTS, OUTPUTS} and _text(value, 1) not in constants:
            value = _shaped(value, TYPE_PATH, batch, f"{origin}: {_text(value, 1).decode(errors='replace')}")  # noqa: PLW2901
        changed.append(_field(number, wire, value))
    return b"".join(changed)


def _shaped(message: bytes, path: tuple[int, ...], batch: int, origin: str) -> bytes:
    """The message with what lies at the end of the path changed: a shape."""
    fields = list(_fields(message))
    if not path:
        first = next((index for index, one in enumerate(fields) if one[0] == DIM), None)
        if first is None:
            raise CannotSay(f"{origin}: is a scalar: it has no batch")
        fields[first] = (DIM, 2, _field(DIM_VALUE, 0, _varint(batch)))
        return b"".join(_field(*one) for one in fields)
    if not any(number == path[0] for number, _, _ in fields):
        raise CannotSay(f"{origin}: has no shape; export it with fixed shapes")
    inner = [(n, w, _shaped(v, path[1:], batch, origin) if n == path[0] else v) for n, w, v in fields]
    return b"".join(_field(*one) for one in inner)


def _text(message: bytes, field: int) -> bytes:
    return next((value for number, wire, value in _fields(message) if number == field and wire == 2), b"")


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type, and the bytes of the value. Raises IndexError, ValueError."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        begin = at
        if wire == 0:
            _, at = _read_varint(message, at)
        elif wire == 2:
            size, begin = _read_varint(message, at)
            at = begin + size
        elif wire in {1, 5}:
            at += 8 if wire == 1 else 4
        else:
            raise ValueError("a field of no kind that ONNX has")
        if at > len(message):
            raise ValueError("a field that ends behind its message")
        yield number, wire, message[begin:at]


def _field(number: int, wire: int, value: bytes) -> bytes:
    size = _varint(len(value)) if wire == 2 else b""
    return _varint(number << 3 | wire) + size + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")
