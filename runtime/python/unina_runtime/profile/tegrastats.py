"""One line of tegrastats, of any Jetson and release: fields by their form, so that names nobody knew are kept, too.

Forms are those of NVIDIA's Jetson Linux Developer Guide, "Tegrastats Utility" (R32.5 appendix; R35, R36), and of the
lines that users of Orin, Xavier and Nano show: docs/profile.md has the table.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

NO_READING_C = -256.0
"""what a sensor tells whose part of the chip is switched off"""
LONGEST_LINE = 16384
"""characters; a true line has under 1000, and the rest of one that has more is not looked at"""


@dataclass(frozen=True)
class Memory:
    """RAM, SWAP or IRAM."""

    used_mib: float
    total_mib: float
    detail: str = ""
    """what stands in brackets, such as `lfb 8x4MB`"""


@dataclass(frozen=True)
class Load:
    """A core or an engine that is on. Either figure may be missing: not every release tells both."""

    percent: float | None
    mhz: tuple[float, ...] = ()
    """one clock, or one a part (GR3D_FREQ has one for each GPC)"""


@dataclass(frozen=True)
class Rail:
    """A power rail."""

    now_mw: float
    mean_mw: float | None = None
    """since tegrastats was started"""


@dataclass
class Sample:
    """One line. What is off is there with None; what the line does not tell is not there."""

    when: datetime | None = None
    """the line's own stamp: local time, whole seconds; releases before R35 have none"""
    memory: dict[str, Memory] = field(default_factory=dict)
    cpu: tuple[Load | None, ...] = ()
    engines: dict[str, Load | None] = field(default_factory=dict)
    """EMC_FREQ, GR3D_FREQ, NVDLA0, NVENC, VIC, APE, …, by the names that the line uses"""
    celsius: dict[str, float | None] = field(default_factory=dict)
    rails: dict[str, Rail] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    """name and text of what has none of the forms"""

    @property
    def empty(self) -> bool:
        """Whether nothing of it is tegrastats'."""
        return not (self.memory or self.cpu or self.engines or self.celsius or self.rails)


_STAMP = re.compile(r"\s*([0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2})(?=\s|$)")
_N = r"[0-9]{1,9}"
_MHZ = rf"(?:{_N}|\[(?:{_N}(?:,\s?{_N})*)?\])"
_FIELD = re.compile(
    rf"""\s*(?:
      (?P<cpu>CPU\s\[([^\]]*)\](?:@({_N}))?)
    | (?P<mts>MTS\sfg\s({_N})%\sbg\s({_N})%)
    | (?P<memory>([A-Za-z]\w*)\s({_N})/({_N})([kMG]?)B(?:\s?\(([^)]*)\))?)
    | (?P<celsius>([A-Za-z][\w.-]*?)(?:@|:?\s)(-?[0-9]{{1,4}}(?:\.[0-9]{{1,9}})?)C)
    | (?P<bare_celsius>([A-Za-z][\w.-]*)@(-?[0-9]{{1,4}}(?:\.[0-9]{{1,9}})?))
    | (?P<rail>([A-Za-z][\w.-]*)\s({_N})(?:mW)?/({_N})(?:mW)?)
    | (?P<rail_now>([A-Za-z][\w.-]*)\s({_N})mW)
    | (?P<off>([A-Za-z][\w.-]*)\soff)
    | (?P<engine>([A-Za-z][\w.-]*)\s(?:({_N})\s?%\s?)?(?:@({_MHZ}))?)
    | (?P<clock>([A-Za-z][\w.-]*)\s({_MHZ}))
    )(?=\s|$)""",
    re.VERBOSE | re.ASCII,
)
_FIRST = [*sorted(_FIELD.groupindex.values()), _FIELD.groups + 1]
_INNER = {name: slice(first, _FIRST[_FIRST.index(first) + 1] - 1) for name, first in _FIELD.groupindex.items()}
"""alternative → its groups, without the one around them"""
_CORE = re.compile(rf"\s*(?:(off)|({_N})%(?:@({_N}))?)\s*", re.ASCII)
_WORD = re.compile(r"\s*(\S+)")
_MIB = {"": 1 / (1 << 20), "k": 1 / 1024, "M": 1.0, "G": 1024.0}


