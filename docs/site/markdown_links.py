"""The relative links of a Markdown page, without those in code; and the anchors that its headings make."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

FENCE = r"^ *(?P<marks>`{3,}|~{3,})[^\n]*\n.*?^ *(?P=marks) *$"
CODE = re.compile(FENCE, re.M | re.S)
CODE_OR_LINK = re.compile(FENCE + r"|`+[^`\n]+`+|\]\((?P<target>[^)\s]+)\)", re.M | re.S)
HEADING = re.compile(r"^#{1,6} +(.+?) *#* *$", re.M)


def links(markdown: str) -> Iterator[str]:
    """Targets of the relative links; those in the page itself begin with #."""
    for match in CODE_OR_LINK.finditer(markdown):
        if match["target"] is not None and not re.match(r"[a-z]+:", match["target"]):
            yield match["target"]


def with_targets(markdown: str, changed: Callable[[str], str]) -> str:
    """The page with the targets of its links to other files changed."""

    def rewritten(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None or re.match(r"[a-z]+:|#", target):
            return match[0]
        return f"]({changed(target)})"

    return CODE_OR_LINK.sub(rewritten, markdown)


def anchors(markdown: str) -> set[str]:
    """As GitHub makes them of headings: lower case, no punctuation, hyphens for spaces, numbers for repetitions."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(CODE.sub("", markdown)):
        words = re.sub(r"\]\([^)]*\)", "]", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found
