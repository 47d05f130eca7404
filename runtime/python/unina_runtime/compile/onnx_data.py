"""Refuses an ONNX file whose tensors lie in other files: a path in it could lead out of the bundle.

It walks along the fields of onnx.proto that can hold a tensor, and does not look at their numbers.
"""

from collections.abc import Mapping

from unina_runtime.compile.manifest import AGAIN
from unina_runtime.compile.outcome import Refused
from unina_runtime.compile.protobuf_wire import WITH_LENGTH, fields
from unina_runtime.compile.verified_bundle import VerifiedBundle

HOLDERS: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        **{5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto"},
        **{22: "SparseTensorProto", 23: "SparseTensorProto"},
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
"""Message, field number, message of the field"""
EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""of TensorProto: where the data lies; and whether it does (0: in this file)"""
DEEPEST = 64
"""graphs within graphs; a network for the DLA has none"""


def require_own_networks(bundle: VerifiedBundle) -> None:
    """The same for every ONNX file of a bundle. Raises Refused."""
    for name in bundle.manifest.files:
        if name.endswith(".onnx"):
            require_own_data((bundle.path / name).read_bytes(), name)


def require_own_data(content: bytes, origin: str) -> None:
    """Raises Refused: a tensor in another file, or not an ONNX file."""
    try:
        outside = _outside(memoryview(content), "ModelProto", 0)
    except (IndexError, ValueError) as error:
        raise Refused(f"{origin}: is not an ONNX file; {AGAIN}") from error
    if outside:
        raise Refused(f"{origin}: has tensors in other files, which a bundle may not; {AGAIN}")


def _outside(message: memoryview, kind: str, depth: int) -> bool:
    if depth > DEEPEST:
        raise ValueError("too deep")
    for number, wire, value in fields(message):
        if kind == "TensorProto" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and any(value))):
            return True
        inner = HOLDERS[kind].get(number)
        if inner is None:
            continue
        if wire != WITH_LENGTH:
            raise ValueError("a number where a message is due")
        if _outside(value, inner, depth + 1):
            return True
    return False
