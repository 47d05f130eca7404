"""Finds in a calibration cache what TensorRT's DLA builder would trip over, or would take without a word.

The file's form is that of NVIDIA's qdq_translator and of trtexec's own reader (sampleEngines.cpp of TensorRT 8.6 and
10.3): a header, then `tensor: hex`; the digits begin two characters behind the last colon, and eight of them are read.
"""

import difflib
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unina.dla.network import Network
from unina.dla.scales import scale_bits, scale_from_bits
from unina.dla.tensorrt import TensorRt
from unina.dla.ties import INPUTS_EQUAL, is_activation, network_groups, node_ties

Kind = Literal[
    "header",
    "version",
    "malformed",
    "digits",
    "scale",
    "twice",
    "unknown name",
    "no scale",
    "broken tie",
    "quantised network",
]

_HEADER = re.compile(r"TRT-(\d{4,6})-(\w+)")
_CALIBRATOR = "EntropyCalibration2"
_UNSCALED = np.float32(1.0)
"""What qdq_translator writes for a convolution whose sum with another tensor is not rounded in between (DLA ≥ 3.13)."""
_PAIRS_COMPARED = 20_000
"""Of unknown names and tensors without scale, when similar ones are looked for; more is another network's cache."""


@dataclass(frozen=True)
class Finding:
    """Something wrong with a cache."""

    kind: Kind
    line: int | None
    """counted from 1; None: what is wrong stands in no line"""
    value: str
    """the line, tensor or node that it is about"""
    message: str
    fix: str

    def text(self, file: str) -> str:
        """One line: `file:line: value: what is wrong; what to do`."""
        where = f"{file}:{self.line}" if self.line is not None else file
        return f"{where}: {self.value}: {self.message}; {self.fix}"


@dataclass(frozen=True)
class _Entry:
    line: int
    scale: np.float32


