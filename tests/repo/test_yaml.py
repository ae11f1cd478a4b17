"""DVC and we read YAML with ruamel's C parser, which says the same as the Python one of who lacks it."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILES = [path for pattern in ("dvc.*", "params.yaml", "pipelines/*/*.*") for path in sorted(ROOT.glob(pattern))]


def test_dvc_parses_in_c() -> None:
    """As dvc.utils.serialize does it. In Python each command and each stage takes seconds longer."""
    parser = YAML(typ="safe")
    assert parser.load("rate: 5e-5\nanswer: no\n") == {"rate": 5e-5, "answer": "no"}
    assert "CParser" in parser.Parser.__name__


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_both_parsers_read_the_same(path: Path) -> None:
    text = path.read_text()
    assert YAML(typ="safe").load(text) == YAML(typ="safe", pure=True).load(text)
