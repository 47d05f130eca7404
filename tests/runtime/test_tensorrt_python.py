"""unina_runtime.tensorrt on fakes of NVIDIA's packages: what is called, in which order, on which stream, and what is
released. Nothing here says what TensorRT computes, or that a device takes these calls."""

import gc
import json
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_gpu import FakeGpu, plan
from programs import run
from tiny_bundle import HEIGHT, SCALE, WIDTH, TinyBundle

import unina_runtime
from unina_runtime import Bundle, UninaError
from unina_runtime.tensorrt import Detector, Engine, build_engine

EXAMPLE = Path(__file__).parents[2] / "runtime" / "examples" / "gpu_baseline.py"
PACKAGE = Path(unina_runtime.__file__).parents[1]


def described(bundle: TinyBundle, inputs: str = "FLOAT", outputs: str = "FLOAT") -> list[dict[str, Any]]:
    """The bundle's tensors, as an engine has them."""
    return [
        {key: tensor[key] for key in ("name", "role", "shape")}
        | {"dtype": inputs if tensor["role"] == "input" else outputs, "format": "LINEAR"}
        for tensor in bundle.manifest["tensors"]
    ]


def network(bundle: TinyBundle) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The bundle's own integers, as real values where the engine's tensors are floats."""

    def compute(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        q = feeds["images"][0].astype(np.int8)
        assert (q == feeds["images"][0]).all()
        return {name: map_(q)[None] * np.float32(SCALE) for name, map_ in bundle.maps.items()}

    return compute


@pytest.fixture
def gpu(bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    fake = FakeGpu(network(bundle))
    for name, module in {"tensorrt": fake.tensorrt, "pycuda": fake.pycuda, "pycuda.driver": fake.driver}.items():
        monkeypatch.setitem(sys.modules, name, module)
    return fake


@pytest.fixture
def engine_file(bundle: TinyBundle, gpu: FakeGpu) -> Path:
    path = bundle.path.parent / "tiny.engine"
    path.write_bytes(plan(described(bundle)))
    return path


def feeds(seed: int = 0) -> dict[str, np.ndarray]:
    return {"images": np.random.default_rng(seed).integers(-128, 128, (1, 3, HEIGHT, WIDTH)).astype(np.float32)}


def spotless(gpu: FakeGpu) -> bool:
    gc.collect()
    return not +gpu.live and not gpu.violations and not gpu.current


def test_a_frame_is_copied_in_run_and_copied_out_on_one_stream_and_then_waited_for(
    bundle: TinyBundle, gpu: FakeGpu, engine_file: Path
) -> None:
    outputs = len(bundle.maps)
    with Engine(engine_file, Bundle(bundle.path)) as engine:
        assert gpu.calls.count("Stream") == 1
        made = len(gpu.calls)
        for seed in range(3):
            found = engine.run(feeds(seed))
            expected = network(bundle)(feeds(seed))
            assert {name: (one == expected[name]).all() for name, one in found.items()} == dict.fromkeys(expected, True)
        frame = ["push", "memcpy_htod_async", "execute_async_v3", *["memcpy_dtoh_async"] * outputs, "synchronize"]
        assert gpu.calls[made:] == frame * 3  # nothing is allocated
        assert engine.inputs == [("images", (1, 3, HEIGHT, WIDTH), None)]
        assert [name for name, _, _ in engine.outputs] == list(bundle.maps)
        released = len(gpu.calls)
    assert gpu.calls[released:] == [
        *("push", "synchronize", "del execution context", "del engine", "del runtime"),
        *["del device memory", "free"] * (outputs + 1),
        *("del stream", "del primary context"),
    ]
    assert spotless(gpu)


def test_what_run_returns_is_the_caller_s(bundle: TinyBundle, gpu: FakeGpu, engine_file: Path) -> None:
    with Engine(engine_file, Bundle(bundle.path)) as engine:
        first = engine.run(feeds(0))
        kept = {name: one.copy() for name, one in first.items()}
        engine.run(feeds(1))
    assert all((first[name] == kept[name]).all() for name in kept)


@pytest.mark.parametrize("dtype", ["FLOAT", "INT8"])
def test_the_detector_finds_what_the_host_finds(bundle: TinyBundle, gpu: FakeGpu, dtype: str) -> None:
    path = bundle.path.parent / "tiny.engine"
    path.write_bytes(plan(described(bundle, dtype, dtype)))
    if dtype == "INT8":
        gpu.network = lambda given: {name: map_(given["images"][0])[None] for name, map_ in bundle.maps.items()}
    host = unina_runtime.Detector(bundle.path, "host")
    image = np.random.default_rng(1).integers(0, 256, (108, 128), dtype=np.uint8)
    with Detector(bundle.path, path) as detector:
        for picture, form in ((image, "nv12"), (np.dstack([image] * 3), "bgr")):
            found, expected = detector.detect(picture, form), host.detect(picture, form)  # type: ignore[arg-type]
            assert len(expected) and list(found.classes) == list(expected.classes)
            np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
        assert (detector.classes, detector.manifest) == (host.classes, host.manifest)
        assert detector.accelerator == "tensorrt" and "tiny.engine" in detector.accelerator_reason
        assert set(detector.times) == set(host.times) and min(detector.times.values()) > 0
    with Detector(bundle.path, path, score_threshold=1.0) as detector:
        assert len(detector.detect(np.dstack([image] * 3))) == 0
    with pytest.raises(UninaError, match=r"tiny\.engine: the engine was closed"):
        detector.detect(np.dstack([image] * 3))
    assert spotless(gpu)


def use(bundle: TinyBundle, engine_file: Path) -> None:
    with Engine(engine_file, Bundle(bundle.path)) as engine:
        for seed in range(2):
            engine.run(feeds(seed))


def test_every_call_may_fail_at_every_use_and_is_one_line_and_leaves_nothing(
    bundle: TinyBundle, gpu: FakeGpu, engine_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(bundle, engine_file)
    calls = [name for name in gpu.calls if not name.startswith("del ") and name not in {"Runtime", "free"}]
    failures = [(name, number) for name in dict.fromkeys(calls) for number in range(1, calls.count(name) + 1)]
    assert len(failures) > 30
    for name, number in failures:
        gpu.calls.clear()
        gpu.fail = {name: number}
        last = name in {"push", "synchronize"} and number == calls.count(name)
        if last:  # while releasing: what the GPU may still use is kept
            use(bundle, engine_file)
            assert capsys.readouterr().err.startswith(f"unina: while releasing: {engine_file}: CUDA: {name} failed")
        else:
            with pytest.raises(UninaError) as error:
                use(bundle, engine_file)
            text = str(error.value)
            del error  # its frames hold what the fakes were called with
            assert "\n" not in text and name in text, text
            assert text.startswith(f"{engine_file}: ") or name in {"init", "count"}
            assert "reason" in text
        gc.collect()
        assert (gpu.violations, gpu.current) == ([], []), (name, number)
        assert last or not +gpu.live, (name, number, gpu.live)
        gpu.live.clear()


def test_an_engine_that_is_forgotten_is_released_before_the_process_ends(bundle: TinyBundle, engine_file: Path) -> None:
    code = """
