"""The page of `unina-profile report`, section by section."""

import html
from collections.abc import Iterator, Sequence

import numpy as np

from unina_runtime.profile.chart import Mark, histogram, time_chart
from unina_runtime.profile.findings import Findings, dla_on, quantiles, unit_of_speed
from unina_runtime.profile.latency import MESSAGES
from unina_runtime.profile.page import cards, figure, note, paragraph, table
from unina_runtime.profile.recording import LOG, PROC
from unina_runtime.profile.regression import FASTER, RESAMPLES, SAME, SLOWER, Comparison
from unina_runtime.profile.report import Baseline, percentile_rows
from unina_runtime.profile.series import Floats
from unina_runtime.profile.throttling import limits

WORDS = {SLOWER: "Slower than before", FASTER: "Faster than before", SAME: "No change that matters"}
CARDS = (
    ("p50_ms", "ms", "median latency"),
    ("p99_ms", "ms", "99th percentile"),
    ("images_per_second", "", "images a second"),
    ("mean_watts", "W", "on the average"),
    ("images_per_joule", "", "images a joule (a second and watt)"),
    ("tops", "TOPS", "done, two operations a MAC"),
    ("tops_per_watt", "TOPS/W", "of the power below"),
    ("gpu_left_percent", "%", "of the GPU left, on the average"),
    ("hottest_celsius", "°C", "the hottest sensor"),
    ("throttled_seconds", "s", "throttled"),
)
METHOD = (
    "Verdict: p50 and p99 of the new run over those of the earlier one, each with the interval of a moving block "
    "bootstrap (Künsch 1989; {resamples} draws, blocks as long as neighbouring frames are alike: {old} and {new} "
    "frames); both hold together with 95 %. Beside it the rank test of Mann and Whitney on frames that far apart: "
    "p = {p}; a new frame is slower than an earlier one in {share} of all pairs. One run beside one run: what "
    "differs from start to start (clocks, temperature, other programs) is not in the interval; repeat both before you "
    "act on it."
)


def sections(found: Findings, baseline: Baseline | None, comparison: Comparison | None) -> Iterator[str]:
    """HTML of the whole body but for tables of engines and layers."""
    yield from _head(found)
    if baseline is not None and comparison is not None:
        yield _verdict(comparison, baseline)
    yield cards(_cards(found))
    yield from _latency(found, baseline)
    yield from _power(found)
    yield from _heat(found)
    yield from _left(found)
    if baseline is not None and comparison is not None:
        yield from _beside(found, baseline, comparison)


def _head(found: Findings) -> Iterator[str]:
    made, machine = found.recording, found.recording.machine
    name = " ".join(made.command) or "A log of tegrastats"
    yield f"<h1>{html.escape(name if len(name) <= 90 else name[:87] + '…')}</h1>"
    when = "" if made.began is None else f"{made.began:%Y-%m-%d %H:%M:%S}"
    words = [when, f"{made.seconds:.0f} s", str(machine.get("model", "")), str(machine.get("l4t", ""))[:40]]
    if mode := machine.get("power_mode"):
        words.append(f"power mode {mode}")
    yield f"<p class=lead>{html.escape(' · '.join(word for word in words if word))}</p>"
    if made.source == PROC:
        yield note("No tegrastats on this machine: load and memory only. No figure here is one of a Jetson.")
    if made.exit_code not in (None, 0):
        how = "was stopped" if made.stopped else f"ended with exit code {made.exit_code}"
        yield note(f"The command {how}.")
    for remark in made.notes:
        yield note(remark)
    if found.series.unknown:
        names = ", ".join(sorted(found.series.unknown))
        yield paragraph(f"Fields of tegrastats that this program does not know: {names}.", small=True)


def _verdict(comparison: Comparison, baseline: Baseline) -> str:
    word = WORDS.get(comparison.verdict, "It cannot be said whether it got slower")
    sure = max((one.slower for one in comparison.ratios), default=None)
    confidence = "" if sure is None else f" Confidence that it is slower by more than that: {sure:.1%}."
    kind = {SLOWER: " bad", FASTER: " good", SAME: " good"}.get(comparison.verdict, "")
    text = f"Against {baseline.origin}: {comparison.why}.{confidence}"
    return f"<div class='verdict{kind}'><b>{html.escape(word)}</b><br>{html.escape(text)}</div>"


