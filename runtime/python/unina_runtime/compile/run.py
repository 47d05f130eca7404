"""One run: verify the bundle, look whether it is compiled for this machine, compile it if not, and let it be served."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from unina_runtime.compile.configuration import Policy, Wanted
from unina_runtime.compile.notify import status, tell
from unina_runtime.compile.onnx_data import require_own_networks
from unina_runtime.compile.outcome import CannotSay, CannotWrite, DlaRefused, Refused
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.store import (
    BUNDLE,
    CURRENT,
    HOST,
    NONE,
    PAYLOADS,
    PREVIOUS,
    Machine,
    Made,
    Refusal,
    Store,
    file_sha256,
)
from unina_runtime.compile.trtexec import Limits, Trtexec
from unina_runtime.compile.trtexec_flags import (
    CACHE,
    GPU,
    LAYERS,
    Compilation,
    calibration_for,
    fp16_layers,
    require_files,
)
from unina_runtime.compile.verified_bundle import MANIFEST, VerifiedBundle, copy_verified, verify_bundle
from unina_runtime.compile.versions import TensorRt, l4t_release

MIB = 1 << 20
MOST_OUTPUT_MB = 2048
SPARE_MB = 16
"""of the disk, which trtexec cannot fill"""


@dataclass(frozen=True)
class Job:
    """All that a run needs to know."""

    wanted: Wanted
    policy: Policy
    keys: TrustedKeys
    store: Store
    l4t_release: Path
    tensorrt: TensorRt | None = None
    """None: trtexec is asked"""
    force: bool = False
    boot: bool = False
    """what was accepted serves at once; a newer bundle is unina-update.service's"""


@dataclass(frozen=True)
class Report:
    """How a run ended. `outcome`: compiled, present, fallback, host, waits, kept, nothing, updated or rolled back."""

    outcome: str
    served: Path | None
    text: str
    exit_code: int = 0
    made: Made | None = None
    signed_by: str = ""


def run(job: Job) -> Report:
    """Compiles and serves; whatever goes wrong leaves the last good one serving, if it is good for this machine.

    Raises CannotSay only where links for the detector cannot be written.
    """
    try:
        with job.store.locked():
            return serve_wanted(job)
    except CannotWrite as error:
        return _guarded(job, _unwritable(error))


def serve_wanted(job: Job) -> Report:
    """The same, for who holds the lock."""
    return _guarded(job, _wanted)


def _guarded(job: Job, way: Callable[[Job, Machine, str], Report]) -> Report:
    """What `way` does with machine and core; where it fails, what still serves."""
    machine = Machine(None, NONE)
    core = job.wanted.core
    try:
        machine, core = look(job)
        return way(job, machine, core)
    except (Refused, CannotSay) as error:
        return _kept(job, machine, core, error)
    except OSError as error:
        reason = f"{error.filename or job.store.root}: {error.strerror or error}"
        return _kept(job, machine, core, Refused(reason))


def _unwritable(error: CannotWrite) -> Callable[[Job, Machine, str], Report]:
    def refuse(job: Job, machine: Machine, core: str) -> Report:
        raise error

    return refuse


def look(job: Job) -> tuple[Machine, str]:
    """The machine, and the core that is meant on it. Raises CannotSay."""
    l4t = l4t_release(job.l4t_release)
    if l4t is None and job.wanted.core != HOST:
        if job.wanted.definite:
            raise CannotSay(
                f"{job.l4t_release}: not there, so no Jetson with a DLA or GPU: let accelerator be auto or host in "
                "the detector's configuration"
            )
        return Machine(None, NONE), HOST
    return Machine(None, l4t or NONE), job.wanted.core


def _wanted(job: Job, machine: Machine, core: str) -> Report:
    job = with_tensorrt(job, core)
    bundle = _verified(job)
    current = job.store.target(job.wanted.instance)
    other = job.boot and current is not None and job.store.of_another(current, bundle.sha256)
    if other and (accepted := accepted_entry(job, machine, core)):
        job.store.serve(job.wanted.instance, accepted)
        why = job.store.rejection(job.wanted.instance, bundle.sha256)
        then = f"was rolled back: {why}" if why else "is another one, which unina-update.service tries out"
        text = f"{accepted.name} serves; {bundle.path.name} {then}"
        return Report("waits", accepted, text, 0, job.store.read(accepted, job.keys), bundle.signed_by)
    prepared = prepare(job, machine, core, bundle)
    # The new one stands; only now what nobody serves goes.
    job.store.serve(job.wanted.instance, prepared.entry)
    job.store.prune()
    made = job.store.read(prepared.entry, job.keys)
    return Report(prepared.outcome, prepared.entry, prepared.text, 0, made, bundle.signed_by)


