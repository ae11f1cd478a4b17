"""Sites: the places in an encoder at which features are read, each a part and a layer."""

from dataclasses import dataclass
from typing import Literal, get_args

Part = Literal["hidden", "query", "key", "value"]
Tokens = Literal["first", "all"]
"""Tokens of a row whose features are read: the first one only, or all."""

PARTS: tuple[str, ...] = get_args(Part)


@dataclass(frozen=True, order=True)
class Site:
    """A place in an encoder; written `hidden:6`.

    Attributes:
        part: `hidden` for hidden states, or `query`, `key` or `value` for attention's projections of them.
        layer: layer counted from 1; `hidden:0` is the input of the first layer.
    """

    part: Part
    layer: int

    def __str__(self) -> str:
        return f"{self.part}:{self.layer}"

    @classmethod
    def parse(cls, text: str) -> "Site":
        """Parse a site.

        Raises:
            ValueError: the text does not name a site.
        """
        part, _, layer = text.partition(":")
        if part not in PARTS or not layer.isdecimal() or int(layer) < (part != "hidden"):
            raise ValueError(f"unknown site {text!r}: write hidden:0, hidden:6, query:1, key:1 or value:1")
        known: dict[str, Part] = {name: name for name in get_args(Part)}
        return cls(known[part], int(layer))
