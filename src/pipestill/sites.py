"""Where in an encoder a feature is read: a part of it and a layer."""

from dataclasses import dataclass
from typing import Literal, get_args

Part = Literal["hidden", "query", "key", "value"]
Tokens = Literal["first", "all"]
"""Which tokens of a row a feature is about: the first one alone, or all."""

PARTS: tuple[str, ...] = get_args(Part)


@dataclass(frozen=True, order=True)
class Site:
    """A place in an encoder; written `hidden:6`.

    Attributes:
        part: `hidden` for hidden states, `query`, `key` or `value` for what attention projects them to.
        layer: counted from 1; `hidden:0` is what the first layer reads.
    """

    part: Part
    layer: int

    def __str__(self) -> str:
        return f"{self.part}:{self.layer}"

    @classmethod
    def parse(cls, text: str) -> "Site":
        """Read a site as it is written.

        Raises:
            ValueError: it is no site.
        """
        part, _, layer = text.partition(":")
        if part not in PARTS or not layer.isdecimal() or int(layer) < (part != "hidden"):
            raise ValueError(f"{text!r} is no site: write hidden:0, hidden:6, query:1, key:1 or value:1")
        known: dict[str, Part] = {name: name for name in get_args(Part)}
        return cls(known[part], int(layer))
