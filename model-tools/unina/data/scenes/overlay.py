"""What broadcasters and dash cameras write over the picture: dials, bars, words. None of it covers a labelled cone."""

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
COLOURS = (
    (255, 255, 255),
    (255, 255, 255),
    (60, 60, 230),
    (40, 130, 245),
    (40, 210, 250),
    (230, 160, 40),
    (60, 220, 60),
)
"""BGR"""


def paint_overlay(canvas: Image, boxes: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
    """Draws one to three signs on H×W×3 BGR, away from `boxes` (N×4, pixels)."""
    height, width = canvas.shape[:2]
    for _ in range(rng.integers(1, 4)):
        kind = rng.random()
        w = int(width * (rng.uniform(0.5, 1.0) if kind < 0.2 else rng.uniform(0.06, 0.24)))
        h = int(height * rng.uniform(0.05, 0.1)) if kind < 0.6 else w
        x = 0 if kind < 0.2 else int(rng.integers(0, max(1, width - w)))
        low = rng.random() < 0.6
        y = max(0, height - h - int(rng.integers(0, height // 8))) if low else int(rng.integers(0, height // 6))
        meets = (boxes[:, 0] < x + w) & (boxes[:, 2] > x) & (boxes[:, 1] < y + h) & (boxes[:, 3] > y)
        if meets.any() or y + h > height:
            continue
        ink = COLOURS[int(rng.integers(0, len(COLOURS)))]
        word = "".join(rng.choice(list("0123456789:. AEKLMNRST"), int(rng.integers(3, 12))))
        if kind < 0.6:
            _bar(canvas[y : y + h, x : x + w], word, ink, rng)
        else:
            _dial(canvas[y : y + h, x : x + w], ink, rng)


def _bar(part: Image, word: str, ink: tuple[int, int, int], rng: np.random.Generator) -> None:
    """A strip with words, plain, or shining through."""
    if rng.random() < 0.7:
        cover = float(rng.uniform(0.4, 1.0))
        ground = np.array(COLOURS[int(rng.integers(0, len(COLOURS)))] if rng.random() < 0.4 else (30, 28, 28))
        part[:] = (part * (1 - cover) + ground * cover).astype(np.uint8)
    size = part.shape[0] / 34
    cv2.putText(part, word, (6, int(part.shape[0] * 0.75)), 0, size, ink, max(1, int(size * 2)), cv2.LINE_AA)


def _dial(part: Image, ink: tuple[int, int, int], rng: np.random.Generator) -> None:
    """A speedometer: an arc of ticks and a needle."""
    side = part.shape[0]
    centre = np.array([side / 2, side / 2])
    for turn in np.linspace(0.8, 5.5, int(rng.integers(9, 40))):
        way = np.array([-np.sin(turn), np.cos(turn)])
        a, b = (centre + way * side * 0.38).astype(int).tolist(), (centre + way * side * 0.46).astype(int).tolist()
        cv2.line(part, a, b, ink, max(1, side // 60), cv2.LINE_AA)
    turn = rng.uniform(0.8, 5.5)
    end = (centre + np.array([-np.sin(turn), np.cos(turn)]) * side * 0.3).astype(int).tolist()
    needle = COLOURS[int(rng.integers(0, len(COLOURS)))]
    cv2.line(part, centre.astype(int).tolist(), end, needle, max(2, side // 30), cv2.LINE_AA)
