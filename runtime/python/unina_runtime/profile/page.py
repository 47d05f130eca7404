"""One self-contained HTML page: no script that runs, nothing that is fetched, light and dark, a phone and a desk."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from unina_runtime.profile import chart

DATA = "unina-profile-data"
"""id of the element that holds the figures for programs, and for a later --baseline"""
STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #1769e0; }
@media (prefers-color-scheme: dark) { :root { --accent: #6aa9ff; } }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, sans-serif; max-width: 1180px; margin: 2.2rem auto; padding: 0 1.2rem;
  overflow-wrap: break-word; }
h1 { margin-bottom: .2rem; } h2 { margin-top: 2.4rem; } p.lead { opacity: .8; margin-top: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.5rem; line-height: 1.3; color: var(--accent); }
.card span { opacity: .8; font-size: .88rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
.note { border-left: 4px solid var(--accent); padding: .2rem 1rem; }
.verdict { border: 2px solid var(--line); border-radius: 10px; padding: .7rem 1rem; margin: 1.2rem 0; }
.verdict b { font-size: 1.15rem; } .bad { border-color: var(--hot); } .good { border-color: var(--c2); }
.small { font-size: .85rem; opacity: .85; } code { font-size: .88em; overflow-wrap: anywhere; } figure { margin: 0; }
@media (max-width: 600px) { body { margin: 1rem auto; padding: 0 .8rem; font-size: 14px; }
  td, th { padding: .25rem .4rem; font-size: 12px; } th { white-space: normal; }
  td:first-child { white-space: normal; min-width: 5.4em; max-width: 45vw; overflow-wrap: anywhere; }
  .cards { grid-template-columns: 1fr 1fr; gap: .5rem; } .card b { font-size: 1.15rem; } h1 { font-size: 1.5rem; } }
"""


def page(title: str, body: Sequence[str], data: Mapping[str, Any]) -> str:
    """The whole document; `title` plain text, `body` HTML, `data` what a program may read from it."""
    told = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'><link rel=icon href='data:,'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}{chart.STYLE}</style></head><body>{''.join(body)}"
        f"<script type='application/json' id={DATA}>{told}</script></body></html>\n"
    )


def data_of(text: str) -> str | None:
    """What `page` was given as data, as JSON; None of another page."""
    _, found, rest = text.partition(f"<script type='application/json' id={DATA}>")
    return rest.partition("</script>")[0] if found else None


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """Large figures with a word under each; both plain text."""
    told = (f"<div class=card><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>" for a, b in figures)
    return f"<div class=cards>{''.join(told)}</div>"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Plain text and numbers; None is a dash. Wider than the page it scrolls by itself."""
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_cell(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 (NaN)
        return "–"
    return figure(value) if isinstance(value, float) else str(value)


def figure(value: float, digits: int = 4) -> str:
    """So many digits, without an exponent."""
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text and abs(value) >= 1 else text


def note(text: str) -> str:
    """A remark that must not be missed; plain text."""
    return f"<p class=note>{html.escape(text)}</p>"


def paragraph(text: str, small: bool = False) -> str:
    """Plain text."""
    return f"<p{' class=small' if small else ''}>{html.escape(text)}</p>"
