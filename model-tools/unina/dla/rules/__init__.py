"""The DLA's restrictions as data: one row a rule, in the order in which they decide about a node.

Read `RULES` as a table (`unina-dla rules`, docs/dla-rules.md); ask `faults(site)` what a node breaks.
"""

from unina.dla.rules import build, convolution, general, layout, operators, pointwise, sparsity, spatial
from unina.dla.rules.build import (
    FORMATS,
    LOADABLES_PER_CORE,
    POOLS,
    format_fault,
    loadables_fault,
    pool_fault,
    standalone_fault,
)
from unina.dla.rules.operators import DISAPPEARING
from unina.dla.rules.rule import (
    JETPACK_6,
    Certainty,
    Context,
    Effect,
    Fault,
    Rule,
    Site,
    Versions,
)

RULES: tuple[Rule, ...] = (
    general.RULES[0],  # without a DLA no other rule matters
    *operators.RULES,
    *general.RULES[1:],
    *convolution.RULES,
    *spatial.RULES,
    *pointwise.RULES,
    *layout.RULES,
    *sparsity.RULES,
    *build.RULES,
)

__all__ = [
    "DISAPPEARING",
    "FORMATS",
    "JETPACK_6",
    "LOADABLES_PER_CORE",
    "POOLS",
    "RULES",
    "Certainty",
    "Context",
    "Effect",
    "Fault",
    "Rule",
    "Site",
    "Versions",
    "faults",
    "format_fault",
    "loadables_fault",
    "pool_fault",
    "rule",
    "standalone_fault",
]


def faults(site: Site) -> tuple[Fault, ...]:
    """All rules that a node breaks, the deciding one first; operators that TensorRT removes break none."""
    if site.node.op in DISAPPEARING:
        return ()
    found = []
    for row in RULES:
        what = row.found(site)
        if what is not None:
            found.append(Fault(row, what))
    order = list(Effect)
    return tuple(sorted(found, key=lambda fault: order.index(fault.rule.effect)))


def rule(id: str) -> Rule:  # noqa: A002 - the field's name
    """The row with this id. Raises KeyError: no such rule."""
    return _BY_ID[id]


_BY_ID = {row.id: row for row in RULES}
