"""Writes a synthetic data set: YOLO-txt with JPEG pictures, whole or not at all."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2

from unina.data.data_yaml import SPLITS
from unina.data.faults import DataError, Fault
from unina.data.images import SUFFIXES
from unina.data.scenes.cones import NAMES
from unina.data.scenes.render import render_scene
from unina.data.whole import new_folder
from unina.data.yolo import format_labels


@dataclass(frozen=True)
class _Job:
    split: str
    index: int


def synthesize(
    output: Path,
    *,
    train: int = 600,
    val: int = 80,
    test: int = 0,
    seed: int = 0,
    width: int = 1280,
    height: int = 720,
    workers: int = 2,
    force: bool = False,
    backdrops: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Renders a data set of cone scenes into a folder.

    The bytes depend on `seed`, sizes and the version of the code, not on `workers`; a picture depends on its number
    alone, so that a longer data set begins with the shorter one.

    Args:
        output: folder to make; it appears only when all is written.
        train: pictures of the split train.
        val: pictures of the split val.
        test: pictures of the split test.
        seed: of everything random.
        width: of the pictures, pixels.
        height: of the pictures, pixels.
        workers: processes.
        force: replace a folder that is there.
        backdrops: folder of photographs without cones; parts of them stand behind the track in some of the pictures.
            The bytes then depend on them, too.
        progress: called with (pictures done, pictures in all).

    Returns:
        The data.yaml.

    Raises:
        DataError: the arguments make no sense, or the folder is there and not empty.
    """
    output = Path(output)
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    _check(output, counts, width, height, workers)
    photographs = _photographs(backdrops) if backdrops is not None else ()
    with new_folder(output, force=force) as folder:
        for split in (split for split, count in counts.items() if count):
            (folder / "images" / split).mkdir(parents=True)
            (folder / "labels" / split).mkdir(parents=True)
        jobs = [_Job(split, index) for split, count in counts.items() for index in range(count)]
        write = partial(_write, folder, seed, width, height, photographs)
        _each(write, jobs, workers, progress)
        text = ["# Synthetic cone scenes; unina-data synthesize", f"# seed {seed}, {width}×{height}", "path: ."]
        text += [f"{split}: images/{split}" for split, count in counts.items() if count]
        text += ["names:", *(f"  {index}: {name}" for index, name in enumerate(NAMES))]
        (folder / "data.yaml").write_text("\n".join(text) + "\n", encoding="utf-8")
    return output / "data.yaml"


def _check(output: Path, counts: dict[str, int], width: int, height: int, workers: int) -> None:
    """Raises DataError when the arguments make no sense."""

    def refuse(value: str, message: str) -> None:
        raise DataError([Fault(output, None, value, message)])

    for split, count in counts.items():
        if count < 0:
            refuse(f"{split} {count}", "must be 0 or more pictures")
    if not any(counts.values()):
        refuse("train, val and test are 0", "ask for at least one picture")
    if not (64 <= width <= 8192 and 64 <= height <= 8192):
        refuse(f"{width}×{height}", "width and height must lie in 64…8192 pixels")
    if workers < 1:
        refuse(f"workers {workers}", "must be 1 or more")


def _photographs(folder: Path) -> tuple[Path, ...]:
    """Pictures in a folder and below, in the order of their names.

    Raises:
        DataError: there is none.
    """
    found = tuple(sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES))
    if not found:
        raise DataError([Fault(Path(folder), None, "", "holds no picture; name a folder of photographs")])
    return found


def _each(write: Callable[[_Job], None], jobs: list[_Job], workers: int, progress: Callable[[int, int], None]) -> None:
    """Runs all jobs, in any order; `progress` is told of each."""
    if workers == 1:
        for number, job in enumerate(jobs, start=1):
            write(job)
            progress(number, len(jobs))
        return
    with _ctrl_c_held() as answer_ctrl_c:
        # spawn: a forked OpenCV or PyTorch may hang. No Pool: its terminate() does at times.
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_one_thread)
        # Ctrl-C reaches the whole process group; only this process may answer it, and the workers inherit the mask.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            waiting = {pool.submit(write, job) for job in jobs[: 4 * workers]}  # starts the workers
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            rest, finished = iter(jobs[4 * workers :]), 0
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                answer_ctrl_c()
                waiting |= {pool.submit(write, job) for job in islice(rest, len(done))}
                for one in done:
                    one.result()
                    finished += 1
                    progress(finished, len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_held() -> Iterator[Callable[[], None]]:
    """Ctrl-C is answered where the value is called; raised inside concurrent.futures it may leave a lock held."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    pressed = False

    def remember(*_: object) -> None:
        nonlocal pressed
        pressed = True

    def answer() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield answer
    finally:
        signal.signal(signal.SIGINT, before)


def _one_thread() -> None:
    """The processes share the cores already."""
    cv2.setNumThreads(1)


def _write(output: Path, seed: int, width: int, height: int, backdrops: tuple[Path, ...], job: _Job) -> None:
    """Renders one picture and writes it with its labels."""
    picture = render_scene(seed, SPLITS.index(job.split), job.index, width, height, backdrops)
    name = f"scene_{job.index:06d}"
    ok, data = cv2.imencode(".jpg", picture.pixels, [cv2.IMWRITE_JPEG_QUALITY, picture.jpeg_quality])
    if not ok:
        raise RuntimeError("OpenCV was built without JPEG")
    (output / "images" / job.split / f"{name}.jpg").write_bytes(data.tobytes())
    text = format_labels(picture.layout.boxes, picture.layout.classes, width=width, height=height)
    (output / "labels" / job.split / f"{name}.txt").write_text(text, encoding="utf-8")
