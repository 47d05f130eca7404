"""Any ONNX network as plain data: what a checker and an estimator need to know, without running it.

Unlike `graph.py`, which reads the one kind of graph that is deployed, this reads whatever a user brings. Constants are
folded first, because TensorRT's parser folds them, too: what is left are the nodes that something would have to run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from unina.dla.operands import misfit

Array = npt.NDArray[Any]

LARGEST_FILE_BYTES = 1 << 30
"""A network that fits a DLA has a few hundred megabytes of weights at most; protobuf itself stops at 2 GiB."""
LARGEST_FOLD = 1 << 24
"""Elements that one folded node may write."""
FOLD_ROUNDS = 8
"""A folded shape lets the next shapes be inferred; exporters chain a few such steps."""


class NetworkError(ValueError):
    """The file is not a network that can be looked at; one line that says what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))  # names come from the file and may hold line ends


@dataclass(frozen=True)
class TensorType:
    """What is known of a tensor before it is computed."""

    shape: tuple[int, ...] | None
    """None: not known, because an operator is unknown or the shape depends on the data"""
    dtype: str
    """NumPy's name, such as "float32"; "" when not known"""


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the network."""

    name: str
    """the node's own, or else that of its first output"""
    op: str
    """ONNX operator, such as "Conv"; of another domain: "domain::Op" """
    inputs: tuple[str, ...]
    """tensor names; "" where an optional one is left out"""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """as Python values, strings decoded; only those that the file gives"""


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes in execution order, constants folded away."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, TensorType]
    """of every tensor that a node reads or writes, and of the inputs"""
    constants: Mapping[str, Array]
    """initialisers and folded constants"""
    opset: int

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """The static shape, or None."""
        if tensor in self.constants:
            return tuple(self.constants[tensor].shape)
        found = self.tensors.get(tensor)
        return found.shape if found else None

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that writes each tensor; network inputs and constants have none."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each tensor, each once, in execution order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(filter(None, node.inputs)):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}


