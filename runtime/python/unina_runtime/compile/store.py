"""Where compiled models lie, so that power may fail at any moment: an entry is whole, or it is not there.

    <state>/<bundle>-<TensorRT>-<L4T>-<core>/   bundle/, loadable.bin or engine.plan, detector.env, made.json
    <state>/current/<instance>                  link to the entry that was accepted for a detector
    <state>/previous/<instance>                 the one before, for going back without compiling
    <state>/refused/<instance>                  what it must not try again by itself: entry, limits, and why
    <state>/.work-*                             being made, or being removed; nobody reads it

    <state>/rejected/<instance>                 what was tried out and rolled back: entry, and why
    <state>/trial/<instance>                    what is being tried out: entry, and how often by now
    <run>/<instance>.down                       the detector did not come back after a rollback: to be started again
    <run>/<instance>                            link to the entry that the detector serves, in memory: at each boot
                                                there is none until somebody has looked whether it is of this machine

Everything is on the disk before a rename shows it, and links change by rename alone.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from unina_runtime.compile.disk import replace_link, replace_text, to_disk, whole_to_disk
from unina_runtime.compile.notify import tell
from unina_runtime.compile.outcome import CannotSay, CannotWrite, Refused
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.verified_bundle import verify_bundle

BUNDLE = "bundle"
MADE = "made.json"
ENVIRONMENT = "detector.env"
CURRENT = "current"
PREVIOUS = "previous"
REFUSED = "refused"
REJECTED = "rejected"
TRIAL = "trial"
WORK = ".work-"
HOST = "host"
BOTH = "both"
"""of the DLA's cores, which share one loadable"""
PAYLOADS = {"dla0": "loadable.bin", "dla1": "loadable.bin", BOTH: "loadable.bin", "gpu": "engine.plan", HOST: ""}
"""What a core runs, by core; the host accelerator's is in the bundle."""
ACCELERATORS = {"gpu": "tensorrt", HOST: "host"}
"""by core; every other is a DLA's"""
NONE = "none"


@dataclass(frozen=True)
class Made:
    """What an entry was made of, and what came out."""

    bundle_sha256: str
    tensorrt: str
    """ "none" where nothing was compiled"""
    l4t: str
    core: str
    payload_sha256: str
    instead_of: str = ""
    """why it is not what was wanted: an engine for the GPU in place of a loadable"""

    @property
    def key(self) -> str:
        """Name of the entry. Half of a SHA-256 is still out of anybody's reach."""
        return f"{self.bundle_sha256[:32]}-{self.tensorrt}-{self.l4t}-{self.core}"


@dataclass(frozen=True)
class Refusal:
    """That trtexec said no, and what it might have used: with more of it the answer may be another."""

    memory_mb: int
    output_mb: int
    why: str

    def stands(self, memory_mb: int, output_mb: int) -> bool:
        """Whether these limits would leave it as it is."""
        return memory_mb <= self.memory_mb and output_mb <= self.output_mb


@dataclass(frozen=True)
class Machine:
    """What an entry must have been made for to be used here."""

    tensorrt: str | None
    """None: nobody could say"""
    l4t: str

    def suits(self, made: Made) -> bool:
        """Whether it may run here. A loadable depends on L4T's DLA driver, an engine on TensorRT itself."""
        if made.core == HOST:
            return True
        if made.l4t != self.l4t:
            return False
        return made.tensorrt == self.tensorrt or (self.tensorrt is None and made.core != "gpu")


