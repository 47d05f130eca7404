"""`unina-profile report`: one page that says what the recording says, in any browser, and nothing that it does not."""

import html
import json
import shutil
import subprocess
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profile_logs import FORMS, log
from profile_program import Bench
from profile_runs import bench_json, estimate_json, frames_ms, messages, trtexec_times

from unina_runtime.profile.chart import ticks
from unina_runtime.profile.latency import Latencies, latencies_in
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.page import data_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
VOID = {"meta", "link", "br", "line", "path", "rect"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Page(HTMLParser):
    """What is in a page; fails at a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words = ""
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words += data


def page(bench: Bench, name: str = "run.html") -> Page:
    return Page((bench.folder / name).read_text())


def figures(bench: Bench, *arguments: object) -> dict[str, float]:
    told: dict[str, float] = json.loads(bench.run("report", *arguments, "--json").stdout)["figures"]
    return told


def a_recording(bench: Bench, form: str = "agx_orin_r36", seconds: int = 20, text: str = "", **changed: object) -> None:
    """run.json, of a log whose lines are as they are."""
    (bench.folder / "log").write_text(text or log(form, seconds))
    bench.good("record", "-o", "run.json", "--tegrastats", "log")
    made = bench.read("run.json") | changed
    (bench.folder / "run.json").write_text(json.dumps(made))


def test_the_figures_are_those_of_the_recording(bench: Bench) -> None:
    line = log("orin_nx_r36", 1)
    now = [line.replace("9800mW", f"{milliwatts}mW").replace("20%@[612]", load) for milliwatts, load in
           ((10_000, "50%@[600]"), (20_000, "50%@[300]"), (30_000, "0%@[600]"))]  # fmt: skip
    a_recording(bench, text="".join(text.replace("12:00:00", f"12:00:0{at}") for at, text in enumerate(now)))
    times = trtexec_times(bench.folder / "times.json", [4.0] * 100)
    found = figures(bench, "run.json", "--latency", times, "--network", estimate_json(bench.folder / "e.json"))
    assert (found["mean_watts"], found["peak_watts"], found["joules"]) == (20, 30, 60)
    assert (found["p50_ms"], found["p99_ms"]) == (4, 4) and found["images_per_second"] == pytest.approx(250)
    assert found["images_per_joule"] == pytest.approx(12.5)
    assert found["tops"] == pytest.approx(2 * 10 * 250 / 1000), "two operations a MAC of 10 GMAC"
    assert found["tops_per_watt"] == pytest.approx(5 / 20)
    assert found["gpu_left_percent"] == pytest.approx(100 - (50 + 25 + 0) / 3), "at half the clock half is used"


def test_where_no_rail_is_the_modules_their_sum_is_named(bench: Bench) -> None:
    a_recording(bench, "agx_orin_r35", 1)
    assert figures(bench, "run.json")["mean_watts"] == pytest.approx((9800 + 2390 + 4025) / 1000)
    assert "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0" in page(bench).words


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_a_whole_page_that_fetches_nothing(bench: Bench, form: str) -> None:
    (bench.folder / "run.log").write_text(log(form, 30))
    bench.good("report", "run.log")
    made = page(bench)
    assert "What is left for SLAM" in made.words and "Power over time" in made.words
    sources = {value for _, name, value in made.attributes if name in {"src", "href", "data", "action", "srcset"}}
    assert sources == {"data:,"}
    assert (
        "url(" not in (bench.folder / "run.html").read_text()
        and "@import" not in (bench.folder / "run.html").read_text()
    )
    assert [value for tag, name, value in made.attributes if tag == "script" and name == "type"] == ["application/json"]
    assert not [name for _, name, _ in made.attributes if name.startswith("on")]


def test_throttling_is_marked_where_linux_or_a_sensor_says_so(bench: Bench) -> None:
    a_recording(bench)
    assert figures(bench, "run.json")["throttled_seconds"] == 0
    assert "No sensor reached its limit" in page(bench).words
    a_recording(bench, alerts=[[5.0, ["gpu"]], [6.0, ["gpu"]], [15.0, ["cpu", "gpu"]]])
    assert figures(bench, "run.json")["throttled_seconds"] == pytest.approx(3)
    assert "Linux held back cpu, gpu" in page(bench).words
    assert (bench.folder / "run.html").read_text().count("<rect class=hot") >= 2
    a_recording(bench, machine={"trips_celsius": {"cpu": 44.0, "gpu": 90.0}})
    assert figures(bench, "run.json")["throttled_seconds"] > 0 and "cpu at 44 °C or more" in page(bench).words
    a_recording(bench, events={"oc1": 0, "oc3": 7})
    assert "oc3 7 times" in (bench.good("report", "run.json") and page(bench).words)


def test_a_pc_is_not_taken_for_a_jetson(bench: Bench) -> None:
    bench.good("record", "-o", "run.json", "--", "sleep", "0.3")
    bench.good("report", "run.json")
    assert "No figure here is one of a Jetson" in page(bench).words and "No rail was told" in page(bench).words


def test_a_slower_run_is_a_no_and_the_earlier_page_is_all_that_it_needs(bench: Bench) -> None:
    a_recording(bench)
    for name, factor, seed in (("old", 1.0, 1), ("same", 1.0, 2), ("slow", 1.15, 3)):
        trtexec_times(bench.folder / f"{name}.json", frames_ms(4000, seed, factor, 0.3))
    bench.good("report", "run.json", "--latency", "old.json", "-o", "old.html")
    same = ("report", "run.json", "--latency", "same.json", "--baseline", "old.html", "-o", "same.html")
    assert "no change: " in bench.good(*same, "--tolerance", "0.05")
    told = bench.bad(1, "report", "run.json", "--latency", "slow.json", "--baseline", "old.html", "-o", "slow.html")
    assert "slower: p50 ×1.15" in told or "slower: p50 ×1.14" in told
    words = page(bench, "slow.html").words
    assert "Slower than before" in words and "moving block bootstrap" in words and "Mann and Whitney" in words
    assert "Confidence that it is slower by more than that: 100" in words


def test_what_cannot_be_compared_is_a_cannot_say(bench: Bench) -> None:
    a_recording(bench)
    trtexec_times(bench.folder / "times.json", frames_ms(500))
    (bench.folder / "bench.json").write_text(json.dumps(bench_json(frames_ms(500))))
    (bench.folder / "percentiles.json").write_text(json.dumps(bench_json(frames_ms(500), samples=False)))
    bench.good("report", "run.json", "--latency", "bench.json", "-o", "old.html")
    for file, why in (("percentiles", "percentiles alone"), ("times", "they cannot be compared")):
        against = ("report", "run.json", "--latency", f"{file}.json", "--baseline", "old.html", "-o", "new.html")
        assert why in bench.bad(2, *against)
        assert "It cannot be said" in page(bench, "new.html").words
    assert "this run has no times" in bench.bad(2, "report", "run.json", "--baseline", "old.html")


def test_a_recording_is_a_baseline_too(bench: Bench) -> None:
    a_recording(bench)
    made = bench.read("run.json")
    samples = [{"kind": "trtexec", "title": "t", "images_per_second": 500.0, "main": "latency",
                "stages": {"latency": {"samples_ms": frames_ms(3000, memory=0)}}}]  # fmt: skip
    (bench.folder / "old.json").write_text(json.dumps({**made, "latencies": samples}))
    assert "no change" in bench.good("report", "old.json", "--baseline", "old.json", "-o", "run.html")


def test_names_from_outside_are_words_and_never_html(bench: Bench) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    a_recording(bench, command=[evil], notes=[evil], machine={"model": evil})
    bench.good("report", "run.json")
    made = page(bench)
    assert made.words.count(evil) >= 2
    assert not [tag for tag, _, _ in made.attributes if tag == "img"]
    assert json.loads(data_of((bench.folder / "run.html").read_text()) or "")["command"] == [evil]


def test_what_is_no_recording_is_refused_and_writes_nothing(bench: Bench) -> None:
    a_recording(bench)
    whole = (bench.folder / "run.json").read_text()
    for name, text in (
        ("cut", whole[:-20]),
        ("other", '{"tool": "x", "schema": 1}'),
        ("words", "hello\nworld\n"),
        ("list", "[]"),
    ):
        (bench.folder / f"{name}.json").write_text(text)
        assert f"{name}.json" in bench.bad(2, "report", f"{name}.json", "-o", "none.html")
        assert f"{name}.json" in bench.bad(2, "report", "run.json", "--baseline", f"{name}.json", "-o", "none.html")
        assert f"{name}.json" in bench.bad(2, "report", "run.json", "--latency", f"{name}.json", "-o", "none.html")
    part = estimate_json(bench.folder / "part.json", complete=False)
    assert "a part of the network" in bench.bad(2, "report", "run.json", "--network", part, "-o", "none.html")
    assert not (bench.folder / "none.html").exists()


def test_the_detectors_messages_are_drawn_at_their_time(bench: Bench) -> None:
    told = latencies_in(messages([3.0, 4.0, 5.0], 1000.0) + '{"captured_ns": 1, "cut', "m.jsonl")
    assert told is not None and told.stages["total"].samples_ms == pytest.approx([3, 4, 5])
    assert told.stages["wait"].samples_ms == pytest.approx([0.2] * 3) and told.images_per_second == pytest.approx(
        9.9, 0.1
    )
    assert told.at_s == pytest.approx([1000.003, 1000.104, 1000.205], abs=1e-6)
    a_recording(bench, began="1970-01-01T00:16:40+00:00")
    (bench.folder / "m.jsonl").write_text(messages(frames_ms(100), 1000.0))
    bench.good("report", "run.json", "--latency", "m.jsonl")
    assert "Latency over time" in page(bench).words


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_an_axis_has_few_round_ticks_around_its_values(low: float, span: float, about: int) -> None:
    rows = ticks(low, low + span, about)
    slack = 1e-6 * max(abs(low), span)
    assert rows[0] <= low + slack and rows[-1] >= low + span - slack and 2 <= len(rows) <= 2 * about + 4
    assert rows == sorted(rows)


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER HERE: the page is not opened (apt-get install chromium)")
@pytest.mark.parametrize("width", [390, 1440])
def test_a_browser_shows_it_without_a_complaint_and_without_scrolling_sideways(bench: Bench, width: int) -> None:
    a_recording(bench, seconds=60, alerts=[[5.0, ["gpu"]]])
    times = trtexec_times(bench.folder / "times.json", frames_ms(1000))
    bench.good("report", "run.json", "--latency", times, "--network", estimate_json(bench.folder / "e.json"))
    bench.run("report", "run.json", "--latency", times, "--baseline", "run.html", "-o", "both.html")
    inner = html.escape((bench.folder / "both.html").read_text())
    frame = f"<iframe style='border:0' width={width} height=20000 srcdoc='{inner}'></iframe>"  # no window is as narrow
    asks = "<script>onload = () => document.title = document.querySelector('iframe')"
    asks += ".contentDocument.documentElement.scrollWidth</script>"
    (bench.folder / "asked.html").write_text(f"<!doctype html><title>not loaded</title>{frame}{asks}")
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,2000"]
    command += [f"--user-data-dir={bench.folder / 'browser'}", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{bench.folder}/asked.html"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0 and "CONSOLE" not in done.stderr, done.stderr
    assert f"<title>{width}</title>" in done.stdout, done.stdout[:200]


STRANGE = st.sampled_from(
    [None, True, -1, 0, 1e308, "", "x", "\ud800", [], [[]], [1], {}, {"a": {}}, [[None, None]], float("nan")]
)


def changed(document: object, data: st.DataObject) -> object:
    """The document with one value, wherever it lies, replaced."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(document)))
        return {**document, key: changed(document[key], data)}
    if isinstance(document, list) and document and data.draw(st.integers(0, 5)):
        place = data.draw(st.integers(0, len(document) - 1))
        return [*document[:place], changed(document[place], data), *document[place + 1 :]]
    return data.draw(STRANGE)


@given(st.data())
def test_times_that_were_changed_are_read_or_refused(data: st.DataObject) -> None:
    entry = {"startH2dMs": 0.0, "endD2hMs": 2.0, "computeMs": 1.5, "latencyMs": 2.0}
    for document in (bench_json([1.0, 2.0]), bench_json([1.0, 2.0], samples=False), [entry, entry]):
        with suppress(CannotSay):
            found = latencies_in(json.dumps(changed(document, data)), "t")
            assert found is None or Latencies.from_json(json.loads(json.dumps(found.to_json()))) is not None
    lines = messages([1.0, 2.0], 5.0).splitlines()
    with suppress(CannotSay):
        latencies_in("\n".join([json.dumps(changed(json.loads(lines[0]), data)), *lines]), "t")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.data())
