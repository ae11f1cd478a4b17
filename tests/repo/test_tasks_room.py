"""Answers are decided and judged in two rooms: `tasks` and `metrics`. All others ask them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/pipestill"
ROOMS = ("tasks", "metrics")
OUTSIDE = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in ROOMS)

WORDS = re.compile(r"argmax|softmax|accuracy|macro_?\s?f1", re.IGNORECASE)

OTHER_THINGS = {
    "architectures/static.py": "a softmax over the tokens of a text",
    "losses/_products.py": "a softmax over the tokens that a token attends to",
    "mlm/caching.py": "a softmax over the vocabulary",
    "mlm/records.py": "the accuracy of predicted tokens",
    "mlm/reporting.py": "the accuracy of predicted tokens",
    "mlm/soft_targets.py": "a softmax over the vocabulary",
    "mlm/training.py": "the most probable token",
    "surgery/directions.py": "the largest entry of a direction",
    "surgery/units.py": "the most active unit",
}
"""Modules that use such a word for something else than labels, and for what."""


def found(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every name and text with one of the words, docstrings left out."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        texts = [getattr(node, name, None) for name in ("id", "attr", "arg", "name")]
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            texts.append(node.value)
        for text in texts:
            if isinstance(text, str) and WORDS.search(text):
                yield getattr(node, "lineno", 0), text


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_only_tasks_and_metrics_decide_and_judge(path: Path) -> None:
    name = path.relative_to(SOURCE).as_posix()
    places = [f"{name}:{line}: {text[:60]}" for line, text in found(path.read_text(encoding="utf-8"))]
    if name in OTHER_THINGS:
        assert places, f"{name} no longer needs its exception"
    else:
        assert not places, "ask the task: `decide`, `probabilities`, `primary`, `measures` (pipestill.tasks)"


@pytest.mark.parametrize(
    "code",
    ["x = logits.argmax(axis=1)", "from torch.nn.functional import log_softmax", "record.accuracy", "f(macro_f1=1)",
     "text = 'dev accuracy'", "def accuracy(): ...", "class SoftmaxHead: ..."],
)  # fmt: skip
def test_each_kind_of_place_is_found(code: str) -> None:
    assert [*found(code)]


def test_a_docstring_may_explain() -> None:
    assert not [*found('"""The accuracy of a model."""\nx = 1\n"""The argmax."""')]