def printable(text: str) -> str:
    """The text with what would break a line, or steer a terminal, replaced."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def read_network(
    source: Path | bytes | onnx.ModelProto, input_shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Network:
    """Reads any ONNX network, gives its inputs the given shapes and folds its constants.

    Raises:
        NetworkError: no such file, not ONNX, too large, an input whose shape is not static, weights that lie elsewhere.
    """
    where, model = _load(source)
    _fix_inputs(model, dict(input_shapes or {}), where)
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        opset = max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)
        return _folded(model, constants, opset)
    except NetworkError:
        raise
    except Exception as error:  # a broken file fails anywhere inside onnx, with any exception
        raise NetworkError(f"{where}: the network is damaged: {_first_line(error)}") from error


def _load(source: Path | bytes | onnx.ModelProto) -> tuple[str, onnx.ModelProto]:
    """The model, weights included, and what to call it in messages."""
    if isinstance(source, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(source)
        return "the network", copy
    where = str(source) if isinstance(source, Path) else "the network"
    try:
        if isinstance(source, Path):
            if not source.is_file():
                raise NetworkError(f"{where}: {'not a regular file' if source.exists() else 'no such file'}")
            size = source.stat().st_size
            if size > LARGEST_FILE_BYTES:
                raise NetworkError(f"{where}: {size / 1e9:.1f} GB; networks up to 1 GiB are looked at")
            model = onnx.load(source, load_external_data=False)
            outside = [tensor for tensor in model.graph.initializer if tensor.data_location == tensor.EXTERNAL]
            if outside:
                onnx.load_external_data_for_model(model, str(source.parent))
        else:
            model = onnx.load_model_from_string(source)
    except NetworkError:
        raise
    except Exception as error:  # protobuf and onnx raise their own types
        raise NetworkError(f"{where}: not an ONNX network: {_first_line(error)}") from error
    if not model.graph.node:
        raise NetworkError(f"{where}: no nodes: not an ONNX network, or an empty one")
    return where, model


def _fix_inputs(model: onnx.ModelProto, wanted: dict[str, tuple[int, ...]], where: str) -> None:
    """Writes the wanted shapes into the inputs; refuses what is still not static."""
    weights = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in weights]
    names = [value.name for value in values]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise NetworkError(f"{where}: no input is called {unknown[0]}; the inputs are {', '.join(names)}")
    for value in values:
        shape = value.type.tensor_type.shape
        given = wanted.get(value.name)
        if given is not None:
            if value.type.tensor_type.HasField("shape") and len(shape.dim) != len(given):
                raise NetworkError(
                    f"{where}: input {value.name} has {len(shape.dim)} dimensions, the given shape {_text(given)} "
                    f"has {len(given)}"
                )
            shape.ClearField("dim")
            for size in given:
                shape.dim.add().dim_value = size
        sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in shape.dim]
        known = value.type.tensor_type.HasField("shape")  # a single number has one, too: no dimensions
        if not known or not all(isinstance(size, int) and size > 0 for size in sizes):
            likely = dict(enumerate((1, 3))) if len(sizes) == 4 else {0: 1}
            example = [
                size if isinstance(size, int) and size > 0 else likely.get(axis, 640) for axis, size in enumerate(sizes)
            ]
            what = "a size of 0 holds nothing" if 0 in sizes else "the DLA takes static shapes only"
            raise NetworkError(
                f"{where}: input {value.name} has shape {_text(sizes) or 'unknown'}, {what}: "
                f"export with fixed sizes or give one, --input-shape {value.name}={_text(example) or '1x3x640x640'}"
            )


def _folded(model: onnx.ModelProto, constants: dict[str, Array], opset: int) -> Network:
    """Infers shapes and folds constants in turns, until nothing more folds."""
    graph = model.graph
    for proto in graph.node:
        _check_node(proto, opset)
    inputs = tuple(value.name for value in graph.input if value.name not in constants)
    declared = {value.name for value in graph.input}
    small = [tensor for tensor in graph.initializer if len(tensor.dims) <= 1]
    _declare(
        graph, {tensor.name: constants[tensor.name] for tensor in graph.initializer if len(tensor.dims) > 1}, declared
    )
    del graph.initializer[:]
    graph.initializer.extend(small)
    for _ in range(FOLD_ROUNDS):
        tensors = _types(model)
        left: list[onnx.NodeProto] = []
        for node in graph.node:
            values = _fold(node, constants, tensors, model)
            if values is None:
                left.append(node)
            else:
                constants.update(values)
                graph.initializer.extend(
                    numpy_helper.from_array(value, name) for name, value in values.items() if value.ndim <= 1
                )
                _declare(graph, {name: value for name, value in values.items() if value.ndim > 1}, declared)
        done = len(left) == len(graph.node)
        del graph.node[:]
        graph.node.extend(left)
        if done:
            break
    tensors = _types(model)
    nodes = tuple(_node(node) for node in graph.node)
    written = set(inputs) | set(constants)
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in written:
                raise NetworkError(f"node {node.name} ({node.op}) reads {name}, which nothing before it writes")
        for name in filter(None, node.outputs):
            if name in written:
                raise NetworkError(f"node {node.name} ({node.op}) writes {name}, which is there already")
            written.add(name)
    outputs = tuple(value.name for value in graph.output)
    used = {*inputs, *(name for node in nodes for name in (*node.inputs, *node.outputs) if name)}
    kept = {name: tensors.get(name, TensorType(None, "")) for name in used if name not in constants}
    network = Network(nodes, inputs, outputs, kept, constants, opset)
    _check_operands(network)
    return network


def _check_operands(network: Network) -> None:
    """Holds every node's operands against each other. Raises NetworkError."""
    for node in network.nodes:
        inputs = [network.shape(name) if name else None for name in node.inputs]
        try:
            found = misfit(node.op, node.attributes, inputs, [network.shape(name) for name in node.outputs])
        except (IndexError, TypeError, ValueError, OverflowError) as error:  # values of no sense
            found = f"its attributes make no sense: {error}"
        if found:
            raise NetworkError(
                f"node {node.name} ({node.op}): {found}; no such network runs: if --input-shape was given, it is "
                "wrong, else export again"
            )