def test_a_recording_or_estimate_that_was_changed_is_told_or_refused(bench: Bench, data: st.DataObject) -> None:
    if not (bench.folder / "whole.json").exists():
        a_recording(bench, seconds=3, alerts=[[1.0, ["gpu"]]], machine={"model": "m", "trips_celsius": {"cpu": 50.0}})
        made = bench.read("run.json")
        times = {"kind": "trtexec", "title": "t", "images_per_second": 5.0, "main": "a", "at_s": [1.0, 2.0]}
        times["stages"] = {"a": {"samples_ms": [1.0, 2.0]}, "b": {"told_ms": {"p50": 1.0}}}
        (bench.folder / "whole.json").write_text(json.dumps({**made, "latencies": [times]}))
        estimate_json(bench.folder / "estimate.json")
    for name in ("whole", "estimate"):
        (bench.folder / f"new_{name}.json").write_text(json.dumps(changed(bench.read(f"{name}.json"), data)))
    for flags in (
        ("new_whole.json",),
        ("whole.json", "--baseline", "new_whole.json"),
        ("whole.json", "--network", "new_estimate.json"),
    ):
        done = bench.run("report", *flags, "-o", "page.html")
        assert done.returncode in {0, 1, 2} and done.stderr.count("\n") <= 3, done.stderr
