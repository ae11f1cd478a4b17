"""Two test files of one name cannot be collected together; said here, by name, before pytest says it of one of them."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_two_modules_below_tests_have_one_name() -> None:
    names = Counter(path.name for path in TESTS.rglob("*.py") if path.name != "conftest.py")
    assert {name: count for name, count in names.items() if count > 1} == {}