def _verified(job: Job) -> VerifiedBundle:
    status(f"verifying {job.wanted.bundle}")
    return verify_bundle(job.wanted.bundle, job.keys)


@dataclass(frozen=True)
class Prepared:
    """An entry that stands and is whole; nobody serves it for that."""

    outcome: str
    entry: Path
    text: str
    bundle: VerifiedBundle


def prepare(job: Job, machine: Machine, core: str, bundle: VerifiedBundle | None = None) -> Prepared:
    """What serves the wanted bundle on this machine, compiled where it has to be. Raises Refused, CannotSay."""
    bundle = bundle or _verified(job)
    name = job.wanted.bundle
    why = "" if job.force else job.store.rejection(job.wanted.instance, bundle.sha256)
    if why:  # it does not come back by itself
        raise Refused(f"{why} (remembered; unina-compile install, or --force, tries again)")
    if core == HOST:
        made = Made(bundle.sha256, NONE, NONE, HOST, "")
        entry = _present(job, made) or _make(job, bundle, made, None)
        return Prepared("host", entry, f"nothing to compile: {name.name} runs on the host accelerator", bundle)
    asked = job.tensorrt or _ask(job)
    made = Made(bundle.sha256, str(asked), machine.l4t, core, "")
    there = f"{name.name} for {core}, TensorRT {asked}, L4T {machine.l4t}"
    if present := _present(job, made):
        return Prepared("present", present, f"already compiled: {there}", bundle)
    began = time.monotonic()
    try:
        entry = _make_once(job, bundle, made, asked)
    except Refused as error:
        last = job.store.last_good(job.wanted.instance, Machine(str(asked), machine.l4t), core, job.keys)
        # What may pass, as a full disk, is no reason to leave the DLA while something serves on it
        stays = last is not None and not isinstance(error, DlaRefused)
        if core == GPU or job.policy.fallback != "gpu-engine" or stays:
            raise
        instead = replace(made, core=GPU, instead_of=str(error))
        tell(f"{there}: {error}; an engine for the GPU instead (fallback)")
        entry = _present(job, instead) or _make(job, bundle, instead, asked)
        return Prepared("fallback", entry, f"GPU engine in place of {there}: {error}", bundle)
    return Prepared("compiled", entry, f"compiled {there} in {time.monotonic() - began:.0f} s", bundle)


def _make_once(job: Job, bundle: VerifiedBundle, made: Made, tensorrt: TensorRt) -> Path:
    """As `_make`, but what trtexec itself refused once is not tried again at every boot."""
    limits = _limits(job)
    former = None if job.force else job.store.refusal(job.wanted.instance, made.key)
    if former and former.stands(limits.memory_mb, limits.output_mb):
        raise DlaRefused(f"{former.why} (remembered; unina-compile --force tries again)")
    try:
        return _make(job, bundle, made, tensorrt)
    except DlaRefused as error:
        refusal = Refusal(limits.memory_mb, limits.output_mb, str(error))
        job.store.remember_refusal(job.wanted.instance, made.key, refusal)
        raise


def _ask(job: Job) -> TensorRt:
    with tempfile.TemporaryDirectory(prefix="unina-compile-") as folder:
        return Trtexec(Path(job.policy.trtexec)).tensorrt(Path(folder))


def with_tensorrt(job: Job, core: str) -> Job:
    """One that knows its TensorRT, so that trtexec is asked once. Raises CannotSay."""
    return job if core == HOST or job.tensorrt else replace(job, tensorrt=_ask(job))


def accepted_entry(job: Job, machine: Machine, core: str, other: Path | None = None) -> Path | None:
    """What was accepted for the detector (or `other`), if it is whole and good for this machine. Raises CannotSay."""
    entry = other or job.store.target(job.wanted.instance)
    made = job.store.read(entry, job.keys) if entry else None
    if made is None or (made.core != core and not made.instead_of):
        return None
    if core != HOST:
        machine = replace(machine, tensorrt=str(job.tensorrt or _ask(job)))
    return entry if machine.suits(made) else None


def _present(job: Job, made: Made) -> Path | None:
    """The entry, where it is whole."""
    entry = job.store.root / made.key
    if job.force or not entry.exists():
        return None
    if job.store.read(entry, job.keys) is None:
        tell(f"{entry.name}: is damaged; made again")
        return None
    return entry


