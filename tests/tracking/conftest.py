"""One initialised repository with a migrated store, made once, that every test copies."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from repositories import DROPPED, DVC_YAML, STAGE, Repository

from pipestill.tracking.store import open_store

FOREIGN_WARNINGS = (
    "ignore::sqlalchemy.exc.SADeprecationWarning",
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",
)
"""What mlflow itself warns about in this process; a stage's user never sees these."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in FOREIGN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that tests copy: initialised, committed, with a migrated empty store."""
    root = tmp_path_factory.mktemp("template")
    repository = Repository(root)
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text("first:\n  lr: 5e-5\n  other: null\nsecond:\n  lr: 0.10\n")
    (root / "source.txt").write_text("a source")
    (root / ".gitignore").write_text("mlflow.db*\nmlartifacts/\n.scratch/\nstarted\n/data\n/runs\n")
    repository.commit()
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(DROPPED)}
    open_store(root)
    os.environ.update(kept)
    return root


@pytest.fixture
def repository(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A fresh copy of the repository; the test's own process stands in it, outside of any stage."""
    root = tmp_path / "repository"
    shutil.copytree(template, root)
    for name in [name for name in os.environ if name.startswith(DROPPED)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(root)
    return Repository(root)


@pytest.fixture
def in_stage(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Mapping[str, str]]:
    """Make the test's own process look like a stage that DVC started."""

    def enter(name: str = "first") -> Mapping[str, str]:
        environment = repository.stage_environment(name=name)
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        return environment

    return enter


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """mlflow's settings are made in os.environ; the next test shall not see them."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
