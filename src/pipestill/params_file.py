"""The check of a whole params file: every section is parsed, and all mistakes are listed at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipestill.defaults import DEFAULTS, STUDENTS, default_refusals, student_refusals
from pipestill.errors import ParamsError
from pipestill.params import refusals

TEACHER, BASELINE = "teacher", "baseline"
RESERVED = (TEACHER, BASELINE)
"""Names that the pipeline gives to models of its own."""


@dataclass(frozen=True)
class ParamsFile:
    """The sections of a params file, each with its specification.

    Attributes:
        path: path of the file, for messages.
        docs: page that explains the sections.
        sections: specifications of the sections that the file must have.
        named: specifications of the entries of those sections that hold one under each name.
        may_be_empty: those of the named sections that need no entry.
        own: keys that a student must give itself; `student_defaults` stands for the others.
        composed: those of the named sections whose names combine other names; `then` checks these names.
    """

    path: str
    docs: str
    sections: Mapping[str, Any]
    named: Mapping[str, Any] = field(default_factory=dict)
    may_be_empty: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    composed: tuple[str, ...] = ()

    def check(self, content: Mapping[str, Any], then: Callable[[], list[str]] = list) -> None:
        """Check every section; if each fits its specification, check the sections against each other.

        Args:
            content: top-level mapping of the file.
            then: function that lists the mistakes between sections, called if each section fits.

        Raises:
            ParamsError: one or more values are refused; the message lists all of them.
        """
        # A mistake in the defaults is found with each student too.
        lines = [*dict.fromkeys(self._mistakes(content))] or then()
        if lines:
            raise ParamsError(
                f"{self.path}: {len(lines)} value(s) refused",
                found="".join(f"\n    {line}" for line in lines),
                next_step=f"correct the values named above in {self.path}; {self.docs} explains every section",
            )

    def _mistakes(self, content: Mapping[str, Any]) -> list[str]:
        has_defaults = STUDENTS in self.named
        known = [*self.sections, *([DEFAULTS] if has_defaults else []), *self.named]
        listed = ", ".join(known)
        lines = [f"{name}: no such section; the sections are {listed}" for name in content if name not in known]
        for section, kind in self.sections.items():
            lines += refusals(content, section, kind)
        if has_defaults:
            lines += default_refusals(content, self.named[STUDENTS], self.own)
        for section, kind in self.named.items():
            lines += self._named_mistakes(content, section, kind)
        return lines

    def _named_mistakes(self, content: Mapping[str, Any], section: str, kind: type[Any]) -> list[str]:
        named = content.get(section)
        if not isinstance(named, Mapping):
            return [f"{section} (found {named!r}): a mapping of names to settings is needed, {{}} where there are none"]
        if not named and section not in self.may_be_empty:
            return [f"{section}: at least one entry is needed, a name with its settings"]
        lines = []
        for name in named:
            if not isinstance(name, str):
                lines.append(f"{section}.{name}: YAML reads this name as {type(name).__name__}; begin it with a letter")
                continue
            is_name = name not in RESERVED and name.isascii() and name.replace("_", "").isalnum()
            if not is_name and section not in self.composed:
                lines.append(f"{section}.{name}: invalid name; {_ALLOWED}")
            of_student = section == STUDENTS
            lines += (
                student_refusals(content, name, kind) if of_student else refusals(content, f"{section}.{name}", kind)
            )
        return lines


_ALLOWED = f"a name takes letters, digits and underscores and is not `{TEACHER}` or `{BASELINE}`"