def _cards(found: Findings) -> list[tuple[str, str]]:
    told = found.figures()
    main = found.main
    shown = []
    for name, unit, words in CARDS:
        if name not in told or (name == "throttled_seconds" and not found.series.of("celsius")):
            continue
        text = words
        if name == "images_per_second" and main is not None:
            text = unit_of_speed(main[0])
        if name == "p50_ms" and main is not None:
            text = f"{words}, {main[0].kind}: {main[0].main}"
        shown.append((f"{figure(told[name], 3)} {unit}".strip(), text))
    return shown


def _marks(found: Findings) -> list[Mark]:
    return [Mark(span.begin, span.end, span.why) for span in found.throttled]


def _latency(found: Findings, baseline: Baseline | None) -> Iterator[str]:
    main = found.main
    yield "<h2>Latency</h2>"
    if main is None:
        yield paragraph("No times: name a file of them with --latency, or record a command that prints them.")
        return
    if main[1].samples_ms:
        told = quantiles(main[1])
        runs = {"this run": main[1].samples_ms}
        if baseline is not None and baseline.samples_ms:
            runs[f"earlier: {baseline.origin}"] = baseline.samples_ms
        title = f"{main[0].kind}: {main[0].main}, {len(main[1].samples_ms)} frames"
        yield histogram(title, "ms", runs, {name: told[name] for name in ("p50", "p95", "p99")})
        yield paragraph("The last step holds the slowest thousandth, too.", small=True)
    else:
        yield paragraph("The program told percentiles alone: there is no distribution to draw.")
    yield table(["stage, ms", "p50", "p95", "p99", "mean", "frames"], percentile_rows(found.latencies))
    if main[0].at_s and found.recording.began is not None and main[0].kind == MESSAGES:
        at = np.asarray(main[0].at_s) - found.recording.began.timestamp()
        inside = (at >= 0) & (at <= found.recording.seconds)
        if inside.any():
            values = np.asarray(main[1].samples_ms)[inside]
            yield time_chart("Latency over time", "ms", at[inside], {main[0].main: values}, marks=_marks(found))


def _power(found: Findings) -> Iterator[str]:
    yield "<h2>Power</h2>"
    rails = {name: values / 1000 for name, values in found.series.of("rail").items() if np.nanmax(values) > 0}
    if not found.watts_of:
        yield paragraph("No rail was told.")
        return
    curves = {"total": found.watts, **rails} if len(rails) > 1 else {found.watts_of: found.watts}
    yield time_chart("Power over time", "W", found.series.seconds, curves, marks=_marks(found))
    seconds = found.recording.seconds
    means = {name: float(np.nanmean(values)) for name, values in curves.items()}
    rows = [[name, means[name], float(np.nanmax(values)), means[name] * seconds] for name, values in curves.items()]
    yield table(["rail", "mean, W", "peak, W", "J"], rows)
    figures = found.figures()
    told: list[list[object]] = []
    if "images_per_joule" in figures:
        told.append(["throughput a watt", f"{figure(figures['images_per_joule'])} images/s/W"])
    if found.operations is not None and "tops" in figures:
        work = 2 * found.operations.macs / 1e9
        told.append(["operations", f"{figure(work)} G an image of {found.operations.of} (two a MAC)"])
        told.append(["speed", f"{figure(figures['tops'])} TOPS"])
    if "tops_per_watt" in figures:
        told.append(["TOPS/W", f"{figure(figures['tops_per_watt'])}"])
    yield table(["work for the power", ""], told)
    if found.operations is None and "images_per_second" in figures:
        text = "TOPS and TOPS/W need the network's operations: --network with the bundle, or an estimate of it."
        yield paragraph(text, small=True)
    text = f"Total is {found.watts_of}, with all that ran meanwhile, not of an accelerator alone."
    yield paragraph(text, small=True)


