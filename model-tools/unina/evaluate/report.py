"""The report of one evaluation: plots as PNG, and `index.html` with all of them, the figures and the worst pictures."""

import base64
import html
import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from unina.data import read_image
from unina.data.whole import write_whole
from unina.evaluate.band import CAVEAT, Band
from unina.evaluate.confusion import PictureErrors, confusion_matrix, picture_errors
from unina.evaluate.figures import fraction, rows
from unina.evaluate.page import page
from unina.evaluate.plots import confusion_plot, f1_plot, heights_plot, precision_recall_plot
from unina.evaluate.stage_table import CAPTION, HEADS, StageRow
from unina.evaluate.summary import DEFAULT_THRESHOLD, Scored, Summary, summarise

WORST = 24
"""Pictures on the page at most."""
WIDTH = 1280
"""Pixels of a picture on the page at most."""
HIT, FALSE, MISSED, IGNORED = (70, 180, 50), (0, 140, 255), (50, 40, 235), (160, 160, 160)
"""BGR: green, orange, red, grey."""

STYLE = """
body { max-width: 1280px; } figure { margin: 0 0 1.6rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem; }
.plots img { width: 100%; background: #fff; border-radius: 6px; }
td + td { white-space: pre; font-family: ui-monospace, monospace; }
.hit { color: #32b446; } .false { color: #ff8c00; } .missed { color: #eb2832; }
"""


def write_report(
    folder: Path,
    scored: Scored,
    summary: Summary | None = None,
    *,
    title: str = "evaluation",
    stages: Sequence[StageRow] = (),
    accuracy_band: Band | None = None,
) -> Path:
    """Writes `index.html` and the plots, each as a whole or not at all.

    Args:
        folder: made if it is missing.
        scored: pictures, labels and detections (`Scored.of`).
        summary: of `scored`; None: made here.
        title: heads the page.
        stages: from torch to the integers; shown above the figures where there are two or more.
        accuracy_band: of the modes of arithmetic, shown above the figures.

    Returns:
        The page.

    Raises:
        ValueError: no labelled box, or a picture that can't be read.
        OSError: the disk.
    """
    summary = summary or summarise(scored)
    matches = scored.matches()
    thresholds = [summary.thresholds.get(name, DEFAULT_THRESHOLD) for name in scored.names]
    errors = picture_errors(scored, matches, thresholds)
    plots = {
        "precision_recall.png": precision_recall_plot(matches, summary),
        "f1.png": f1_plot(matches, summary),
        "recall_by_height.png": heights_plot(summary.heights),
        "confusion.png": confusion_plot(confusion_matrix(scored, errors), scored.names),
    }
    folder.mkdir(parents=True, exist_ok=True)
    images = {name: _png(figure) for name, figure in plots.items()}
    for name, content in images.items():
        write_whole(folder / name, content)
    worst = sorted((one for one in errors if one.errors), key=lambda one: -one.errors)[:WORST]
    index = folder / "index.html"
    write_whole(index, _page(scored, summary, images, worst, title, stages, accuracy_band).encode())
    return index


def draw(scored: Scored, errors: PictureErrors) -> npt.NDArray[np.uint8]:
    """The picture with hits green, false detections orange, missed labels red and ignored regions grey; H×W×3 BGR."""
    image = read_image(scored.pictures[errors.picture])
    truth, found = scored.truths[errors.picture], scored.detections[errors.picture]
    scale = min(1.0, WIDTH / image.shape[1])
    if scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    names = scored.names
    plain = itertools.chain(((box, IGNORED) for box in truth.ignored), ((found.boxes[i], HIT) for i in errors.hits))
    for box, color in plain:
        _box(image, box * scale, color, "")
    for i in errors.missed:
        _box(image, truth.boxes[i] * scale, MISSED, names[truth.classes[i]])
    for i in errors.false:
        text = f"{names[found.classes[i]]} {found.scores[i]:.2f}{' again' if i in errors.duplicates else ''}"
        _box(image, found.boxes[i] * scale, FALSE, text, below=True)
    return image


