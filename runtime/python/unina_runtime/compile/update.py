"""A newer bundle beside the one that serves: compiled, tried out, and kept or rolled back (docs/update.md).

What was accepted stays the link on the disk until the trial is over; the detector is offered the new model by the
link in memory alone. So a power cut at any moment ends with what was accepted.
"""

from dataclasses import dataclass
from pathlib import Path

from unina_runtime.compile import health
from unina_runtime.compile.manifest import Manifest, parse_manifest
from unina_runtime.compile.notify import status, tell
from unina_runtime.compile.outcome import CannotSay, Refused
from unina_runtime.compile.run import Job, Report, accepted_entry, look, prepare, serve_wanted, with_tensorrt
from unina_runtime.compile.selftest import require_selftest
from unina_runtime.compile.store import BUNDLE, PREVIOUS, Machine
from unina_runtime.compile.verified_bundle import MANIFEST

MOST_TRIALS = 3
"""of one entry that end neither well nor badly: with the power, or with this process"""


@dataclass(frozen=True)
class Trial:
    """An entry that is ready to be offered."""

    accepted: Path
    entry: Path
    tried: int
    """how often before"""
    selftest: str
    before: health.Seen


def update(job: Job, control: Path) -> Report:
    """Until what is wanted was judged, also if it is another bundle by then. Raises CannotSay."""
    while True:
        wanted = _wanted_now(job)
        report = _update(job, control)
        if _wanted_now(job) == wanted:
            return report
        tell(report.text)


def rollback(job: Job) -> Report:
    """By hand: the model before serves, and what served does not come back by itself. Raises Refused, CannotSay."""
    instance = job.wanted.instance
    with job.store.locked():
        machine, core = look(job)
        former, before = job.store.target(instance), job.store.target(instance, PREVIOUS)
        if before is None:
            raise Refused(f"{job.store.root}: there is no model before this one to go back to")
        if accepted_entry(job, machine, core, before) is None:
            raise Refused(f"{before.name}: is damaged, not signed as wanted, or not for this machine; not gone back to")
        if former is not None and former != before:
            job.store.reject(instance, former.name, "rolled back by hand")
        job.store.serve(instance, before)
        return Report("rolled back", before, f"{before.name} serves again", 0, job.store.read(before, job.keys))


def _update(job: Job, control: Path) -> Report:
    with job.store.locked():
        machine, core = look(job)
        job = with_tensorrt(job, core)
        accepted = accepted_entry(job, machine, core)
        if accepted is None:
            return serve_wanted(job)  # with nothing to lose there is nothing to try out
        try:
            trial = _prepared(job, machine, core, accepted, control)
        except (Refused, CannotSay, OSError) as error:
            job.store.offer(job.wanted.instance, accepted)
            return _kept(job, accepted, error)
    return trial if isinstance(trial, Report) else _judged(job, control, trial)


def _prepared(job: Job, machine: Machine, core: str, accepted: Path, control: Path) -> Trial | Report:
    instance = job.wanted.instance
    prepared = prepare(job, machine, core)
    entry, key = prepared.entry, prepared.entry.name
    if entry == accepted:
        job.store.end_trial(instance)
        job.store.serve(instance, accepted)
        job.store.prune()
        made = job.store.read(accepted, job.keys)
        return Report("present", accepted, f"nothing to update: {job.wanted.bundle.name} serves", 0, made)
    _require_same_readers(_manifest(accepted), prepared.bundle.manifest, job.wanted.bundle)
    tried = 0 if job.force else job.store.trials(instance, key)
    made = job.store.read(entry, job.keys)
    if made is None:
        raise Refused(f"{key}: was damaged meanwhile; unina-compile update again")
    try:
        if tried >= MOST_TRIALS:
            raise Refused(f"{tried} trials ended with the power or with unina-compile itself")
        status(f"self-test of {key}")
        policy = job.policy
        selftest = require_selftest(entry, made, prepared.bundle.manifest, policy.detector, policy.takeover_s)
    except Refused as error:
        job.store.reject(instance, key, str(error))
        raise
    models = {str(_absolute(one)) for one in (accepted, entry)}
    before = health.wait_for(control, models, job.policy.takeover_s)
    job.store.begin_trial(instance, key, tried + 1)
    return Trial(accepted, entry, tried, selftest, before)


def _judged(job: Job, control: Path, trial: Trial) -> Report:
    store, instance, key = job.store, job.wanted.instance, trial.entry.name
    policy = job.policy
    tell(f"trying {key} out for {policy.trial_s} s; {trial.selftest}")
    try:
        store.offer(instance, trial.entry)
        limits = health.Limits(policy.trial_s, policy.starve_s, policy.takeover_s)
        verdict = health.watch(
            control, trial.before, str(_absolute(trial.entry)), limits, lambda text: status(f"trying {key} out: {text}")
        )
    except BaseException:  # SIGTERM: the machine goes down, which is not the model's fault
        store.offer(instance, store.target(instance))
        store.begin_trial(instance, key, trial.tried)
        raise
    if not verdict.good:
        store.offer(instance, store.target(instance))  # at once: another unina-compile may hold the lock for long
    with store.locked():
        if store.target(instance) != trial.accepted:
            raise CannotSay(f"{key}: somebody let another model serve while it was tried out; nothing is changed")
        if verdict.good:
            store.serve(instance, trial.entry)
            store.end_trial(instance)
            store.prune()
            text = f"{key} serves: {trial.selftest}, and it served well for {policy.trial_s} s"
            return Report("updated", trial.entry, text, 0, store.read(trial.entry, job.keys))
        if verdict.good is False:
            store.reject(instance, key, verdict.why)
            store.prune()
    left = "" if verdict.good is False else "; it is tried out again when the detector starts"
    made = store.read(trial.accepted, job.keys)
    report = Report(
        "rolled back", trial.accepted, f"{key}: {verdict.why}; {trial.accepted.name} serves again{left}", 1, made
    )
    try:
        health.wait_for(control, {str(_absolute(trial.accepted))}, policy.takeover_s)
    except CannotSay as error:
        tell(f"warning: {error}")
        store.note_down(instance)
    return report


def _kept(job: Job, accepted: Path, error: Exception) -> Report:
    code = 2 if isinstance(error, CannotSay) else 1
    why = f"{error.filename or job.store.root}: {error.strerror}" if isinstance(error, OSError) else str(error)
    return Report("kept", accepted, f"{why}; {accepted.name} serves on", code, job.store.read(accepted, job.keys))


def _require_same_readers(old: Manifest, new: Manifest, bundle: Path) -> None:
    """Readers know the classes by their numbers, and the ring has room for so many detections."""
    if (old.classes, old.max_detections) != (new.classes, new.max_detections):
        raise Refused(
            f"{bundle}: has other classes or another max_detections than what serves, which readers could not "
            "follow; to take it over untried: unina-compile, then systemctl restart unina-detector and its readers"
        )


def _manifest(entry: Path) -> Manifest:
    path = entry / BUNDLE / MANIFEST
    return parse_manifest(path.read_bytes(), str(path))


def _absolute(entry: Path) -> Path:
    return entry.resolve()


def _wanted_now(job: Job) -> bytes:
    """Tells one bundle from another; b"" without one."""
    try:
        return (job.wanted.bundle / MANIFEST).read_bytes()
    except OSError:
        return b""
