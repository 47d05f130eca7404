"""The rules as a Markdown page: docs/dla-rules.md is what this writes."""

from collections.abc import Sequence

from unina.dla.rules.rule import Certainty, Effect, Rule

_HEAD = """# What the DLA asks of a network

Written by `unina-dla rules --markdown`; change `model-tools/unina/dla/rules/`, not this page.

NVIDIA documents the restrictions of Orin's DLA over several versions of several pages; here they stand as one table.
`unina-dla check MODEL` holds a network against the rows that a network can break, `unina-dla command` its settings
(formats, memory pools, loadables, fallback) against those of the build. They know what is written down: a network that
keeps every rule can still be refused by the DLA's compiler, for example for a combination of layers.

**Effect**: {effects}.

**Known**: {certainties}.
"""


def to_markdown(rules: Sequence[Rule]) -> str:
    """The page; rules that TensorRT groups as one layer stand together, in the order of the table in the code."""
    layers: dict[str, list[Rule]] = {}
    for rule in rules:
        layers.setdefault(rule.layer, []).append(rule)
    effects = "; ".join(f"*{effect.value}*" for effect in Effect)
    certainties = "; ".join(f"*{known.name.lower()}*: {known.value}" for known in Certainty)
    parts = [_HEAD.format(effects=effects, certainties=certainties)]
    for layer, members in layers.items():
        parts.append(f"\n## {layer[0].upper()}{layer[1:]}\n\n{_row(_COLUMNS)}{_row(['---'] * len(_COLUMNS))}")
        parts.extend(_row(_cells(rule)) for rule in members)
    return "".join(parts)


_COLUMNS = ["id", "what", "limit", "operators", "precision", "TensorRT", "effect", "known", "source", "fix"]


def _cells(rule: Rule) -> list[str]:
    operators = sorted(rule.ops) if rule.ops else []
    return [
        f"`{rule.id}`",
        rule.condition,
        rule.limit + (f" (no network can break it: {rule.unchecked})" if rule.unchecked else ""),
        ", ".join(operators[:8]) + (", …" if len(operators) > 8 else ""),
        rule.precision,
        str(rule.trt),
        rule.effect.value,
        rule.certainty.name.lower(),
        rule.source,
        rule.fix,
    ]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
