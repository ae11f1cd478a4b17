"""MLflow's UI on a repository's runs, as a browser shows it."""

import subprocess
import sys
from pathlib import Path

import pytest

import programs
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


def test_a_browser_finds_the_pipeline_s_run_with_its_table_and_champion(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.root.mkdir()
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    repository.commit()
    write_outcome(repository.root)
    repository.run("python", "-m", "pipestill.tracking", "register")
    (run,) = repository.runs()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "pipestill.tracking", "ui", "--port", str(port))
    environment = repository.environment()
    log = tmp_path / "log"
    ready = lambda: answers(f"{url}/health")  # noqa: E731
    with running(command, log, ready, environment=environment, cwd=repository.root, seconds=300):
        experiment = f"{url}/#/experiments/{run.info.experiment_id}/runs"
        assert run.info.run_name in dom(experiment, tmp_path / "profile")
        page = dom(f"{experiment}/{run.info.run_id}", tmp_path / "profile")
    assert "small/onnx_int8" in page
    assert "pipestill-words-2" in page
