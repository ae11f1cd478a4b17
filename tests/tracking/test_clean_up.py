"""What `dvc gc` and `mlflow gc` take away: the sharp edges that docs/operations.md tells."""

from pathlib import Path

import pytest
from repositories import Repository
from ruamel.yaml import YAML
from trainings import set_rate, write_training

from pipestill.tracking.sync import sync

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]


def cached(repository: Repository) -> set[str]:
    """The md5 of every object in the cache."""
    return {path.parent.name + path.name for path in (repository.root / ".dvc/cache/files/md5").glob("*/*")}


def run_cache(repository: Repository) -> set[Path]:
    return {path for path in (repository.root / ".dvc/cache/runs").rglob("*") if path.is_file()}


def made(repository: Repository) -> str:
    """The md5 of the training's out."""
    lock = YAML(typ="safe").load(repository.root / "dvc.lock")
    return str(lock["stages"]["train"]["outs"][0]["md5"])


def test_dvc_gc_keeps_what_its_options_name_and_nothing_else(repository: Repository) -> None:
    write_training(repository)
    first = made(repository)
    set_rate(repository, 0.2)
    repository.run("dvc", "repro", "-q")
    repository.commit()
    second = made(repository)
    repository.run("dvc", "exp", "run", "--temp", "-q", "-n", "warm", "-S", "second.lr=0.3")
    everything, index = cached(repository), run_cache(repository)
    assert {first, second} < everything
    gc = ("dvc", "gc", "--force", "--workspace")
    repository.run(*gc, "--all-commits", "--all-experiments")
    assert cached(repository) == everything
    repository.run(*gc, "--dry")
    assert cached(repository) == everything
    repository.run(*gc, "--all-commits")
    assert cached(repository) == {first, second}  # the experiment is gone
    repository.run(*gc)
    assert cached(repository) == {second}
    assert run_cache(repository) >= index
    set_rate(repository, 0.1)
    assert "Running stage 'train'" in repository.run("dvc", "repro").stdout  # the run-cache has no outs to give
    assert made(repository) == first


def test_mlflow_gc_takes_deleted_runs_alone_and_sync_brings_back_those_that_the_lock_names(
    repository: Repository,
) -> None:
    repository.run("dvc", "repro")
    first, second = repository.runs()
    folder = Path(first.info.artifact_uri)
    assert folder.is_dir()
    repository.client().delete_run(first.info.run_id)
    store = f"sqlite:///{repository.root}/mlflow.db"
    gc = ("mlflow", "gc", "--backend-store-uri", store)
    repository.run(*gc, "--older-than", "30d", MLFLOW_TRACKING_URI=store)
    assert folder.is_dir()
    repository.run(*gc, MLFLOW_TRACKING_URI=store)
    assert not folder.exists()
    assert [run.info.run_id for run in repository.runs()] == [second.info.run_id]
    report = sync(repository.root)
    assert (report.replayed, report.linked) == (["first"], ["second@bert_l3"])
