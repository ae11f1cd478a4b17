"""Plain words: the rules for docstrings and error messages that a machine can keep.

A docstring starts with a verb or names the thing, an entry of `Args:` or `Attributes:` can be read alone, and an error
names the fault instead of denying a noun.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("src", "stages", "tools") for path in (ROOT / folder).rglob("*.py"))

RIDDLES = {"What", "How", "Who", "Whom", "Whose", "Whether", "Where", "Which", "Why", "When"}
"""First words of a docstring that pose a question: the sentence does not name its object."""

ARTICLES = {"The", "A", "An", "One", "All", "Each", "Every", "No", "Nothing", "None", "Both", "Several", "Its"}
"""First words of a function's docstring that name its result instead of its action; properties may name theirs."""

MIN_WORDS = 3
"""Words of an entry of `Args:` or `Attributes:`, the entry's own name left out."""

SECTIONS = {"Args", "Attributes"}

NO_NOUN = re.compile(r"\b(is|are|was|were) no (?!longer\b|more\b|less\b|larger\b|smaller\b|greater\b|fewer\b)\w+")
"""A noun that is denied: "is no whole cache" for "incomplete cache"."""

PHRASES = (
    "says it said",
    "what it said",
    "what all of them said",
    "what they said",
    "said to be",
    "no cut of",
    "no whole cache",
    "no text fits",
    "no name that can be used",
    "what company",
    "is no site",
)
"""Phrases that had to be solved before they could be read."""


def documented(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring, those below assignments included."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                yield statement.lineno, statement.value.value


def entries(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of the entries of `Args:` and `Attributes:`, continued lines joined."""
    section, name, text, margin = "", "", "", 0
    for line in [*docstring.splitlines()[1:], "."]:
        indent = len(line) - len(line.lstrip())
        heading = re.fullmatch(r"\s*([A-Z]\w+):", line)
        entry = re.match(r"\s+\*{0,2}(\w+): (.*)", line) if section else None
        if name and (heading or entry or (line.strip() and indent <= margin)):
            yield name, text
            name = ""
        if heading:
            section, margin = (heading[1] if heading[1] in SECTIONS else ""), indent
        elif entry and (not name or indent == margin + 4):
            name, text = entry[1], entry[2]
        elif name and line.strip():
            text += " " + line.strip()


def riddles(source: str) -> Iterator[str]:
    """Yield each docstring that opens with a question word, as `line: text`."""
    for line, text in documented(source):
        if text.split()[0].rstrip(",:") in RIDDLES:
            yield f"{line}: {text.splitlines()[0]}"


def verbless(source: str) -> Iterator[str]:
    """Yield each docstring of a function that opens with an article instead of a verb, as `line: text`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
            if text and not is_property and text.split()[0] in ARTICLES:
                yield f"{node.lineno}: {text.splitlines()[0]}"


def short_entries(source: str) -> Iterator[str]:
    """Yield each entry of `Args:` or `Attributes:` that is too short to be read alone, as `line: name: text`."""
    for line, text in documented(source):
        for name, entry in entries(text):
            if len(entry.split()) < MIN_WORDS:
                yield f"{line}: {name}: {entry}"


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string that is passed to a call or raised, docstrings left out."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            for node in ast.walk(argument):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.lineno, node.value


def denied_nouns(source: str) -> Iterator[str]:
    """Yield each message that denies a noun, as `line: text`."""
    for line, text in sorted(set(literals(ast.parse(source)))):
        if NO_NOUN.search(text):
            yield f"{line}: {text}"


def phrases(source: str) -> Iterator[str]:
    """Yield each listed phrase with its line."""
    joined = " ".join(source.split()).casefold()
    for phrase in PHRASES:
        if phrase in joined:
            yield phrase


Rule = Callable[[str], Iterator[str]]
RULES = (riddles, verbless, short_entries, denied_nouns, phrases)


def found(rule: Rule) -> list[str]:
    """List the faults of all modules by one rule, as `path:line: text`."""
    names = {path.relative_to(ROOT).as_posix(): path for path in MODULES}
    return [f"{name}:{fault}" for name, path in names.items() for fault in rule(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_words_are_plain(rule: Rule) -> None:
    assert found(rule) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (riddles, '"""What a row keeps."""'),
        (riddles, 'LIMIT = 3\n"""How many rows."""'),
        (riddles, 'class Row:\n    """Where it lies."""'),
        (verbless, 'def f():\n    """The rows of a table."""'),
        (short_entries, 'def f(store):\n    """Write.\n\n    Args:\n        store: where to.\n    """'),
        (short_entries, 'class A:\n    """Thing.\n\n    Attributes:\n        rows: in it.\n\n    More.\n    """'),
        (denied_nouns, 'raise CacheError(f"{folder} is no whole cache")'),
        (denied_nouns, 'raise CacheError("x", expected="rows that are no copies")'),
        (phrases, '"""Kept, refitted to say what all\nof them said."""'),
    ],
)
def test_a_riddle_is_found(rule: Rule, source: str) -> None:
    assert len(list(rule(source))) == 1


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (riddles, 'def f():\n    """Return whether a row is whole."""'),
        (verbless, 'class A:\n    @property\n    def rows(self):\n        """The rows of a table."""'),
        (
            short_entries,
            'def f(store):\n    """Write.\n\n    Args:\n        store: the MLflow store\n            to use.\n    """',
        ),
        (short_entries, 'def f():\n    """Read.\n\n    Returns:\n        x: it.\n    """'),
        (denied_nouns, 'raise CacheError("the size is no larger than 3")'),
    ],
)
def test_plain_words_pass(rule: Rule, source: str) -> None:
    assert list(rule(source)) == []