def _box(
    image: npt.NDArray[np.uint8], box: npt.NDArray[np.float32], color: Sequence[int], text: str, *, below: bool = False
) -> None:
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    cv2.rectangle(image, (x0, y0), (x1, y1), color, 1)
    if text:
        x, y = (x0, y1 + 11) if below else (x0, max(y0 - 3, 9))
        width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.34, 1)[0][0]
        cv2.rectangle(image, (x, y - 9), (x + width, y + 2), (30, 30, 30), cv2.FILLED)
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.34, color, 1, cv2.LINE_AA)


def _page(
    scored: Scored,
    summary: Summary,
    plots: dict[str, bytes],
    worst: Sequence[PictureErrors],
    title: str,
    stages: Sequence[StageRow],
    accuracy_band: Band | None,
) -> str:
    size = "" if summary.input is None else f", input {summary.input[0]}×{summary.input[1]} (height × width)"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{summary.images} pictures, {summary.boxes} boxes{size}. What each figure means: docs/evaluation.md.</p>",
        "<div class=plots>",
        *(f"<img src='{_inline(content, 'png')}' alt='{html.escape(name)}'>" for name, content in plots.items()),
        "</div>",
        *(_stages(stages) if len(stages) > 1 else ()),
        *(_band(accuracy_band) if accuracy_band is not None else ()),
        "<h2>Figures</h2>",
        _table(summary),
        f"<h2>The {len(worst)} pictures with most errors</h2>" if worst else "<h2>No errors</h2>",
        "<p>At the recommended scores: <b class=hit>hit</b>, <b class=missed>missed</b>, <b class=false>false</b>; "
        "grey regions are ignored.</p>",
    ]
    for one in worst:
        jpeg = cv2.imencode(".jpg", draw(scored, one), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        name = html.escape(scored.pictures[one.picture].name)
        caption = f"{name}: {len(one.missed)} missed, {len(one.false)} false, {len(one.hits)} hit"
        if len(one.duplicates):
            caption += f"; {len(one.duplicates)} of the false ones are duplicates"
        if one.swaps:
            caption += f"; {len(one.swaps)} found as another class"
        body.append(f"<figure><img src='{_inline(jpeg, 'jpeg')}' alt=''><figcaption>{caption}</figcaption></figure>")
    return page(title, body, STYLE)


def _stages(stages: Sequence[StageRow]) -> list[str]:
    lines = ["".join(f"<th>{html.escape(text)}</th>" for text in HEADS)]
    lines += ["".join(f"<td>{html.escape(text)}</td>" for text in row.cells()) for row in stages]
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    return ["<h2>Stage by stage</h2>", f"<p>{html.escape(CAPTION)}</p>", f"<table>{table}</table>"]


def _band(accuracy_band: Band) -> list[str]:
    heads = ("", "lowest … highest", *accuracy_band.modes)
    lines = ["".join(f"<th>{html.escape(text)}</th>" for text in heads)]
    for row in accuracy_band.rows:
        cells = (row.name, f"{fraction(row.low)} … {fraction(row.high)}", *map(fraction, row.values))
        lines.append("".join(f"<td>{html.escape(text)}</td>" for text in cells))
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    title = f"Stage {accuracy_band.stage} under {len(accuracy_band.modes)} modes of arithmetic"
    return [f"<h2>{html.escape(title)}</h2>", f"<p>{html.escape(CAVEAT)}</p>", f"<table>{table}</table>"]


def _table(summary: Summary) -> str:
    parts = []
    for section, members in itertools.groupby(rows(summary), key=lambda row: row.section):
        parts.append(f"<tr><th colspan=2>{html.escape(section)}</th></tr>")
        parts += [f"<tr><td>{html.escape(row.name)}</td><td>{html.escape(row.text)}</td></tr>" for row in members]
    return f"<table>{''.join(parts)}</table>"


def _inline(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
