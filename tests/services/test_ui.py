"""MLflow's UI on a repository's runs, as a browser shows it."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import programs
from pipeline.tiny_pipeline import STUDENTS, TinyPipeline
from pipestill.tracking.view import view_state
from services.servers import free_port, running
from tracking.outcomes import write_outcome
from tracking.repositories import Repository

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.timeout(900),  # a server and a browser on two busy cores
]
IN_ORDER = ("result/accuracy", "champion/test.accuracy", "test.accuracy/teacher.torch", "wall_time_s")
"""Metrics of a pipeline's run, from top to bottom."""
LINK = re.compile(r"^the runs and their results: (\S+)$", re.MULTILINE)


def dom(url: str, profile: Path) -> str:
    """What stands on a page once its scripts have run."""
    command = (
        *(programs.find("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={profile}", "--window-size=2400,1200", "--virtual-time-budget=60000", "--dump-dom", url),
    )
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


@contextmanager
def ui_of(repository: Repository, folder: Path) -> Iterator[str]:
    """Start the UI; gives the link that it prints, once it stands in the log."""
    port = free_port()
    command = (sys.executable, "-m", "pipestill.tracking", "ui", "--port", str(port))
    log = folder / "log"
    ready = lambda: LINK.search(log.read_text()) is not None  # noqa: E731
    environment = repository.environment(CI="true")
    with running(command, log, ready, environment=environment, cwd=repository.root, seconds=300):
        found = LINK.search(log.read_text())
        assert found
        yield found[1]


def shows(link: str, folder: Path, pages: Mapping[str, Sequence[str]]) -> None:
    """Look at pages, each a path below the experiments; every word must stand on its page."""
    server, _ = link.split("/#/")
    for page, words in pages.items():
        content = dom(f"{server}/#/experiments/{page}", folder / "profile")
        assert [word for word in words if word not in content] == [], page
        listed = [content.index(f">{word}<") for word in IN_ORDER if f">{word}<" in content]
        assert listed == sorted(listed), page


def opens_on_the_results(link: str, profile: Path, pipeline: str) -> None:
    """Open the printed link in a fresh browser: a table of pipeline and trainings, and charts of both."""
    table = dom(link, profile)
    rows = [pipeline, "finetune_teacher", *(f"distill@{student}" for student in STUDENTS)]
    figures = ("accuracy", "accuracy_lower", "accuracy_upper", "retention", "size_mb", "p50_ms")
    for word in (*rows, *(f"result/{figure}" for figure in figures)):
        assert word in table, word
    assert table.index(pipeline) < min(table.index(row) for row in rows[1:])
    assert "evaluate@" not in table
    charts = dom(f"{link}&compareRunsMode=CHART", profile)
    sections = [section["name"] for section in view_state()["compareRunSections"]]
    for title in (*sections, "train.loss", "dev.accuracy"):
        assert title in charts, title


def test_a_browser_finds_the_pipeline_s_run_with_its_table_and_champion(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.root.mkdir()
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    repository.commit()
    write_outcome(repository.root)
    repository.run("python", "-m", "pipestill.registry")
    (run,) = repository.runs()
    page = f"{run.info.experiment_id}/runs"
    words = ("small/onnx_int8", "pipestill-words-2", "result/accuracy", "champion/test.accuracy")
    with ui_of(repository, tmp_path) as link:
        shows(link, tmp_path, {f"{page}/{run.info.run_id}": words})


def test_a_browser_sees_figures_curves_data_and_origin_of_real_runs(built: TinyPipeline, tmp_path: Path) -> None:
    pipeline = built.copy(tmp_path / "copy")
    pipeline.run("python", "-m", "pipestill.tracking", "sync")
    runs = {run.data.tags.get("dvc.stage", "pipeline"): run for run in pipeline.runs()}
    whole, student = runs["pipeline"].info, runs["distill@bert_pruned"]
    digest = student.inputs.dataset_inputs[0].dataset.digest
    teacher = student.data.tags["dvc.dep/models/teacher"]
    page = f"{whole.experiment_id}/runs"
    pages = {
        f"{page}/{whole.run_id}": ("TF-IDF", "test.accuracy/teacher.torch", "p50_ms"),
        f"{page}/{whole.run_id}/artifacts": (
            "tradeoff.png",
            "confusion.png",
            "reliability.png",
            "summary.json",
            "wall_times.csv",
        ),
        f"{page}/{student.info.run_id}": ("distill@bert_pruned", "dev.accuracy", "train.loss", digest[:8], teacher[:8]),
    }
    with ui_of(pipeline, tmp_path) as link:
        opens_on_the_results(link, tmp_path / "fresh", whole.run_name)
        shows(link, tmp_path, pages)
