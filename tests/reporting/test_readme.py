import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipestill.errors import RecordError
from pipestill.records import write_json
from pipestill.reporting.__main__ import main
from pipestill.reporting.readme import BEGIN, END, PAGES, Page, report_md5, stale_reason, update_page
from pipestill.reporting.summary import Summary

LOCK = """\
schema: '2.0'
stages:
  report:
    cmd: python stages/report.py
    outs:
    - path: reports/summary.json
      hash: md5
      md5: {md5}
"""


@pytest.fixture
def repository(tmp_path: Path, summary: Summary, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    for page in PAGES:
        (tmp_path / page.path).write_text(f"# A title\n\n{BEGIN}\n{END}\n\nThe end.\n", encoding="utf-8")
    (tmp_path / "dvc.lock").write_text(LOCK.format(md5="a" * 32), encoding="utf-8")
    write_json(tmp_path / "reports/summary.json", summary)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    return main(list(arguments), Console(file=out, width=200)), out.getvalue()


PLACES = (Path("reports"), Path("dvc.lock"))
every_page = pytest.mark.parametrize("page", PAGES, ids=[page.path.name for page in PAGES])


@every_page
def test_the_block_is_written_between_the_markers_and_then_is_up_to_date(repository: Path, page: Page) -> None:
    assert stale_reason(page, *PLACES) is not None
    assert update_page(page, *PLACES)
    text = page.path.read_text(encoding="utf-8")
    assert text.startswith(f"# A title\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nThe end.\n")
    assert "A Processor" in text
    assert f"`{'a' * 32}`" in text
    assert stale_reason(page, *PLACES) is None
    assert not update_page(page, *PLACES)


def test_the_readme_has_the_short_table_and_the_results_page_the_full_one(repository: Path) -> None:
    assert run("readme")[0] == 0
    readme, results = (page.path.read_text(encoding="utf-8") for page in PAGES)
    assert f"{BEGIN}\n| model | accuracy | retention | size | p50 ms | vs PyTorch |" in readme
    assert "The row in bold is in models/champion. Champion: `bert_l3/onnx_int8`." in readme
    assert "| model | variant | accuracy | macro F1 |" in results
    assert "`bert_l3/onnx_fp32` is refused" in results


def test_advice_stands_before_everything_else(repository: Path, summary: Summary) -> None:
    advice = "The linear baseline beats the teacher: raise `finetune_teacher.training.epochs` (used: 2) in params.yaml."
    remark = 'The figure "confusion" is left out: ValueError: $x$ *y*'
    write_json(
        repository / "reports/summary.json", summary.model_copy(update={"advice": (advice,), "remarks": (remark,)})
    )
    assert run("readme")[0] == 0
    for page in PAGES:
        text = page.path.read_text(encoding="utf-8")
        assert f"{BEGIN}\n{advice}\n\n" in text
    assert r"ValueError: \$x\$ \*y\*" in text, "the results page has the remarks too"
    shown = run("show")[1]
    assert shown.startswith(advice)
    assert remark in shown


@every_page
def test_another_report_in_dvc_lock_makes_the_block_stale_even_without_its_files(repository: Path, page: Page) -> None:
    update_page(page, *PLACES)
    (repository / "reports/summary.json").unlink()
    assert stale_reason(page, *PLACES) is None
    (repository / "dvc.lock").write_text(LOCK.format(md5="b" * 32), encoding="utf-8")
    assert "another report" in (stale_reason(page, *PLACES) or "")


@every_page
def test_a_number_typed_by_hand_makes_the_block_stale(repository: Path, page: Page) -> None:
    update_page(page, *PLACES)
    page.path.write_text(page.path.read_text(encoding="utf-8").replace("0.846", "0.999"), encoding="utf-8")
    assert "does not match" in (stale_reason(page, *PLACES) or "")


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_markers_that_are_missing_or_out_of_order_are_refused(repository: Path, text: str) -> None:
    (repository / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="lacks the markers of the result block"):
        update_page(PAGES[0], *PLACES)


def test_the_md5_of_the_summary_is_found_and_its_absence_refused(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(LOCK.format(md5="c" * 32), encoding="utf-8")
    assert report_md5(lock) == "c" * 32
    lock.write_text("stages: {}\n", encoding="utf-8")
    with pytest.raises(RecordError, match="does not hold a report"):
        report_md5(lock)


def test_the_commands_write_check_and_show(repository: Path) -> None:
    code, said = run("readme", "--check")
    assert code == 1
    assert said.count("run `python -m pipestill.reporting readme`") == len(PAGES)
    assert run("readme")[0] == 0
    assert run("readme", "--check") == (0, "")
    assert "already shows" in run("readme")[1]
    code, said = run("show")
    assert code == 0
    assert "bert_l3" in said
    assert "Champion" in said
    assert "wall time" not in said


def test_wall_times_are_shown_in_the_order_of_the_stages(repository: Path) -> None:
    (repository / "runs").mkdir()
    for stage, start, seconds in (("report", 2, 3.0), ("fetch", 1, 61.0), ("distill@gone", 3, 999.0)):
        record = {"stage": stage, "wall_time_s": seconds, "start_time_ms": start}
        (repository / "runs" / f"{stage}.json").write_text(json.dumps(record), encoding="utf-8")
    (repository / "runs/other.json").write_text("[]", encoding="utf-8")
    (repository / "dvc.lock").write_text(f"{LOCK.format(md5='a' * 32)}  fetch: {{}}\n", encoding="utf-8")
    said = run("show")[1]
    assert said.index("fetch") < said.index("report ")
    assert "1 min 01 s" in said
    assert "1 min 04 s" in said
    assert "distill@gone" not in said
    (repository / "dvc.lock").unlink()
    assert "wall time" not in run("show")[1]


def test_a_missing_report_ends_in_a_message_not_a_traceback(repository: Path) -> None:
    (repository / "reports/summary.json").unlink()
    code, said = run("show")
    assert code == 1
    assert "dvc repro" in said
