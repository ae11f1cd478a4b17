"""MLflow's UI on a repository's runs, as a browser shows it."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import programs
from pipeline.tiny_pipeline import TinyPipeline
from services.servers import answers, free_port, running
from tracking.outcomes import write_outcome
from tracking.repositories import Repository

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.timeout(900),  # a server and a browser on two busy cores
]


def dom(url: str, profile: Path) -> str:
    """What stands on a page once its scripts have run."""
    command = (
        *(programs.find("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={profile}", "--window-size=1600,1200", "--virtual-time-budget=60000", "--dump-dom", url),
    )
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def shows(repository: Repository, folder: Path, pages: Mapping[str, Sequence[str]]) -> None:
    """Start the UI and look at pages, each a path below the experiments; every word must stand on its page."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "pipestill.tracking", "ui", "--port", str(port))
    ready = lambda: answers(f"{url}/health")  # noqa: E731
    with running(
        command, folder / "log", ready, environment=repository.environment(), cwd=repository.root, seconds=300
    ):
        for page, words in pages.items():
            content = dom(f"{url}/#/experiments/{page}", folder / "profile")
            assert [word for word in words if word not in content] == [], page


def test_a_browser_finds_the_pipeline_s_run_with_its_table_and_champion(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.root.mkdir()
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    repository.commit()
    write_outcome(repository.root)
    repository.run("python", "-m", "pipestill.tracking", "register")
    (run,) = repository.runs()
    page = f"{run.info.experiment_id}/runs"
    words = ("small/onnx_int8", "pipestill-words-2")
    shows(repository, tmp_path, {page: (run.info.run_name,), f"{page}/{run.info.run_id}": words})


def test_a_browser_sees_figures_curves_data_and_origin_of_real_runs(built: TinyPipeline, tmp_path: Path) -> None:
    pipeline = built.copy(tmp_path / "copy")
    pipeline.run("python", "-m", "pipestill.tracking", "sync")
    runs = {run.data.tags.get("dvc.stage", "pipeline"): run for run in pipeline.runs()}
    whole, student = runs["pipeline"].info, runs["distill@bert_thin"]
    digest = student.inputs.dataset_inputs[0].dataset.digest
    teacher = student.data.tags["dvc.dep/models/teacher"]
    page = f"{whole.experiment_id}/runs"
    pages = {
        page: (whole.run_name,),
        f"{page}/{whole.run_id}": ("TF-IDF", "test.accuracy", "p50_ms", "wall_time_s"),
        f"{page}/{whole.run_id}/artifacts": ("tradeoff.png", "confusion.png", "reliability.png", "summary.json"),
        f"{page}/{student.info.run_id}": ("distill@bert_thin", "dev.accuracy", "train.loss", digest[:8], teacher[:8]),
    }
    shows(pipeline, tmp_path, pages)