import sys
from tiny_bundle import TinyBundle
from fake_gpu import FakeGpu
gpu = FakeGpu(lambda feeds: {})
sys.modules |= {"tensorrt": gpu.tensorrt, "pycuda": gpu.pycuda, "pycuda.driver": gpu.driver}
import atexit
atexit.register(lambda: print(sorted((+gpu.live).elements()), gpu.violations))  # runs after what came later
from unina_runtime import Bundle
from unina_runtime.tensorrt import Engine
engine = Engine(sys.argv[1], Bundle(sys.argv[2]))
print(gpu.live["engine"])
"""
    command = [sys.executable, "-c", code, str(engine_file), str(bundle.path)]
    environment = {"PYTHONPATH": f"{Path(__file__).parent}:{PACKAGE}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.stdout == "1\n[] []\n", done.stderr


def test_an_engine_belongs_to_its_thread(bundle: TinyBundle, gpu: FakeGpu, engine_file: Path) -> None:
    said: list[str] = []

    def other() -> None:
        try:
            engine.run(feeds())
        except UninaError as error:
            said.append(str(error))

    with Engine(engine_file, Bundle(bundle.path)) as engine:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert said == [f"{engine_file}: the engine belongs to the thread that made it; make one for each thread"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "input 'images': expected float32 (1, 3, 32, 64), got nothing"),
        ({"images": np.zeros((3, 32, 64), np.float32)}, "got float32 (3, 32, 64)"),
        ({"images": np.zeros((1, 3, 32, 64))}, "got float64 (1, 3, 32, 64)"),
        (feeds() | {"other": np.zeros(1)}, "the engine has no input 'other'"),
    ],
)
def test_what_is_no_input_is_refused(
    bundle: TinyBundle, gpu: FakeGpu, engine_file: Path, given: dict[str, Any], message: str
) -> None:
    with Engine(engine_file, Bundle(bundle.path)) as engine, pytest.raises(UninaError) as error:
        engine.run(given)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[0].update(name="x"), "input 'x' is not in the bundle's manifest; it was built from another model"),
        (lambda t: t[1].update(role="input"), "input 's8_class' is not in the bundle's manifest"),
        (lambda t: t[1].update(shape=[1, 2, 4, 9]), "has shape (1, 2, 4, 9), manifest.json says (1, 2, 4, 8)"),
        (lambda t: t.pop(), "has no output 's16_box'; it was built from another model"),
        (lambda t: t[1].update(dtype="BF16"), "is DataType.BF16, manifest.json says int8"),
        (lambda t: t[0].update(format="DLA_HWC4"), "has the layout TensorFormat.DLA_HWC4; build it with linear"),
    ],
)
def test_an_engine_of_another_model_is_refused(
    bundle: TinyBundle, gpu: FakeGpu, engine_file: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    tensors = described(bundle)
    change(tensors)
    engine_file.write_bytes(plan(tensors))
    with pytest.raises(UninaError) as error:
        Engine(engine_file, Bundle(bundle.path))
    assert str(error.value).startswith(f"{engine_file}: ") and message in str(error.value)
    del error
    assert spotless(gpu)


def test_a_file_that_is_no_engine_is_refused_before_anything_is_loaded(
    bundle: TinyBundle, gpu: FakeGpu, engine_file: Path
) -> None:
    engine_file.write_bytes(b"UNINASIL")
    with pytest.raises(UninaError, match=r"is not a TensorRT engine; .*build_engine"):
        Engine(engine_file, Bundle(bundle.path))
    with pytest.raises(UninaError, match="cannot be read: No such file"):
        Engine(engine_file.parent / "none", Bundle(bundle.path))
    assert not gpu.calls


@pytest.mark.parametrize(("precision", "flags"), [("fp32", set()), ("fp16", {"BuilderFlag.FP16", "BuilderFlag.TF32"})])
def test_an_engine_is_built_from_the_bundle_s_onnx(
    bundle: TinyBundle, gpu: FakeGpu, precision: Any, flags: set[str]
) -> None:
    (bundle.path / "model.onnx").write_bytes(b"onnx")
    bundle.seal()
    path = bundle.path.parent / "built.engine"
    build_engine(Bundle(bundle.path), path, precision=precision)
    assert gpu.built == [{"onnx": b"onnx", "flags": flags}]
    assert path.read_bytes().startswith(b"ftrt")
    path.unlink()
    for name in ("create_network", "parse", "create_builder_config", "build_serialized_network"):
        gpu.calls.clear()
        gpu.fail = {name: 1}
        with pytest.raises(UninaError, match=r"model\.onnx: TensorRT") as error:
            build_engine(Bundle(bundle.path), path, precision=precision)
        assert ("error 0; error 1" if name == "parse" else f"{name}: the reason, in two lines") in str(error.value)
    gpu.fail = {}
    with pytest.raises(UninaError, match="cannot be written: No such file"):
        build_engine(Bundle(bundle.path), path.parent / "none" / "built.engine")
    with pytest.raises(UninaError, match="precision 'int8': expected 'fp32' or 'fp16'"):
        build_engine(Bundle(bundle.path), path, precision="int8")  # type: ignore[arg-type]
    assert not [one for one in path.parent.iterdir() if "engine" in one.name]


def test_the_example_builds_an_engine_once_and_writes_lines_as_unina_detector_does(
    bundle: TinyBundle, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle.path / "model.onnx").write_bytes(b"onnx")
    bundle.seal()
    gpu.builds = plan(described(bundle))
    pictures, output = bundle.path.parent / "pictures", bundle.path.parent / "found.jsonl"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(pictures / name), rng.integers(0, 256, (72, 128, 3), dtype=np.uint8))
    (pictures / "notes.txt").write_text("no picture")
    monkeypatch.setattr(sys, "argv", ["gpu_baseline.py", str(bundle.path), str(pictures), str(output)])
    for _ in range(2):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert len(gpu.built) == 1 and gpu.built[0]["flags"] == {"BuilderFlag.FP16", "BuilderFlag.TF32"}
    said = capsys.readouterr().out
    assert "notes.txt: no picture" in said and "median of 2" in said
    (pictures / "notes.txt").unlink()
    arguments = ["--bundle", bundle.path, "--source", f"images:{pictures}", "--score-threshold", "0.005"]
    theirs = [json.loads(line) for line in run("unina-detector", *arguments).stdout.splitlines()]
    ours = [json.loads(line) for line in output.read_text().splitlines()]
    for mine, expected in zip(ours, theirs, strict=True):
        assert set(mine) == set(expected) and mine["source"] == Path(expected["source"]).name
        assert mine["run"] == expected["run"] | {"accelerator": "tensorrt fp16"}
        found, wanted = mine["detections"], expected["detections"]
        assert wanted and [set(one) for one in found] == [set(one) for one in wanted]
        assert [one["class"] for one in found] == [one["class"] for one in wanted]
        np.testing.assert_allclose([d["box"] for d in found], [d["box"] for d in wanted], rtol=1e-4, atol=1e-3)
    assert spotless(gpu)


@pytest.mark.parametrize(("missing", "advice"), [("tensorrt", "python3-libnvinfer"), ("pycuda", "pip install pycuda")])
def test_without_nvidia_s_packages_it_imports_and_says_what_to_install_when_it_is_used(
    bundle: TinyBundle, gpu: FakeGpu, engine_file: Path, monkeypatch: pytest.MonkeyPatch, missing: str, advice: str
) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)  # what Python takes for "not installed"
    (bundle.path / "model.onnx").write_bytes(b"onnx")
    bundle.seal()
    for attempt in (
        lambda: Engine(engine_file, Bundle(bundle.path)),
        lambda: Detector(bundle.path, engine_file),
        lambda: build_engine(Bundle(bundle.path), engine_file),
    ):
        with pytest.raises(UninaError) as error:
            attempt()
        text = str(error.value)
        assert text.startswith(f"unina_runtime.tensorrt needs the Python package {missing}: ") and advice in text
        assert "\n" not in text


def test_importing_it_imports_nothing_of_nvidia_s() -> None:
    code = "import sys, unina_runtime.tensorrt; print([n for n in sys.modules if n in ('tensorrt', 'pycuda')])"
    environment = {"PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert done.stdout == "[]\n", done.stderr
