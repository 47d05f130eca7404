"""The versions that a loadable depends on: TensorRT's, as trtexec says it, and L4T's, with its DLA compiler."""

import re
from dataclasses import dataclass
from pathlib import Path

from unina_runtime.compile.outcome import CannotSay

L4T_RELEASE = Path("/etc/nv_tegra_release")
"""first line `# R36 (release), REVISION: 4.3, …`; only a Jetson has it"""


@dataclass(frozen=True, order=True)
class TensorRt:
    """A version of TensorRT, such as 10.3.0."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of_number(cls, number: int) -> "TensorRt":
        """NV_TENSORRT_VERSION: 8602 is 8.6.2, 100300 is 10.3.0; the decimals moved with TensorRT 10."""
        head, patch = divmod(number, 100)
        return cls(*divmod(head, 100 if number >= 100_000 else 10), patch)

    @property
    def number(self) -> int:
        """The inverse of `of_number`; a calibration cache's first line has it."""
        step = 10_000 if self.major >= 10 else 1000
        return self.major * step + self.minor * 100 + self.patch

    @property
    def strongly_typed(self) -> bool:
        """Whether precision comes from Q/DQ nodes alone; before, from a calibration cache and flags."""
        return self.major >= 11

    @property
    def without_dla(self) -> str:
        """Why it cannot compile for Orin's DLA; "" when it can."""
        if (self.major, self.minor) < (8, 6):
            return f"TensorRT {self} has no --buildDLAStandalone; 8.6 has (JetPack 6)"
        if (10, 8, 0) <= (self.major, self.minor, self.patch) < (11, 4, 1):
            return f"TensorRT {self} has no DLA for Orin: 10.7 was the last, 11.4.1 has it again; JetPack 6 ships 10.3"
        return ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def tensorrt_said(output: str) -> TensorRt | None:
    """The version in trtexec's own first line, `&&&& RUNNING TensorRT.trtexec [TensorRT v100300]`; None without one."""
    found = re.search(r"\[TensorRT v(\d{4,6})\]", output)
    return TensorRt.of_number(int(found[1])) if found else None


def l4t_release(path: Path) -> str | None:
    """L4T's version, such as 36.4.3; None where the file is not, which is where no Jetson is. Raises CannotSay."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotSay(f"{path}: cannot be read: {error.strerror}") from error
    found = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)?)", text)
    if not found:
        raise CannotSay(f"{path}: does not begin like '# R36 (release), REVISION: 4.3': cannot say which L4T this is")
    return f"{found[1]}.{found[2]}"