def _kept(job: Job, machine: Machine, core: str, error: Exception) -> Report:
    """The reason, and what serves on."""
    code = 2 if isinstance(error, CannotSay) else 1
    try:
        if core != HOST:
            machine = replace(machine, tensorrt=str(job.tensorrt or _ask(job)))
    except (CannotSay, OSError):  # a full disk, too, leaves nobody to ask
        pass
    last = job.store.last_good(job.wanted.instance, machine, core, job.keys)
    if isinstance(error, CannotWrite):
        job.store.offer(job.wanted.instance, last)
    elif last is not None:
        job.store.serve(job.wanted.instance, last)
    elif (anew := _made_anew(job, machine, core)) is not None:
        job.store.serve(job.wanted.instance, anew)
        made = job.store.read(anew, job.keys)
        return Report(
            "kept", anew, f"{error}; {anew.name} serves, made anew of the bundle that was accepted", code, made
        )
    else:
        job.store.offer(job.wanted.instance, None)
    if last is None:
        return Report("nothing", None, f"{error}; nothing is compiled that could serve instead", code)
    return Report("kept", last, f"{error}; {last.name} serves on", code, job.store.read(last, job.keys))


def _made_anew(job: Job, machine: Machine, core: str) -> Path | None:
    """What was accepted for another TensorRT, L4T or core, made of its own copy of the bundle; None if that fails."""
    try:
        wanted = file_sha256(job.wanted.bundle / MANIFEST)
    except OSError:
        wanted = ""
    for where in (CURRENT, PREVIOUS):
        entry = job.store.target(job.wanted.instance, where)
        if entry is None or (wanted and not job.store.of_another(entry, wanted)):
            continue
        try:
            return prepare(replace(job, wanted=replace(job.wanted, bundle=entry / BUNDLE)), machine, core).entry
        except (Refused, CannotSay, OSError) as error:
            tell(f"{entry.name}, made anew: {error}")
    return None


def _make(job: Job, bundle: VerifiedBundle, made: Made, tensorrt: TensorRt | None) -> Path:
    """A new entry. Raises Refused, CannotSay."""
    if tensorrt is not None and made.core != GPU and tensorrt.without_dla:
        raise DlaRefused(tensorrt.without_dla)
    _require_free(job, bundle)
    with job.store.workshop() as work:
        copy = copy_verified(bundle.path, job.keys, work / BUNDLE)
        if copy.sha256 != bundle.sha256:
            raise Refused(f"{bundle.path}: changed while it was read; run unina-compile again when it is complete")
        require_own_networks(copy)
        if tensorrt is None:
            return job.store.publish(work, made)
        output = work / PAYLOADS[made.core]
        line = compilation(copy, work, made.core, tensorrt)
        limits = _limits(job)
        what = f"compiling {bundle.path.name} for {made.core}, TensorRT {tensorrt}, L4T {made.l4t}"
        tell(what)

        def tick(seconds: float) -> None:
            status(f"{what}: {seconds:.0f} s of at most {limits.timeout_s:g}")

        Trtexec(Path(job.policy.trtexec)).compile(line.arguments, work, output, limits, tick)
        return job.store.publish(work, replace(made, payload_sha256=file_sha256(output)))


def _limits(job: Job) -> Limits:
    free_mb = job.store.free_bytes() // MIB - SPARE_MB
    return Limits(job.policy.timeout_s, job.policy.memory_mb, max(1, min(MOST_OUTPUT_MB, free_mb)))


def compilation(bundle: VerifiedBundle, work: Path, core: str, tensorrt: TensorRt) -> Compilation:
    """trtexec's call for a bundle that lies in `work`; writes the calibration cache for it. Raises Refused."""
    files = bundle.manifest.files
    require_files(files, tensorrt, str(bundle.path))
    layers: tuple[str, ...] = ()
    if not tensorrt.strongly_typed:
        cache = (work / BUNDLE / CACHE).read_bytes()
        (work / CACHE).write_bytes(calibration_for(tensorrt, cache, CACHE))
        if LAYERS in files:
            layers = fp16_layers((work / BUNDLE / LAYERS).read_text(encoding="utf-8", errors="replace"), LAYERS)
    return Compilation(bundle.manifest, tensorrt, core, BUNDLE, CACHE, PAYLOADS[core], layers)


def _require_free(job: Job, bundle: VerifiedBundle) -> None:
    needed = 2 * bundle.bytes + job.policy.min_free_mb * MIB
    free = job.store.free_bytes()
    if free < needed:
        raise Refused(
            f"{job.store.root}: {free / MIB:.0f} MiB are free, {needed / MIB:.0f} are needed (min_free_mb); make room"
        )
