"""`unina-dla rules`: the DLA's restrictions as a table."""

import argparse
import json
import sys

from rich.table import Table

from unina.cli.console import stdout_console
from unina.cli.dla_lint_cache import version
from unina.dla.rules import RULES, Rule
from unina.dla.rules.table import to_markdown

EXAMPLES = """examples:
  unina-dla rules                      all of them
  unina-dla rules conv                 those about convolutions
  unina-dla rules --trt 8.6            those that hold for TensorRT 8.6 (JetPack 6.0)
  unina-dla rules --json | jq -r '.[] | select(.certainty == "unverified") | .id'
"""


def add_rules(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "rules",
        help="print what the DLA asks of a network",
        description="Prints the restrictions of Orin's DLA, each with its source and how sure it is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("about", metavar="WORD", nargs="?", help="only rules with this in their id, layer or operators")
    parser.add_argument("--trt", type=version, metavar="VERSION", help="only rules that hold for this TensorRT")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--markdown", action="store_true", help="print Markdown: docs/dla-rules.md")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    rules = [rule for rule in RULES if arguments.trt is None or arguments.trt in rule.trt]
    if arguments.about:
        rules = [rule for rule in rules if _is_about(rule, arguments.about.lower())]
    if arguments.json:
        print(json.dumps([_document(rule) for rule in rules], indent=2, ensure_ascii=False))
    elif arguments.markdown:
        print(to_markdown(rules), end="")
    elif rules:
        _print(rules)
    if not rules:
        print(f"unina-dla: no rule is about {arguments.about!r}", file=sys.stderr)
    return 0 if rules else 1


def _is_about(rule: Rule, word: str) -> bool:
    return any(word in text.lower() for text in (rule.id, rule.layer, *(rule.ops or ())))


def _document(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "layer": rule.layer,
        "condition": rule.condition,
        "limit": rule.limit,
        "operators": sorted(rule.ops) if rule.ops else None,
        "precision": rule.precision.split(", "),
        "tensorrt": str(rule.trt),
        "effect": rule.effect.value,
        "checked": rule.check is not None,
        "certainty": rule.certainty.name.lower(),
        "source": rule.source,
        "fix": rule.fix,
    }


def _print(rules: list[Rule]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "layer", "what", "limit", "TensorRT", "effect", "known"):
        table.add_column(column, overflow="fold")
    for rule in rules:
        effect = rule.effect.value if "FP16" in rule.precision else f"{rule.effect.value} (INT8)"
        table.add_row(
            rule.id, rule.layer, rule.condition, rule.limit, str(rule.trt), effect, rule.certainty.name.lower()
        )
    console = stdout_console(200)
    console.print(table)
