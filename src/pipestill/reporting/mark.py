"""The mark on a packaged nearest candidate: the constraints that it misses, in the header of its card."""

import json
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

KEY = "missed_constraints"
"""A key of the card's YAML header; a champion's card does not have it."""
RULE = "---\n"


def header_lines(missed: Mapping[str, float]) -> list[str]:
    """Write the mark as lines of a card's header; empty for a champion.

    Args:
        missed: limit of each missed constraint, by its key in `report.constraints`.
    """
    return [f"{KEY}: {json.dumps(dict(missed))}"] if missed else []


def notice_lines(missed: Mapping[str, float]) -> list[str]:
    """Write the mark as the first lines of a card; empty for a champion."""
    if not missed:
        return []
    return [
        (
            f"> **Not a champion.** It misses {in_words(missed)} of `report.constraints` in params.yaml; no other "
            "candidate comes nearer. reports/table.md holds the figures. `make register` and `make release` refuse it."
        ),
        "",
    ]


def in_words(missed: Mapping[str, float]) -> str:
    """Format the missed constraints as in params.yaml."""
    return ", ".join(f"`{constraint}: {limit:g}`" for constraint, limit in missed.items())


def missed_constraints(card: str) -> dict[str, float]:
    """Read the mark off a card; empty for a champion's card and for a text without a header."""
    if not card.startswith(RULE):
        return {}
    try:
        header = YAML(typ="safe", pure=True).load(card.removeprefix(RULE).partition(f"\n{RULE}")[0])
    except YAMLError:
        return {}
    return dict(header.get(KEY) or {}) if isinstance(header, dict) else {}