def parse_line(line: str) -> Sample:
    """Every field of a line; never raises: what is not understood is in `unknown`."""
    sample = Sample()
    line = line[:LONGEST_LINE]
    at = 0
    if stamp := _STAMP.match(line):
        sample.when = _time(stamp[1])
        if sample.when is not None:
            at = stamp.end()
    name = ""
    while at < len(line):
        found = _FIELD.match(line, at)
        if found is not None and found.lastgroup is not None and _READ[found.lastgroup](found, sample):
            at, name = found.end(), ""
            continue
        word = _WORD.match(line, at)
        if word is None:
            break
        at = word.end()
        if word[1][0].isalpha():
            name = _free(word[1], sample.unknown)
            sample.unknown[name] = ""
        else:
            sample.unknown[name] = f"{sample.unknown.get(name, '')} {word[1]}".strip()
    return sample


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{text[6:10]}-{text[:5]} {text[11:]}")
    except ValueError:
        return None


def _free(name: str, taken: "dict[str, str] | dict[str, Rail]") -> str:
    """The name, or with a number where it is there already, as the NC (not connected) of AGX Orin is."""
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    return free


def _parts(found: re.Match[str]) -> tuple[str | None, ...]:
    """What is in the groups of the alternative that matched."""
    return found.groups()[_INNER[str(found.lastgroup)]]


def _cpu(found: re.Match[str], sample: Sample) -> bool:
    cores, shared = _parts(found)
    told: list[Load | None] = []
    for text in (cores or "").split(","):
        core = _CORE.fullmatch(text)
        if core is None:
            return False
        clock = core[3] or shared
        told.append(None if core[1] else Load(float(core[2]), (float(clock),) if clock else ()))
    sample.cpu = tuple(told)
    return True


def _mts(found: re.Match[str], sample: Sample) -> bool:
    front, back = _parts(found)
    sample.engines["MTS fg"] = Load(float(front or 0))
    sample.engines["MTS bg"] = Load(float(back or 0))
    return True


def _memory(found: re.Match[str], sample: Sample) -> bool:
    name, used, total, unit, detail = _parts(found)
    scale = _MIB[unit or ""]
    sample.memory[str(name)] = Memory(float(used or 0) * scale, float(total or 0) * scale, detail or "")
    return True


def _celsius(found: re.Match[str], sample: Sample) -> bool:
    name, value = _parts(found)
    told = float(value or 0)
    sample.celsius[str(name)] = None if told == NO_READING_C else told
    return True


def _rail(found: re.Match[str], sample: Sample) -> bool:
    name, now, mean = (*_parts(found), None)[:3]
    sample.rails[_free(str(name), sample.rails)] = Rail(float(now or 0), None if mean is None else float(mean))
    return True


def _off(found: re.Match[str], sample: Sample) -> bool:
    sample.engines[str(_parts(found)[0])] = None
    return True


def _engine(found: re.Match[str], sample: Sample) -> bool:
    name, percent, clocks = _parts(found)
    if percent is None and clocks is None:  # a name and nothing that belongs to it
        return False
    sample.engines[str(name)] = Load(None if percent is None else float(percent), _mhz(clocks))
    return True


def _clock(found: re.Match[str], sample: Sample) -> bool:
    name, clocks = _parts(found)
    sample.engines[str(name)] = Load(None, _mhz(clocks))
    return True


def _mhz(text: str | None) -> tuple[float, ...]:
    return tuple(float(part) for part in (text or "").strip("[]").split(",") if part.strip())


_READ: dict[str, Callable[[re.Match[str], Sample], bool]] = {
    "cpu": _cpu,
    "mts": _mts,
    "memory": _memory,
    "celsius": _celsius,
    "bare_celsius": _celsius,
    "rail": _rail,
    "rail_now": _rail,
    "off": _off,
    "engine": _engine,
    "clock": _clock,
}
