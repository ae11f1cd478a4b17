"""The README's table is the one that the locked run made, and its commands exist."""

import re
from pathlib import Path

from pipestill.reporting.readme import stale_reason

ROOT = Path(__file__).parents[2]


def test_the_table_in_the_readme_comes_from_the_locked_report() -> None:
    assert stale_reason(ROOT / "README.md", ROOT / "reports", ROOT / "dvc.lock") is None


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        named = set(re.findall(r"`make ([a-z-]+)", document.read_text())) | set(
            re.findall(r"^\$ make ([a-z-]+)", document.read_text(), flags=re.MULTILINE)
        )
        assert named <= targets, f"{document.name} names {sorted(named - targets)}"


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