def _declare(graph: onnx.GraphProto, values: Mapping[str, Array], declared: set[str]) -> None:
    """Tells shape inference the shapes of constants whose values it never reads: it copies the model each time."""
    for name, value in values.items():
        if name not in declared:
            kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
            declared.add(name)


def _types(model: onnx.ModelProto) -> dict[str, TensorType]:
    """Shapes and types of all tensors, as far as they can be inferred."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)
    found: dict[str, TensorType] = {}
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        kind = value.type.tensor_type
        static = kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim)
        shape = tuple(int(dim.dim_value) for dim in kind.shape.dim) if static else None
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name if kind.elem_type else ""
        found[value.name] = TensorType(shape, dtype)
    return found


def _fold(
    node: onnx.NodeProto, constants: Mapping[str, Array], tensors: Mapping[str, TensorType], model: onnx.ModelProto
) -> dict[str, Array] | None:
    """The values that a node writes when they do not depend on the network's inputs; None when they do."""
    if node.op_type == "Shape" and node.input[0] not in constants:
        known = tensors.get(node.input[0])
        if known is None or known.shape is None:
            return None
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return {node.output[0]: np.array(known.shape, np.int64)[attributes.get("start", 0) : attributes.get("end")]}
    fixed = all(name in constants for name in node.input if name)
    if not fixed or node.domain not in {"", "ai.onnx"} or node.op_type.startswith("Random"):
        return None
    sizes = [tensors[name].shape for name in node.output if name in tensors]
    if any(size is not None and np.prod(size, dtype=np.float64) > LARGEST_FOLD for size in sizes):
        return None
    read = {name: constants[name] for name in node.input if name}
    values = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in read.items()
    ]
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in node.output if name
    ]
    graph = onnx.helper.make_graph([node], "fold", values, outputs)
    versions = [onnx.helper.make_operatorsetid(entry.domain, entry.version) for entry in model.opset_import]
    if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:  # evaluated from this version on only, the same before
        versions = [onnx.helper.make_operatorsetid("", max(19, *(entry.version for entry in versions)))]
    single = onnx.helper.make_model(graph, opset_imports=versions, ir_version=model.ir_version)
    try:
        results = ReferenceEvaluator(single).run(None, read)
    except Exception:  # what cannot be evaluated here stays a node, and the checker says what it is
        return None
    return dict(zip((name for name in node.output if name), (np.asarray(r) for r in results), strict=True))


def _check_node(node: onnx.NodeProto, opset: int) -> None:
    """Holds a node against its operator's definition, so that whoever reads it needn't. Raises NetworkError."""
    where = f"node {node.name or next(iter(node.output), '?')} ({node.op_type})"
    if not any(node.output):
        raise NetworkError(f"{where}: writes nothing")
    if node.domain not in {"", "ai.onnx"} or not onnx.defs.has(node.op_type, opset, ""):
        return
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    for what, found, least in (("inputs", node.input, schema.min_input), ("outputs", node.output, schema.min_output)):
        if len(found) < least:
            raise NetworkError(f"{where}: {len(found)} {what} instead of at least {least}")
    for attribute in node.attribute:
        known = schema.attributes.get(attribute.name)
        wanted: Any = known.type if known else None
        if wanted is not None and wanted.value != attribute.type:
            kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
            raise NetworkError(f"{where}: attribute {attribute.name} is {kind} instead of {wanted.name}")


def _node(node: onnx.NodeProto) -> Node:
    outputs = tuple(node.output)
    op = node.op_type if node.domain in {"", "ai.onnx"} else f"{node.domain}::{node.op_type}"
    attributes = {attribute.name: _value(attribute) for attribute in node.attribute}
    return Node(printable(node.name or next(iter(outputs), "?")), printable(op), tuple(node.input), outputs, attributes)


def _value(attribute: onnx.AttributeProto) -> Any:
    """An attribute as Python value: strings decoded, tensors as arrays, lists as tuples."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.GraphProto | int | float):
        return value
    return tuple(v.decode(errors="replace") if isinstance(v, bytes) else v for v in value)


def _text(sizes: Any) -> str:
    return "x".join(map(str, sizes))


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
