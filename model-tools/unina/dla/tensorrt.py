"""TensorRT's versions as far as the DLA cares: which have one, what they take, how a calibration cache spells them."""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class TensorRt:
    """A version, such as 10.3.0."""

    major: int
    minor: int
    patch: int = 0
    written: str = field(default="", compare=False, repr=False)
    """as it was given, so that nobody has to recognise 11.4.0 in 11.4; "": in its shortest form"""

    def __post_init__(self) -> None:
        if min(self.major, self.minor, self.patch) < 0 or self.minor > 99 or self.patch > 99:
            raise ValueError(f"TensorRT {self}: not a version such as 10.3 or 11.4.1")

    @classmethod
    def parse(cls, text: str) -> "TensorRt":
        """ "10.3", "8.6.2", or with a build number behind, "10.3.0.30". Raises ValueError."""
        found = re.fullmatch(r"(\d{1,3})\.(\d{1,2})(?:\.(\d{1,2})(?:\.\d+)?)?", text)
        if not found:
            raise ValueError(f"TensorRT {text}: not a version such as 10.3 or 11.4.1")
        return cls(int(found[1]), int(found[2]), int(found[3] or 0), text)

    @classmethod
    def of_cache(cls, number: int) -> "TensorRt":
        """The inverse of `cache_number`: 8602 is 8.6.2, 100300 is 10.3.0."""
        step = 100 if number >= 100_000 else 10
        head, patch = divmod(number, 100)
        return cls(*divmod(head, step), patch)

    @property
    def cache_number(self) -> int:
        """The number in a cache's first line: NV_TENSORRT_VERSION, whose decimals moved with TensorRT 10."""
        step = 10_000 if self.major >= 10 else 1000
        return self.major * step + self.minor * 100 + self.patch

    @property
    def without_dla(self) -> str | None:
        """Why this version cannot build for a DLA; None when it can."""
        if TensorRt(10, 8) <= self < TensorRt(11, 4, 1):
            return (
                f"TensorRT {self} has no DLA for Orin: 10.7 was the last, 11.4.1 (JetPack 7.2.2) has it again; "
                "JetPack 6 ships 10.3"
            )
        return None

    @property
    def strongly_typed(self) -> bool:
        """Whether precision comes from Q/DQ and tensor types alone; before, from a calibration cache and flags."""
        return self.major >= 11

    def __str__(self) -> str:
        return self.written or f"{self.major}.{self.minor}" + (f".{self.patch}" if self.patch else "")


LAST_KNOWN = TensorRt(11, 4, 1)
"""Nothing is known here of a newer one."""
