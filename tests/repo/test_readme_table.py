"""The result tables in the documents are those that the locked run made, and the commands named there exist."""

import hashlib
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipestill.reporting.readme import PAGES, Page, stale_reason

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", PAGES, ids=[page.path.name for page in PAGES])
def test_the_table_in_a_document_comes_from_the_locked_report(page: Page) -> None:
    assert stale_reason(page._replace(path=ROOT / page.path), ROOT / "reports", ROOT / "dvc.lock") is None


@pytest.mark.parametrize(
    ("copy", "out"),
    [("ablation-results.md", "ablation.md"), ("images/ablation.png", "accuracy.png")],
)
def test_the_ablation_s_page_is_the_one_that_its_lock_names(copy: str, out: str) -> None:
    lock = YAML(typ="safe", pure=True).load(ROOT / "pipelines/ablation/dvc.lock")
    md5 = {item["path"]: item["md5"] for item in lock["stages"]["ablation_table"]["outs"]}
    content = (ROOT / "docs" / copy).read_bytes()
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5[f"reports/ablation/{out}"]


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