def lint_cache(
    text: str, network: Network, tensorrt: TensorRt, fp16_layers: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Everything wrong with a cache for this network and TensorRT: first by line, then what is missing or untied.

    Args:
        fp16_layers: names of nodes that run in FP16, where nothing needs equal scales.
    """
    lines = text.split("\n")
    findings = list(_header(lines[0].rstrip("\r"), tensorrt))
    if "\r\n" in text:
        findings.append(
            Finding("malformed", 1, "CR LF", "line ends of Windows", "save it with plain LF: `sed -i 's/\\r$//' CACHE`")
        )
    entries: dict[str, _Entry] = {}
    first = 1 if _HEADER.fullmatch(lines[0].rstrip("\r")) else 0
    for number, line in enumerate(lines[first:], start=first + 1):
        findings += _line(line.rstrip("\r"), number, entries)
    quantised = list(_quantised(network))
    if quantised:
        return (*findings, *quantised)
    missing = [name for name in scaled_tensors(network) if name not in entries]
    findings += _unknown(entries, network, missing)
    findings += _missing(network, missing)
    findings += _untied(entries, network, fp16_layers)
    return tuple(findings)


def scaled_tensors(network: Network) -> tuple[str, ...]:
    """The tensors that need a scale, in execution order: inputs, and what nodes write for others or for the outside."""
    read = {*network.consumers, *network.outputs}
    written = (name for node in network.nodes for name in node.outputs)
    names = (*network.inputs, *(name for name in written if name in read))
    return tuple(name for name in names if is_activation(network, name))


def _header(line: str, tensorrt: TensorRt) -> Iterator[Finding]:
    wanted = f"TRT-{tensorrt.cache_number}-{_CALIBRATOR}"
    found = _HEADER.fullmatch(line)
    if found is None:
        yield Finding("header", 1, line[:60], "not a header", f"let the first line be {wanted}")
        return
    if found[2] != _CALIBRATOR:
        message = f"of the calibrator {found[2]}, the DLA takes {_CALIBRATOR} only"
        yield Finding("header", 1, line, message, f"calibrate with it; then the first line is {wanted}")
    version = TensorRt.of_cache(int(found[1]))
    if (version.major, version.minor) != (tensorrt.major, tensorrt.minor):
        yield Finding(
            "version", 1, line, f"written for TensorRT {version}, not {tensorrt}", f"let the first line be {wanted}"
        )


def _line(line: str, number: int, entries: dict[str, _Entry]) -> Iterator[Finding]:
    """Reads one line into `entries`; says what is wrong with it."""
    if not line.strip():
        return
    shown = line[:80]
    found = re.fullmatch(r"(.*\S)\s*:( ?)(?:0[xX])?([0-9a-fA-F]+)\s*", line)
    if found is None:
        yield Finding("malformed", number, shown, "not `tensor: 8 hex digits`", "mend or delete the line")
        return
    name, digits = found[1], found[3]
    if len(digits) > 8:
        yield Finding("malformed", number, shown, f"{len(digits)} hex digits, a float32 has 8", "write the scale again")
        return
    padded = digits.rjust(8, "0")
    scale = scale_from_bits(padded)
    usable = math.isfinite(scale) and scale >= np.finfo(np.float32).tiny
    if line.rstrip() not in {f"{name}: {digits}", f"{name}: {padded}"}:
        yield Finding("malformed", number, shown, "not spelt `tensor: 8 hex digits`", f"write `{name}: {padded}`")
    elif len(digits) < 8 and usable:
        message = (
            f"{len(digits)} of 8 hex digits: NVIDIA's own writer drops leading zeros, not all readers put them back"
        )
        yield Finding("digits", number, shown, message, f"write `{name}: {padded}`")
    if name in entries:
        message = f"the tensor stands in line {entries[name].line} already"
        yield Finding("twice", number, shown, message, "keep the line that is right")
        return
    entries[name] = _Entry(number, scale)
    if not usable:
        what = "zero" if scale == 0 else "negative" if scale < 0 else "denormal" if math.isfinite(scale) else str(scale)
        yield Finding(
            "scale", number, shown, f"the scale is {what}", "calibrate the tensor again: a scale is amax / 127, above 0"
        )


def _quantised(network: Network) -> Iterator[Finding]:
    nodes = [node for node in network.nodes if node.op in {"QuantizeLinear", "DequantizeLinear"}]
    if nodes:
        yield Finding(
            "quantised network",
            None,
            nodes[0].name,
            f"the network has {len(nodes)} Q/DQ nodes: beside them TensorRT reads no cache, and up to 10.7 no DLA runs",
            "take the network without Q/DQ (a bundle's model.onnx)",
        )


def _unknown(entries: Mapping[str, _Entry], network: Network, missing: list[str]) -> Iterator[Finding]:
    known = {*network.tensors, *network.constants}
    unknown = [name for name in entries if name not in known]
    few = len(unknown) * len(missing) <= _PAIRS_COMPARED
    for name in unknown:
        similar = difflib.get_close_matches(name, missing, 1, 0.8) if few else []
        fix = f"{similar[0]} has no scale and a similar name" if similar else "delete the line, or lint its own network"
        yield Finding("unknown name", entries[name].line, name, "the network has no such tensor", fix)


def _missing(network: Network, missing: list[str]) -> Iterator[Finding]:
    for name in missing:
        if name in network.inputs or name in network.outputs:
            where = "input" if name in network.inputs else "output"
            message = f"an {where} of the network without a scale: trtexec stops when it is int8"
        else:
            node = network.producers[name]
            message = f"no scale: {node.op} {node.name} and what reads it run in FP16, on the GPU, or not at all"
        yield Finding("no scale", None, name, message, "calibrate it too")


def _untied(entries: Mapping[str, _Entry], network: Network, fp16_layers: Collection[str]) -> Iterator[Finding]:
    groups = {name: group for group in network_groups(network) for name in group}
    for node in network.nodes:
        if node.name in fp16_layers:
            continue
        tensors = dict.fromkeys(name for pair in node_ties(network, node) for name in pair)
        scales = {name: entries[name].scale for name in tensors if name in entries}
        if node.op in INPUTS_EQUAL:
            scales = {name: scale for name, scale in scales.items() if not _fused(name, scale, network)}
        if len({scale_bits(scale) for scale in scales.values()}) < 2:
            continue
        values = ", ".join(f"{name} {scale:g} (line {entries[name].line})" for name, scale in scales.items())
        what = "all inputs and the output" if node.op not in INPUTS_EQUAL else "all inputs"
        tied = [entries[name].scale for name in groups[next(iter(scales))] if name in entries]
        usable = [scale for scale in tied if math.isfinite(scale)]
        largest = f"the largest, {scale_bits(max(usable))}, " if usable else "one scale "
        yield Finding(
            "broken tie",
            min(entries[name].line for name in scales),
            f"{node.op} {node.name}",
            f"{what} need one scale on the DLA, and have {values}",
            f"give {largest}to all {len(tied)} tensors tied to them",
        )


def _fused(name: str, scale: np.float32, network: Network) -> bool:
    """Whether 1.0 only says that the tensor is not rounded: written by a convolution, read by one sum."""
    producer = network.producers.get(name)
    convolution = producer is not None and producer.op in {"Conv", "ConvTranspose"}
    return scale == _UNSCALED and convolution and len(network.consumers.get(name, ())) == 1
