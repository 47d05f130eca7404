"""tegrastats' lines are read whatever release wrote them, and whatever became of them since."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_logs import FORMS, log, moments

from unina_runtime.profile.series import read_lines
from unina_runtime.profile.tegrastats import Load, Memory, Rail, Sample, parse_line

FIRST = next(moments(1))


def test_every_field_of_agx_orin_is_read() -> None:
    line = FORMS["agx_orin_r36"](FIRST)
    sample = parse_line(line)
    assert sample.when == FIRST.when
    assert sample.memory == {"RAM": Memory(6185, 62841, "lfb 466x4MB"), "SWAP": Memory(86, 31420, "cached 0MB")}
    assert sample.cpu == (*[Load(12, (2201,))] * 4, *[Load(3, (729,))] * 4, *[None] * 4)
    off = dict.fromkeys(("NVENC", "NVDEC", "NVJPG", "NVJPG1", "OFA", "NVDLA1", "PVA0_FREQ"))
    on = {"EMC_FREQ": Load(21, (3199,)), "GR3D_FREQ": Load(20, (1294, 1300)), "VIC": Load(36, (115,))}
    assert sample.engines == {**on, **off, "NVDLA0": Load(None, (1600,)), "APE": Load(None, (174,))}
    assert sample.celsius == {"cpu": 43, "soc2": 48.4, "soc0": 49.093, "gpu": 44, "tj": 45, "soc1": 49.6}
    rails = {"VDD_GPU_SOC": Rail(9800, 9100), "VDD_CPU_CV": Rail(2607, 2600), "VIN_SYS_5V0": Rail(4707, 4700)}
    assert sample.rails == rails
    assert sample.unknown == {}


@pytest.mark.parametrize("form", FORMS)
def test_no_field_of_any_release_is_unknown(form: str) -> None:
    sample = parse_line(FORMS[form](FIRST))
    assert sample.unknown == {} and not sample.empty
    assert sample.memory["RAM"].used_mib > 0 and sample.cpu
    gpu = sample.engines["GR3D_FREQ"]
    assert gpu is not None and gpu.percent == FIRST.load
    assert FIRST.celsius in sample.celsius.values()
    assert FIRST.milliwatts in {rail.now_mw for rail in sample.rails.values()}


ROWS: list[tuple[str, Sample]] = [
    ("GR3D_FREQ 5%@[305,306]", Sample(engines={"GR3D_FREQ": Load(5, (305, 306))})),
    ("GR3D_FREQ @[305, 306]", Sample(engines={"GR3D_FREQ": Load(None, (305, 306))})),
    ("GR3D_FREQ 5 %@[612]", Sample(engines={"GR3D_FREQ": Load(5, (612,))})),
    ("EMC_FREQ 3%", Sample(engines={"EMC_FREQ": Load(3)})),
    ("EMC_FREQ @2133", Sample(engines={"EMC_FREQ": Load(None, (2133,))})),
    ("NVDLA0 off NVDLA1 0%@1408", Sample(engines={"NVDLA0": None, "NVDLA1": Load(0, (1408,))})),
    ("NVENC 704 SE @499", Sample(engines={"NVENC": Load(None, (704,)), "SE": Load(None, (499,))})),
    ("MTS fg 1% bg 2%", Sample(engines={"MTS fg": Load(1), "MTS bg": Load(2)})),
    ("CPU [off,7%,3%@1190]", Sample(cpu=(None, Load(7), Load(3, (1190,))))),
    ("CPU [7%,off]@102", Sample(cpu=(Load(7, (102,)), None))),
    ("cpu@45.6C GPU@44 tj 50.5C CV0@-256C", Sample(celsius={"cpu": 45.6, "GPU": 44, "tj": 50.5, "CV0": None})),
    ("VDD_IN 4000/3900 VDD_SOC 5000mW/4800mW", Sample(rails={"VDD_IN": Rail(4000, 3900), "VDD_SOC": Rail(5000, 4800)})),
    ("VDD_GPU_SOC 2171mW", Sample(rails={"VDD_GPU_SOC": Rail(2171)})),
    ("NC 0mW/0mW NC 7mW/0mW", Sample(rails={"NC": Rail(0, 0), "NC#2": Rail(7, 0)})),
    ("IRAM 128/252kB(lfb 252kB)", Sample(memory={"IRAM": Memory(0.125, 252 / 1024, "lfb 252kB")})),
    ("RAM 4300/30698MB", Sample(memory={"RAM": Memory(4300, 30698)})),
]


@pytest.mark.parametrize(("line", "sample"), ROWS, ids=[row[0] for row in ROWS])
def test_a_field_is_read_in_all_its_forms(line: str, sample: Sample) -> None:
    assert parse_line(line) == sample


def test_what_nobody_knows_is_kept_by_its_name_and_hides_nothing() -> None:
    sample = parse_line("RAM 1/2MB NEWUNIT 12xy [3] ?? EMC_FREQ 3% lost tj@45C NEWUNIT 4z trailing")
    assert sample.unknown == {"NEWUNIT": "12xy [3] ??", "lost": "", "NEWUNIT#2": "4z", "trailing": ""}
    assert set(sample.memory) == {"RAM"} and set(sample.engines) == {"EMC_FREQ"} and sample.celsius == {"tj": 45}


PIECES = [
    "RAM",
    "CPU",
    "[",
    "]",
    "%",
    "@",
    "off",
    "mW",
    "C",
    "/",
    " ",
    "(lfb",
    ")",
    "GR3D_FREQ",
    "-256",
    "9" * 40,
    "\0",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_text_is_too_strange(line: str) -> None:
    sample = parse_line(line)
    assert sample.empty or sample == parse_line(line)


@given(st.lists(st.sampled_from([FORMS[name](now) for name in FORMS for now in moments(2)]), max_size=30))
def test_the_seconds_of_a_series_rise_whatever_lines_come_together(lines: list[str]) -> None:
    series = read_lines(lines)
    assert len(series.seconds) == len(lines) and all(series.seconds[1:] > series.seconds[:-1])
    assert all(len(column) == len(lines) for column in series.columns.values())


def test_lines_of_one_second_share_it_and_a_clock_that_is_set_is_bridged() -> None:
    lines = log("orin_nx_r36", 4, 0.5).splitlines()
    assert read_lines(lines).seconds.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert read_lines([line.replace("12:00:03", "04:00:03") for line in lines]).seconds.tolist()[-3:] == [2.5, 3, 3.5]
    unstamped = log("nano_r32", 3).splitlines()
    assert read_lines(unstamped, 0.1).seconds.tolist() == pytest.approx([0, 0.1, 0.2])


def mutated(line: str, random_: random.Random) -> str:
    """A line as a full disk, a cut cable or two writers of one file leave it."""
    changed = list(line)
    for _ in range(random_.randint(1, 8)):
        at = random_.randrange(len(changed) + 1)
        what = random_.randrange(4)
        if what == 0:
            del changed[at : at + random_.randint(1, 20)]
        elif what == 1:
            changed[at:at] = random_.choices("0123456789%@[]()/,.- CmWoffMB\t\0é٣", k=random_.randint(1, 6))
        elif what == 2:
            changed[at:at] = changed[random_.randrange(len(changed) + 1) :][:30]
        elif changed:
            changed[at % len(changed)] = chr(random_.randrange(1, 0x3000))
    return "".join(changed)


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_damaged_lines_never_end_it(count: int) -> None:
    random_ = random.Random(9)
    whole = [FORMS[name](now) for name in FORMS for now in moments(3)]
    unknown = fields = 0
    taken = 0.0
    for _ in range(count):
        line = mutated(random_.choice(whole), random_)
        began = time.process_time()
        sample = parse_line(line)
        taken += time.process_time() - began
        unknown += len(sample.unknown)
        fields += len(sample.engines) + len(sample.rails) + len(sample.celsius)
        assert all(text in line for value in sample.unknown.values() for text in value.split())
    print(f"{count} lines in {taken:.1f} s of CPU: {fields} fields, {unknown} of unknown form")
    assert fields > 10 * count and unknown > count / 10
