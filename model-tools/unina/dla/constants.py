"""The constants of the latency estimate, shipped or calibrated on a user's device (docs/estimator.md)."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

SCHEMA = 1


class ConstantsError(ValueError):
    """The file holds no constants; one line that says what to do."""


@dataclass(frozen=True)
class DlaConstants:
    """What one DLA core of Orin does in a cycle; each value with where it comes from."""

    macs_per_cycle: float = 8192.0
    """dense INT8: 105 TOPS sparse for two cores at 1.6 GHz (NVIDIA)"""
    fp16_macs_per_cycle: float = 200.0
    """by hand, from YOLOv5s: three predictors in FP16, and 0.46 ms for one more 1×1 (this gives 0.42)"""
    efficiency: float = 0.903
    """part of them that a convolution reaches, channels rounded up; fitted, 0.85–0.97 with one network left out"""
    image_efficiency: float = 0.5
    """the same for the first layer, whose channels (3, stored as 4) fill no atom; set by hand, agrees with a trace"""
    atom: int = 32
    """bytes of channels that are stored and computed together (NVDLA)"""
    depthwise_per_cycle: float = 5.55
    """outputs of a depthwise 3×3; fitted, rests on one network"""
    pass_per_cycle: float = 64.0
    """elements through the pooling, resize and element-wise processors; set by hand"""
    bandwidth_gb_s: float = 51.5
    """DRAM, one core, at the two clocks below; fitted, 50.7–51.8 with one network left out"""
    clock_share: float = 0.299
    """part of the time of DRAM traffic that follows the DLA's clock instead of the memory's; fitted, 0.23–0.32"""
    clock_mhz: float = 1600.0
    """DLA clock that the bandwidth stands for"""
    emc_mhz: float = 3200.0
    """memory clock that the bandwidth stands for"""
    buffer_bytes: int = 128 * 1024
    """of weights or input held while the other streams by: a quarter of the convolution buffer; chosen with the form"""
    layer_us: float = 0.7
    """between two layers; NVIDIA's layer trace, and 0–2 fit equally"""
    sparse_speed: float = 1.58
    """of an eligible convolution with 2 of 4 weights zero; fitted over three networks, right for the mean only"""
    sparse_weights: float = 0.625
    """of the bytes: half the values and a bit each"""


ORIN = DlaConstants()


def read_constants(path: Path) -> DlaConstants:
    """What `unina-dla calibrate` wrote.

    Raises:
        ConstantsError: not such a file, a name that is no constant, a value that is not above zero.
        OSError: not readable.
    """
    try:
        document = json.loads(path.read_bytes())
        values = document["constants"]
        if document["schema"] != SCHEMA:
            raise ConstantsError(f"{path}: schema {document['schema']}, this version reads {SCHEMA}: calibrate again")
        given = dict(values)
    except ConstantsError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise ConstantsError(f"{path}: not the constants that `unina-dla calibrate` writes") from error
    kinds = {field.name: field.type for field in dataclasses.fields(DlaConstants)}
    for name, value in given.items():
        if name not in kinds:
            raise ConstantsError(f"{path}: {name}: no such constant; they are {', '.join(kinds)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0 or (value == 0 and name not in MAY_BE_ZERO):
            raise ConstantsError(f"{path}: {name}: {value!r}: must be a number above zero")
        if kinds[name] is int and value != int(value):
            raise ConstantsError(f"{path}: {name}: {value!r}: must be a whole number")
    if not 0 <= given.get("clock_share", 0) <= 1:
        raise ConstantsError(f"{path}: clock_share: {given['clock_share']!r}: must lie between 0 and 1")
    return DlaConstants(**{name: kinds[name](value) for name, value in given.items()})  # type: ignore[operator]


MAY_BE_ZERO = frozenset({"clock_share", "layer_us"})


def constants_json(constants: DlaConstants) -> dict[str, object]:
    """What `read_constants` reads; more keys may stand beside these."""
    return {"schema": SCHEMA, "constants": dataclasses.asdict(constants)}
