"""Another batch size for an ONNX file of a fixed one, without the ONNX package, which a Jetson's image has not.

It walks down to the first dimension of each input and output
(onnx.proto: ModelProto.graph, GraphProto.input and output, ValueInfoProto.type, TypeProto.tensor_type, shape, dim), and
leaves out value_info, whose shapes would be those of the former batch. A network that reshapes to a fixed batch inside
will be refused by TensorRT, not by this.
"""

from unina_runtime.compile.protobuf_wire import NUMBER, WITH_LENGTH, fields
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
            for number, wire, value in fields(memoryview(model))
        ]
    except (IndexError, ValueError) as error:
        raise CannotSay(f"{origin}: is not an ONNX file ({error})") from error
    if not any(number == GRAPH for number, _, _ in parts):
        raise CannotSay(f"{origin}: is not an ONNX file (no graph in it)")
    return b"".join(_field(*part) for part in parts)


def _graph(graph: memoryview, batch: int, origin: str) -> bytes:
    kept = [one for one in fields(graph) if one[0] != VALUE_INFO]
    constants = {_text(value, NAME_OF_INITIALIZER) for number, _, value in kept if number == INITIALIZER}
    changed = []
    for number, wire, value in kept:
        if number in {INPUTS, OUTPUTS} and _text(value, 1) not in constants:
            name = f"{origin}: {_text(value, 1).decode(errors='replace')}"
            changed.append(_field(number, wire, _shaped(value, TYPE_PATH, batch, name)))
        else:
            changed.append(_field(number, wire, value))
    return b"".join(changed)


def _shaped(message: memoryview, path: tuple[int, ...], batch: int, origin: str) -> bytes:
    """The message with what lies at the end of the path changed: a shape."""
    parts: list[tuple[int, int, bytes | memoryview]] = list(fields(message))
    if not path:
        first = next((index for index, one in enumerate(parts) if one[0] == DIM), None)
        if first is None:
            raise CannotSay(f"{origin}: is a scalar: it has no batch")
        parts[first] = (DIM, WITH_LENGTH, _field(DIM_VALUE, NUMBER, _varint(batch)))
        return b"".join(_field(*one) for one in parts)
    if not any(number == path[0] for number, _, _ in parts):
        raise CannotSay(f"{origin}: has no shape; export it with fixed shapes")
    inner = [(n, w, _shaped(memoryview(v), path[1:], batch, origin) if n == path[0] else v) for n, w, v in parts]
    return b"".join(_field(*one) for one in inner)


def _text(message: memoryview, field: int) -> bytes:
    found = (value for number, wire, value in fields(message) if number == field and wire == WITH_LENGTH)
    return bytes(next(found, b""))


def _field(number: int, wire: int, value: bytes | memoryview) -> bytes:
    size = _varint(len(value)) if wire == WITH_LENGTH else b""
    return _varint(number << 3 | wire) + size + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
