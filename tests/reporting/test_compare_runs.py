"""tools/compare_runs.py: two finished runs side by side."""

from pathlib import Path

import pytest

import compare_runs
from pipestill.records import write_json
from pipestill.reporting.summary import Summary


def finished(root: Path, summary: Summary, seconds: dict[str, float]) -> Path:
    """A clone with nothing but the records that the comparison reads."""
    write_json(root / "reports/summary.json", summary)
    for number, (stage, wall_time_s) in enumerate(seconds.items()):
        write_json(root / f"runs/{stage}.json", {"stage": stage, "wall_time_s": wall_time_s, "start_time_ms": number})
    (root / "dvc.lock").write_text("stages:\n" + "".join(f"  {stage}: {{}}\n" for stage in seconds))
    return root


def test_stages_and_accuracies_stand_side_by_side_and_what_one_run_lacks_is_a_dash(
    summary: Summary, tmp_path: Path
) -> None:
    before = finished(tmp_path / "before", summary, {"prepare": 2.0, "distill@bert_l2": 90.0})
    after = finished(tmp_path / "after", summary, {"prepare": 1.5, "distill@bilstm": 30.0})
    lines = compare_runs.compare(before, after).splitlines()
    assert "| prepare | 2.0 s | 1.5 s |" in lines
    assert "| distill@bert_l2 | 1 min 30 s | - |" in lines
    assert "| distill@bilstm | - | 30.0 s |" in lines
    assert "| all stages | 1 min 32 s | 31.5 s |" in lines
    teacher = next(line for line in lines if line.startswith("| teacher/torch |"))
    accuracy = next(row.test.primary.value for row in summary.rows if row.subject == "teacher/torch")
    assert teacher.count(f"{accuracy:.3f} [") == 2
    assert f"- after: {summary.environment.cpu_model}" in "\n".join(lines)


def test_a_run_that_has_not_ended_is_refused(
    summary: Summary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = finished(tmp_path / "before", summary, {"prepare": 2.0})
    assert compare_runs.main([str(before), str(tmp_path / "nothing")]) == 1
    assert "summary.json" in capsys.readouterr().err