def _heat(found: Findings) -> Iterator[str]:
    sensors = found.series.of("celsius")
    if not sensors:
        return
    yield "<h2>Temperature</h2>"
    hottest = dict(sorted(sensors.items(), key=lambda item: -float(np.nanmax(item[1])))[:8])
    trips = limits(found.recording, found.series)
    lowest = min(trips.values(), default=None)
    first = min(trips, key=lambda name: trips[name], default="")
    limit = None if lowest is None else (lowest, f"{first} is throttled from {lowest:g} °C")
    yield time_chart(
        "Temperature over time", "°C", found.series.seconds, hottest, marks=_marks(found), limit=limit, zero=False
    )
    if found.throttled:
        rows = [[f"{span.begin:.0f} to {span.end:.0f} s", span.why] for span in found.throttled[:20]]
        for_s = found.figures()["throttled_seconds"]
        yield note(f"Throttled for {for_s:.0f} s: what was measured then is not what a cool machine does.")
        yield table(["when (shaded above)", "who says so"], rows)
    elif limit is not None:
        yield paragraph("No sensor reached its limit, and Linux held nothing back as far as was recorded.")
    if found.recording.source == LOG and lowest is not None:
        text = "The log does not say this machine's limits: those of AGX Orin's device tree are taken."
        yield paragraph(text, small=True)
    counts = {name: count for name, count in found.recording.events.items() if count > 0}
    if counts:
        told = ", ".join(f"{name} {count} times" for name, count in counts.items())
        yield note(f"Over-current or under-voltage held the clocks back: {told}.")


def _left(found: Findings) -> Iterator[str]:
    if not found.parts:
        return
    yield "<h2>What is left for SLAM and the rest</h2>"
    rows: list[Sequence[object]] = [
        [part.name, part.mean, part.p95, 100 - part.mean, 100 - part.p95, part.mhz] for part in found.parts
    ]
    yield table(["", "used, %", "used in 95 %, %", "left, %", "left in 95 %, %", "mean MHz"], rows)
    columns = found.series.of("load")
    curves: dict[str, Floats] = {name: columns[name] for name in ("GR3D_FREQ", "EMC_FREQ") if name in columns}
    if "cpu" in found.series.columns:
        curves["CPU, all cores"] = found.series.columns["cpu"]
    yield time_chart("Load over time", "%", found.series.seconds, curves, marks=_marks(found), top=100)
    on = dla_on(found.series)
    words = [f"{core} had a clock in {share:.0f} % of the samples" for core, share in on.items()]
    used = found.series.of("memory").get("RAM")
    if used is not None:
        total = float(np.nanmax(found.series.of("total")["RAM"]))
        words.append(f"at most {float(np.nanmax(used)):.0f} of {total:.0f} MiB of memory were used")
    scaled = "Used is load times clock over the highest clock of the recording"
    if words:
        text = "; ".join(words)
        yield paragraph(f"{text[0].upper()}{text[1:]}.")
    yield paragraph(f"{scaled}, where tegrastats told clocks (to root); else of whatever clock it had.", small=True)


def _beside(found: Findings, baseline: Baseline, comparison: Comparison) -> Iterator[str]:
    yield f"<h2>Beside {html.escape(baseline.origin)}</h2>"
    now = found.figures()
    rows = []
    for name, unit, words in CARDS:
        if name in now and name in baseline.figures:
            before = baseline.figures[name]
            change = f"{(now[name] / before - 1):+.1%}" if before else None
            rows.append([f"{words}{f', {unit}' if unit else ''}", before, now[name], change])
    yield table(["", "earlier", "now", "change"], rows)
    if comparison.p_value is not None:
        told = [
            *([f"{one.quantile}, ms", one.earlier_ms, one.now_ms, f"×{one.ratio:.3f}"] for one in comparison.ratios)
        ]
        for row, one in zip(told, comparison.ratios, strict=True):
            row += [f"{one.low:.3f} to {one.high:.3f}", one.verdict]
        yield table(["", "earlier", "now", "ratio", "interval", "verdict"], told)
        method = METHOD.format(
            resamples=RESAMPLES,
            old=comparison.block[0],
            new=comparison.block[1],
            p=figure(comparison.p_value, 2) if comparison.p_value >= 1e-4 else "below 0.0001",
            share=f"{comparison.superiority or 0:.0%}",
        )
        yield paragraph(method, small=True)
    yield paragraph("Power, heat and speed are told without a verdict: one run has one of each.", small=True)
