"""The digest of a module: which edits move it, and that every Python gives the same one."""

import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import pipestill
from pipestill.code.digest import module_digest, source_digest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("stages/*.py")])
SAMPLE = '''
"""A module."""

import os
from collections.abc import Iterator

type_of: dict[str, float | None] = {"a": 1.5, "b": None, "c": -0.0}
"""An attribute."""


@staticmethod
def shown[T](value: T) -> T: ...


class Point[A]:
    """A class."""

    def at(self, x: int, /, *more: float, key: bytes = b"\\x00", **rest: complex) -> Iterator[str]:
        """A method."""
        text = f"{x!r:>{key}} and {{braces}} " "joined" f"{f'{self}'}"
        match more:
            case (first, *_) if (n := len(rest)) > 1:
                yield from (text for _ in range(n) if first is ...)
            case _:
                yield text % {**rest, "u": u"é", "s": "\\ud800"}
'''
EXPECTED = "f27e5676b34ab708daeb7ce378c5446bba6ca9a51e231819fcfbe670dc1b8173"
"""Of the sample without its type parameters, which Python 3.11 does not read."""


def test_every_python_gives_the_same_digest() -> None:
    assert source_digest(SAMPLE.replace("[T]", "").replace("[A]", "")) == EXPECTED


def python_of(version: str) -> str:
    """A Python of a version that starts: a shim on the PATH may not."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    commands = [f"python{version}", *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))]
    for command in filter(shutil.which, commands):
        if subprocess.run([command, "-c", ""], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip(f"Python {version} is not on this machine (python{version} on the PATH, or pyenv's)")


@pytest.mark.parametrize("version", [f"{major}.{minor}" for major, minor in pipestill.TRAINING_PYTHONS])
def test_another_python_on_this_machine_gives_every_module_the_same_digest(version: str) -> None:
    code = (
        "import json, sys; from pathlib import Path; from pipestill.code.digest import module_digest; "
        "print(json.dumps([sys.version_info[:2], [module_digest(Path(path)) for path in sys.stdin.read().split()]]))"
    )
    done = subprocess.run(
        [python_of(version), "-c", code],
        input="\n".join(map(str, MODULES)),
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, digests = json.loads(done.stdout)
    assert ".".join(map(str, found)) == version
    assert digests == [module_digest(path) for path in MODULES]


class _Reworded(ast.NodeTransformer):
    """Another text in place of every docstring, of attributes too."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return ast.Expr(ast.Constant("Another text."))
        return node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_comments_docstrings_and_layout_of_a_module_are_not_in_its_digest_and_code_is(path: Path) -> None:
    source = path.read_text()
    digest = source_digest(source)
    plain = ast.unparse(_Reworded().visit(ast.parse(source)))  # unparse drops comments and layout
    assert plain != source
    assert source_digest(f"# a comment\n{plain}\n\n") == digest
    assert source_digest(f"{source}\nMORE = 1\n") != digest


CHANGES = [
    ("x = 1", "x = 2"),
    ("x = 1", "x = 1.0"),
    ("x = 1", "x = True"),
    ("x = 'a'", "x = b'a'"),
    ("x = 'None'", "x = None"),
    ("x = a", "x = 'a'"),
    ("x = [1, 2]", "x = [[1], 2]"),
    ("x = f(a)(b)", "x = f(a, b)"),
    ("x = a - b - c", "x = a - (b - c)"),
    ("def f(a, *, b): pass", "def f(a, b): pass"),
    ("def f(a, b=1): pass", "def f(a=1, b=1): pass"),
    ("from a import b", "from .a import b"),
    ("f(x)", "y = f(x)"),
    ("f'{x}a'", "f'{x}b'"),
    ("f'{x:>3}'", "f'{x:>4}'"),
    ("if a:\n    f()\ng()", "if a:\n    f()\n    g()"),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_whatever_can_change_a_result_changes_the_digest(before: str, after: str) -> None:
    assert source_digest(before) != source_digest(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('def f():\n    """One."""\n    return 1', 'def f():\n    """Two."""\n    return 1  # why'),
        ("x = 1", 'x = 1\n"""A text about x."""'),
        ('class A:\n    """One."""\n', 'class A:\n    """Two."""\n'),
        ("x = 'a' 'b'", 'x = "ab"'),
        ("x = (1 +\n     2)", "x = 1 + 2"),
    ],
)
def test_layout_quotes_and_texts_that_nobody_reads_do_not(before: str, after: str) -> None:
    assert source_digest(before) == source_digest(after)


def test_no_module_reads_a_docstring_but_for_help_texts() -> None:
    """A docstring is in no digest, so no result may depend on one."""
    reads = re.compile(r"__doc__|getdoc|getsource|use_attribute_docstrings")
    found = [line.strip() for path in MODULES for line in path.read_text().splitlines() if reads.search(line)]
    assert found != []
    assert [line for line in found if "description=__doc__" not in line] == []
