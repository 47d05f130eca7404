"""`unina-compile`: from a bundle to what the detector serves, on the machine that serves it."""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any, Never

from unina_runtime.compile.configuration import DEFAULT_WANTED, FALLBACKS, instance_name, read_policy, read_wanted
from unina_runtime.compile.install import install
from unina_runtime.compile.notify import tell
from unina_runtime.compile.onnx_data import require_own_networks
from unina_runtime.compile.outcome import CannotSay, Refused
from unina_runtime.compile.run import Job, Report, compilation, look, run
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.store import BUNDLE, HOST, PAYLOADS, Made, Store
from unina_runtime.compile.trtexec import Trtexec
from unina_runtime.compile.update import rollback, update
from unina_runtime.compile.verified_bundle import copy_verified
from unina_runtime.compile.versions import L4T_RELEASE, TensorRt

STATE = Path("/var/lib/unina/loadables")
RUN = Path("/run/unina-compile")
DETECTOR = Path("/etc/unina/detector.toml")
POLICY = Path("/etc/unina/compile.toml")
ACTIONS = ("compile", "install", "update", "rollback")
EXAMPLES = """examples:
  unina-compile --boot                                as unina-compile.service runs it
  unina-compile install cones.unina                   as root: gives the detector another model
  unina-compile update                                as unina-update.service runs it
  unina-compile rollback                              as root: back to the model before
  unina-compile --detector /etc/unina/detector-front.toml
  unina-compile --dry-run --bundle cones.unina        verify, and show what trtexec would be called with
  unina-compile --force                               compile again, also what is there or was refused

The bundle is verified first: every file by its hash, and its signature where a key is provisioned (*.pub in
/etc/unina/trusted-keys, or --trust). What was compiled for another bundle, TensorRT, L4T or core is never used. If
compiling fails, the last good one serves on. On a machine without a DLA there is nothing to compile.
Exit code: 0 compiled, installed, accepted, already there, or nothing to do; 1 the bundle was refused, compiling failed
or the new model was rolled back; 2 can't say (no trtexec, no bundle, bad configuration). Pages: docs/first-boot.md,
docs/update.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        arguments = parser().parse_args(argv)
        job = _job(arguments)
        for warning in job.wanted.warnings:
            tell(f"warning: {warning}")
        if arguments.dry_run:
            return _dry_run(job, as_json=arguments.json)
        report = _act(job, arguments)
    except Refused as error:
        tell(str(error))
        return 1
    except CannotSay as error:
        tell(str(error))
        return 2
    except OSError as error:
        tell(f"{error.filename or 'the disk'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        return 130
    tell(report.text)
    if arguments.json:
        print(json.dumps(_document(job, report), indent=2))
    return report.exit_code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="unina-compile",
        description="Verifies a bundle and compiles it for the DLA of this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = top.add_argument
    add("action", nargs="?", choices=ACTIONS, default=ACTIONS[0], help="compile and serve (the default), or see below")
    add("source", nargs="?", type=Path, metavar="X.unina", help="what to install: a directory")
    add("--detector", type=Path, metavar="FILE", help=f"whose bundle and core to compile for (default: {DETECTOR})")
    add("--bundle", type=Path, metavar="DIR", help="a .unina directory, instead of the detector's")
    add("--accelerator", choices=tuple(PAYLOADS), help="instead of the detector's")
    add("--instance", type=instance_name, metavar="NAME", help="which detector it is for (default: name of --detector)")
    add("--config", type=Path, metavar="FILE", help=f"how to compile (default: {POLICY}, if it is there)")
    add("--state", type=Path, metavar="DIR", help=f"where results go (default: $STATE_DIRECTORY, else {STATE})")
    add("--run", type=Path, metavar="DIR", help=f"where the detector looks (default: $RUNTIME_DIRECTORY, else {RUN})")
    add("--boot", action="store_true", help="let what was accepted serve; a newer bundle is for unina-update.service")
    add("--trust", type=Path, action="append", default=[], metavar="KEY.pub", help="take only what this key signed")
    add("--control", type=Path, metavar="SOCKET", help="the detector's (default: /run/unina-INSTANCE/control.sock)")
    add("--trtexec", metavar="PATH", help="TensorRT's compiler")
    add("--fallback", choices=FALLBACKS, help="if the DLA refuses")
    add("--timeout-s", type=int, metavar="S", help="for one compilation")
    add("--memory-mb", type=int, metavar="MB", help="for trtexec")
    add("--min-free-mb", type=int, metavar="MB", help="to be left on the disk")
    add("--tensorrt-version", type=_version, metavar="X.Y.Z", help="instead of asking trtexec")
    add("--l4t-release", type=Path, default=L4T_RELEASE, metavar="FILE", help=f"(default: {L4T_RELEASE})")
    add("--force", action="store_true", help="compile also what is there")
    add("--dry-run", action="store_true", help="verify and show, write nothing")
    add("--json", action="store_true", help="print a JSON object on stdout")
    return top


def _version(text: str) -> TensorRt:
    found = re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,2})\.([0-9]{1,2})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a version such as 10.3.0")
    return TensorRt(int(found[1]), int(found[2]), int(found[3]))


def _act(job: Job, arguments: argparse.Namespace) -> Report:
    if (arguments.action == "install") != (arguments.source is not None):
        raise CannotSay("install takes a bundle, X.unina, and nothing else does")
    if arguments.action == "install":
        bundle, place = install(arguments.source, job.wanted.bundle, job.keys, job.policy.min_free_mb)
        job.store.forgive(job.wanted.instance, bundle.sha256)
        text = f"{place}: installed; unina-update.service compiles it and tries it out"
        return Report("installed", None, text, signed_by=bundle.signed_by)
    if arguments.action == "update":
        return update(job, arguments.control or Path(f"/run/unina-{job.wanted.instance}/control.sock"))
    return rollback(job) if arguments.action == "rollback" else run(job)


def _job(arguments: argparse.Namespace) -> Job:
    wanted = DEFAULT_WANTED  # a bundle that is named needs no detector
    if arguments.detector or not arguments.bundle:
        wanted = read_wanted(arguments.detector or DETECTOR)
    if arguments.bundle:
        wanted = replace(wanted, bundle=arguments.bundle)
    if arguments.instance:
        wanted = replace(wanted, instance=arguments.instance)
    if arguments.accelerator:
        wanted = replace(wanted, core=arguments.accelerator, definite=True)
    config = arguments.config or (POLICY if POLICY.exists() else None)
    keys = ("trtexec", "fallback", "timeout_s", "memory_mb", "min_free_mb")
    policy = read_policy(config, {key: getattr(arguments, key) for key in keys})
    state = arguments.state or _of_systemd("STATE_DIRECTORY", STATE)
    store = Store(state, arguments.run or _of_systemd("RUNTIME_DIRECTORY", state / "run" if arguments.state else RUN))
    trusted = TrustedKeys.of(arguments.trust, Path(policy.trusted_keys))
    asked, force, boot = arguments.tensorrt_version, arguments.force, arguments.boot
    return Job(wanted, policy, trusted, store, arguments.l4t_release, asked, force, boot)


def _of_systemd(variable: str, otherwise: Path) -> Path:
    return Path(os.environ.get(variable, "").split(":")[0] or otherwise)


def _dry_run(job: Job, *, as_json: bool) -> int:
    """Everything but compiling. Raises Refused, CannotSay."""
    machine, core = look(job)
    with tempfile.TemporaryDirectory(prefix="unina-compile-") as name:
        work = Path(name)
        bundle = copy_verified(job.wanted.bundle, job.keys, work / BUNDLE)
        require_own_networks(bundle)
        document: dict[str, Any] = {
            "bundle": str(job.wanted.bundle),
            "bundle_sha256": bundle.sha256,
            "signed_by": bundle.signed_by,
            "core": core,
            "l4t": machine.l4t,
        }
        if core != HOST:
            trtexec = Trtexec(Path(job.policy.trtexec))
            tensorrt = job.tensorrt or trtexec.tensorrt(work)
            line = compilation(bundle, work, core, tensorrt)
            entry = job.store.root / Made(bundle.sha256, str(tensorrt), machine.l4t, core, "").key
            there = job.store.read(entry, job.keys) is not None
            document |= {"tensorrt": str(tensorrt), "entry": str(entry), "compiled": there}
            document["arguments"] = [str(trtexec.path), *line.arguments]
    if as_json:
        print(json.dumps(document, indent=2))
        return 0
    for key, value in document.items():
        print(f"{key}: {' '.join(value) if isinstance(value, list) else value}")
    return 0


def _document(job: Job, report: Report) -> dict[str, Any]:
    return {
        "schema": 1,
        "outcome": report.outcome,
        "text": report.text,
        "instance": job.wanted.instance,
        "served": None if report.served is None else str(report.served),
        "made": None if report.made is None else asdict(report.made),
        "signed_by": report.signed_by,
    }


def _stop(number: int, frame: FrameType | None) -> Never:
    """SIGTERM: trtexec is ended and what was being made is removed, on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
