"""What all HTML reports share: one self-contained page, readable in light and dark."""

import base64
import html
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #1769e0; }
body { font: 15px/1.55 system-ui, sans-serif; max-width: 1180px; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { margin-bottom: .2rem; } h2 { margin-top: 2.6rem; } p.lead { opacity: .75; margin-top: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.7rem; color: var(--accent); } .card span { opacity: .75; font-size: .9rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: .8rem; }
figure { margin: 0; } figure img { width: 100%; border-radius: 8px; display: block; }
figcaption { font-size: .8rem; opacity: .7; }
table { border-collapse: collapse; margin: .8rem 0; }
td, th { padding: .35rem .8rem; border-bottom: 1px solid var(--line); }
th { text-align: left !important; } td + td, th + th { text-align: right !important; }
svg { max-width: 100%; height: auto; background: #fff; border-radius: 8px; }
.note { border-left: 4px solid var(--accent); padding: .2rem 1rem; opacity: .85; } code { font-size: .88em; }
"""
WIDEST = 960
"""Pixels of a picture on a page."""


def page(title: str, body: Sequence[str], style: str = "") -> str:
    """The whole document; `title` is plain text, `body` HTML, `style` CSS of its own."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}{style}</style><body>{''.join(body)}</body></html>"
    )


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """Large figures with a word under each; both plain text."""
    told = (f"<div class=card><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>" for a, b in figures)
    return f"<div class=cards>{''.join(told)}</div>"


def pictures(shown: Sequence[tuple[npt.NDArray[np.uint8], str]]) -> str:
    """Pictures (H×W×3 BGR) with captions, inlined as JPEG at most WIDEST wide."""
    figures = []
    for image, caption in shown:
        if image.shape[1] > WIDEST:
            height = round(image.shape[0] * WIDEST / image.shape[1])
            image = np.asarray(cv2.resize(image, (WIDEST, height), interpolation=cv2.INTER_AREA), np.uint8)  # noqa: PLW2901
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()
        data = base64.b64encode(jpeg).decode()
        figures.append(
            f"<figure><img src='data:image/jpeg;base64,{data}' alt=''>"
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    return f"<div class=pictures>{''.join(figures)}</div>"
