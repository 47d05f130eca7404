"""What to compile, from the detector's own configuration, and how, from compile.toml; flags win over both."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unina_runtime.compile.outcome import CannotSay
from unina_runtime.compile.store import BOTH, HOST

FALLBACKS = ("fail", "gpu-engine")
DEFAULT_BUNDLE = "/var/lib/unina/bundles/cones.unina"
"""the detector's default, too"""


@dataclass(frozen=True)
class Wanted:
    """What a detector wants to run, by its detector.toml."""

    instance: str
    """name of the file without .toml: each detector has its own"""
    bundle: Path
    core: str
    """dla0, dla1, both, gpu or host"""
    definite: bool
    """False: only where the machine has a DLA ("auto")"""
    warnings: tuple[str, ...] = ()


DEFAULT_WANTED = Wanted("detector", Path(DEFAULT_BUNDLE), "dla0", definite=False)


@dataclass(frozen=True)
class Policy:
    """How to compile. The keys of compile.toml are the fields."""

    fallback: str = "fail"
    """if the DLA refuses: fail, or gpu-engine"""
    trtexec: str = "/usr/src/tensorrt/bin/trtexec"
    """where JetPack's and meta-tegra's packages put it"""
    timeout_s: int = 1800
    """for one compilation"""
    memory_mb: int = 8192
    """for trtexec"""
    min_free_mb: int = 256
    """on the disk of the state directory, beyond what is about to be written"""
    trusted_keys: str = "/etc/unina/trusted-keys"
    """folder; with a *.pub in it only bundles that one of these keys signed are taken"""
    trial_s: int = 60
    """that a new model must serve well before it is accepted"""
    starve_s: int = 5
    """without a picture, while the source delivers: then it does not serve well"""
    takeover_s: int = 60
    """for the self-test, and for the detector to take a model over"""
    detector: str = "/usr/bin/unina-detector"
    """which makes the self-test"""

    def __post_init__(self) -> None:
        if self.fallback not in FALLBACKS:
            raise CannotSay(f"fallback: {self.fallback!r} is not one of {', '.join(FALLBACKS)}")
        for name in ("timeout_s", "memory_mb", "min_free_mb", "trial_s", "starve_s", "takeover_s"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 30:
                raise CannotSay(f"{name}: {value!r} is not a whole number above 0")


def read_wanted(path: Path) -> Wanted:
    """Reads the four keys of detector.toml that matter here. Raises CannotSay."""
    document = _toml(path)
    bundle = _text(document, "bundle", DEFAULT_BUNDLE, path)
    accelerator = _text(document, "accelerator", "auto", path)
    dla = document.get("dla", "0")
    core = {"0": "dla0", "1": "dla1", BOTH: BOTH}.get(str(dla))
    if core is None:
        raise CannotSay(f"{path}: dla: {dla!r} is not 0, 1 or both")
    cores = {"auto": core, "cudla-hybrid": core, "tensorrt": "gpu", "host": HOST}
    if accelerator == "cudla-standalone":
        raise CannotSay(f"{path}: accelerator: cudla-standalone is not served by the units yet; use cudla-hybrid")
    if accelerator not in cores:
        raise CannotSay(f"{path}: accelerator: {accelerator!r} is not one of {', '.join(cores)}")
    if accelerator == "tensorrt" and _text(document, "engine_on", "gpu", path) != "gpu":
        raise CannotSay(f"{path}: engine_on: an engine on the DLA is not compiled here; use cudla-hybrid")
    warnings = tuple(
        f"{path}: {key} is not used: the unit gives the detector what unina-compile made; remove the key"
        for key in ("dla_loadable", "dla1_loadable", "engine")
        if document.get(key)
    )
    return Wanted(instance_name(path.stem), Path(bundle), cores[accelerator], accelerator != "auto", warnings)


def instance_name(text: str) -> str:
    """A name for a link. Raises CannotSay."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", text):
        raise CannotSay(f"{text!r}: not a name for a detector; letters, digits, _ . @ - are")
    return text


def read_policy(path: Path | None, flags: Mapping[str, Any]) -> Policy:
    """compile.toml, which need not exist where it is the default's, with flags laid over. Raises CannotSay."""
    document = {} if path is None else _toml(path)
    known = Policy.__dataclass_fields__
    for key in document:
        if key not in known:
            raise CannotSay(f"{path}: {key}: no such key; there are {', '.join(known)}")
    values = {**document, **{key: value for key, value in flags.items() if value is not None}}
    for key, value in values.items():
        if not isinstance(value, type(known[key].default)):
            raise CannotSay(f"{path}: {key}: {value!r} is not of the kind of {known[key].default!r}")
    return Policy(**values)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotSay(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CannotSay(f"{path}: {error}") from error


def _text(document: Mapping[str, Any], key: str, default: str, path: Path) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise CannotSay(f"{path}: {key}: {value!r} is not a text")
    return value