@dataclass(frozen=True)
class Store:
    """The state directory."""

    root: Path
    run: Path
    """where links lie that a boot forgets"""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time; what a killed one left behind is removed. Raises CannotWrite."""
        try:
            for folder in (self.root, *(self.root / name for name in (CURRENT, PREVIOUS, REFUSED, REJECTED, TRIAL))):
                folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / ".lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CannotWrite(f"{self.root}: cannot be written: {error.strerror}; compiled models go there") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell("waiting for another unina-compile, which may be compiling")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for rest in self.root.glob(f"{WORK}*"):
                shutil.rmtree(rest, ignore_errors=True)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """A folder to make an entry in."""
        folder = Path(tempfile.mkdtemp(prefix=WORK, dir=self.root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def free_bytes(self) -> int:
        """On the disk that entries go to."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def publish(self, draft: Path, made: Made) -> Path:
        """Makes a draft with bundle and payload an entry, and returns it."""
        payload = PAYLOADS[made.core]
        dla = {"dla1": "1", BOTH: BOTH}.get(made.core, "0")
        lines = {"UNINA_ACCELERATOR": ACCELERATORS.get(made.core, "cudla-hybrid"), "UNINA_DLA": dla}
        (draft / ENVIRONMENT).write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        (draft / MADE).write_text(json.dumps({"schema": 1, **asdict(made)}, indent=2) + "\n")
        expected = {BUNDLE, ENVIRONMENT, MADE, *filter(None, [payload])}
        for entry in draft.iterdir():
            if entry.name not in expected:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        whole_to_disk(draft)
        target = self.root / made.key
        if target.exists():  # damaged, or --force
            self._discard(target)
        draft.rename(target)
        to_disk(self.root)
        return target

    def serve(self, instance: str, entry: Path) -> None:
        """Lets `current/<instance>` be this entry."""
        former = self.target(instance)
        if former != entry:
            if former is not None:
                self._link(PREVIOUS, instance, former)
            self._link(CURRENT, instance, entry)
        if self._noted(REJECTED, instance)[0].partition("-")[0] == entry.name.partition("-")[0]:
            (self.root / REJECTED / instance).unlink()  # somebody wants it all the same
        self.offer(instance, entry)

    def offer(self, instance: str, entry: Path | None) -> None:
        """Lets the detector serve this entry, or none, until the next boot."""
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            if entry is None:
                (self.run / instance).unlink(missing_ok=True)
            elif self.offered(instance) != entry:
                replace_link(self.run / instance, self.root.absolute() / entry.name)
        except OSError as error:
            raise CannotSay(f"{self.run}: cannot be written: {error.strerror}; the detector looks there") from error

    def offered(self, instance: str) -> Path | None:
        """What `offer` was last called with since the boot."""
        try:
            return self.root / (self.run / instance).readlink().name
        except OSError:
            return None

    def note_down(self, instance: str) -> None:
        """For unina-update.service: the detector did not come back by itself."""
        (self.run / f"{instance}.down").touch()

    def target(self, instance: str, where: str = CURRENT) -> Path | None:
        """What a link points to; None without one."""
        try:
            return self.root / (self.root / where / instance).readlink().name
        except OSError:
            return None

    def refusal(self, instance: str, key: str) -> Refusal | None:
        """Why this entry was refused for this detector; None if it was not."""
        try:
            lines = (self.root / REFUSED / instance).read_text(encoding="utf-8").split("\n", 3)
            refused, memory, output, why = lines
            return Refusal(int(memory), int(output), why) if refused == key else None
        except (OSError, ValueError):
            return None

    def remember_refusal(self, instance: str, key: str, refusal: Refusal) -> None:
        """So that it is not tried at every boot."""
        lines = (key, str(refusal.memory_mb), str(refusal.output_mb), refusal.why)
        replace_text(self.root / REFUSED / instance, "\n".join(lines))

    def rejection(self, instance: str, bundle_sha256: str) -> str:
        """Why this bundle was rolled back, whatever was made of it; "" if it was not."""
        rejected, why = self._noted(REJECTED, instance)
        return why if rejected.startswith(f"{bundle_sha256[:32]}-") else ""

    def reject(self, instance: str, key: str, why: str) -> None:
        """So that it does not come back by itself; a trial of it is over."""
        replace_text(self.root / REJECTED / instance, f"{key}\n{why}")
        self.end_trial(instance)

    def forgive(self, instance: str, bundle_sha256: str) -> None:
        """Somebody wants this bundle, whatever was found wrong with it."""
        for folder in (REFUSED, REJECTED):
            if self._noted(folder, instance)[0].startswith(f"{bundle_sha256[:32]}-"):
                (self.root / folder / instance).unlink(missing_ok=True)

    def trials(self, instance: str, key: str) -> int:
        """How often this entry was tried out without an end."""
        tried, count = self._noted(TRIAL, instance)
        return int(count) if tried == key and count.isdecimal() else 0

    def begin_trial(self, instance: str, key: str, count: int) -> None:
        """Durable, before the detector sees it: what takes the whole machine down is not tried for ever."""
        replace_text(self.root / TRIAL / instance, f"{key}\n{count}")

    def end_trial(self, instance: str) -> None:
        """Nothing is tried out for this detector."""
        (self.root / TRIAL / instance).unlink(missing_ok=True)
        to_disk(self.root / TRIAL)

    def _noted(self, folder: str, instance: str) -> tuple[str, str]:
        """First line and the rest; empty without a note."""
        try:
            key, _, rest = (self.root / folder / instance).read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return "", ""
        return key, rest

    def prune(self) -> None:
        """Removes entries that no link and no trial names."""
        kept = {
            self.root / link.readlink().name
            for folder in (CURRENT, PREVIOUS)
            for link in (self.root / folder).iterdir()
            if link.is_symlink()
        }
        kept |= {self.root / self._noted(TRIAL, path.name)[0] for path in (self.root / TRIAL).iterdir()}
        for entry in self.entries():
            if entry not in kept:
                self._discard(entry)

    def entries(self) -> list[Path]:
        """All entries, the newest first."""
        if not self.root.is_dir():
            return []
        found = [path for path in self.root.iterdir() if (path / MADE).is_file() and not path.name.startswith(".")]
        return sorted(found, key=lambda path: (path / MADE).stat().st_mtime_ns, reverse=True)

    def read(self, entry: Path, keys: TrustedKeys) -> Made | None:
        """What a whole entry says of itself; None if anything of it is not as it was made, or not signed as wanted."""
        try:
            document = json.loads((entry / MADE).read_text())
            document.pop("schema")
            made = Made(**document)
            bundle = verify_bundle(entry / BUNDLE, keys)
            payload = PAYLOADS[made.core]
            same = not payload or file_sha256(entry / payload) == made.payload_sha256
        except (OSError, ValueError, TypeError, KeyError, AttributeError, Refused, CannotSay):
            return None
        return made if same and made.bundle_sha256 == bundle.sha256 and made.key == entry.name else None

    def of_another(self, entry: Path, bundle_sha256: str) -> bool:
        """Whether an entry was made of another bundle than this."""
        return not entry.name.startswith(f"{bundle_sha256[:32]}-")

    def last_good(self, instance: str, machine: Machine, core: str, keys: TrustedKeys) -> Path | None:
        """What may serve while the wanted cannot: what serves now, what did before, else the newest.

        Never the host accelerator in place of a DLA: one that is not used must not look like one that is slow.
        """
        for entry in (self.target(instance), self.target(instance, PREVIOUS), *self.entries()):
            made = self.read(entry, keys) if entry is not None else None
            if made is None or self.rejection(instance, made.bundle_sha256):
                continue
            if machine.suits(made) and (made.core == core or made.instead_of):
                return entry
        return None

    def _link(self, folder: str, instance: str, entry: Path) -> None:
        replace_link(self.root / folder / instance, Path("..") / entry.name)

    def _discard(self, entry: Path) -> None:
        """A rename first, so that half of an entry is never seen."""
        rest = Path(tempfile.mkdtemp(prefix=WORK, dir=self.root)) / "removed"
        with suppress(FileNotFoundError):
            entry.rename(rest)
            to_disk(self.root)
        shutil.rmtree(rest.parent, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
