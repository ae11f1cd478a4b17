"""The stage `report` on invented records: one label is a broken formula, and one figure fails on purpose."""

import runpy
from pathlib import Path

import pytest
from invented_records import ENVIRONMENT, MODELS, make_evaluations, make_trainings
from ruamel.yaml import YAML

from pipestill.benchmark.records import BenchmarkRecord, SubjectRecord
from pipestill.benchmark.statistics import LatencyMs, Ratio
from pipestill.fingerprint import content_id
from pipestill.records import read_record, write_json
from pipestill.reporting import report as report_module
from pipestill.reporting.summary import Summary

STAGE = Path(__file__).parents[2] / "stages/report.py"
LABELS = ("$0-$50", r"$\frac$", "[bold]o[/bold]")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the stage reads."""
    metrics = tmp_path / "metrics"
    (metrics / "predictions").mkdir(parents=True)
    for record in make_evaluations(metrics / "predictions", len(LABELS), num_rows=200):
        write_json(metrics / "evaluate" / f"{record.model}.json", record.model_copy(update={"labels": LABELS}))
    trainings = make_trainings()
    for training in trainings:
        write_json(metrics / "training" / f"{training.model}.json", training)
    write_json(metrics / "benchmark.json", benchmark())
    params = YAML(typ="safe").load((STAGE.parents[1] / "params.yaml").read_text(encoding="utf-8"))
    students = {training.model: {} for training in trainings if training.model != "teacher"}
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({"report": params["report"], "students": students}, file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def benchmark() -> BenchmarkRecord:
    subjects = []
    for (model, variant), (_, _, p50, size) in MODELS.items():
        if p50 is not None:
            latency = LatencyMs(p50=p50, p95=p50, p99=p50)
            ratios = [Ratio(median=teacher / p50, lowest=1, highest=99) for teacher in (9.8, 2.1)]
            subjects.append(
                SubjectRecord(
                    model=model,
                    variant=variant,
                    sha256=content_id(model + variant),
                    size_bytes=int(1e6 * size),
                    latency_ms=latency,
                    tokenise_ms=latency,
                    model_ms=latency,
                    p50_ms_by_round=(p50,),
                    throughput_per_s=1,
                    load_ms=1,
                    first_run_ms=1,
                    peak_memory_bytes=1,
                    speed_up_over_torch_teacher=ratios[0],
                    speed_up_over_int8_teacher=ratios[1],
                )
            )
    conditions = {"threads": 1, "batch_size": 1, "throughput_batch_size": 2, "warmup_runs": 1, "timed_runs": 1}
    counts = {"rounds": 1, "num_rows": 1, "load_average_before": 0.0}
    return BenchmarkRecord(**conditions, **counts, environment=ENVIRONMENT, subjects=tuple(subjects))


def test_odd_labels_cost_no_figure(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(STAGE))["main"]()
    assert "left out" not in capsys.readouterr().out
    summary = read_record(repository / "reports/summary.json", Summary)
    assert summary.remarks == ()
    assert (repository / "reports/confusion.png").stat().st_size > 1000


def test_a_figure_that_fails_is_named_on_the_terminal_and_in_the_report(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such formula")

    monkeypatch.setattr(report_module, "plot_confusion", broken)
    runpy.run_path(str(STAGE))["main"]()
    line = 'The figure "confusion" is left out: ValueError: no such formula'
    assert line in capsys.readouterr().out.splitlines()
    assert line in (repository / "reports/table.txt").read_text(encoding="utf-8").splitlines()
    assert read_record(repository / "reports/summary.json", Summary).remarks == (line,)
    assert (repository / "reports/confusion.png").exists()
