"""A registered version and a release name each other."""

from typing import Any

from mlflow.exceptions import MlflowException
from outcomes import write_outcome
from repositories import Repository
from ruamel.yaml import YAML

from pipestill.registry.register import register
from pipestill.registry.releases import note_release, release_tags
from pipestill.tracking.lock import Lock

NAME = "pipestill-words-2"
TAG = "dvc.out/models/champion"
RELEASE = "classifier@v1.0.0"


def tags(repository: Repository, version: str) -> dict[str, Any]:
    return dict(repository.client().get_model_version(NAME, version).tags)


def released(repository: Repository) -> str:
    """Commit the outcome and tag the commit; returns the md5 of the released folder."""
    repository.commit("an outcome")
    repository.run("git", "tag", "-a", RELEASE, "-m", RELEASE)
    return Lock(repository.root).outs()["models/champion"]


def test_a_version_registered_after_its_release_names_it(repository: Repository) -> None:
    write_outcome(repository.root)
    register(repository.root)
    assert "release" not in tags(repository, "1")
    md5 = released(repository)
    assert register(repository.root).is_new is False
    assert (tags(repository, "1")[TAG], tags(repository, "1")["release"]) == (md5, RELEASE)
    write_outcome(repository.root, fine=2.0)
    assert register(repository.root).version == "2"
    assert tags(repository, "2")[TAG] == Lock(repository.root).outs()["models/champion"] != md5
    assert "release" not in tags(repository, "2")  # HEAD holds another lock


def test_a_release_of_the_champion_is_noted_on_its_version(repository: Repository) -> None:
    write_outcome(repository.root)
    register(repository.root)
    assert note_release(repository.root, RELEASE) == (f"{RELEASE} is {NAME} version 1, the registry's champion", True)
    note_release(repository.root, "classifier@v1.0.1")
    assert tags(repository, "1")["release"] == f"{RELEASE} classifier@v1.0.1"


def test_a_release_that_is_not_the_champion_is_said_with_the_next_step(repository: Repository) -> None:
    write_outcome(repository.root)
    line, is_champion = note_release(repository.root, RELEASE)
    assert "does not know the released folder" in line
    assert "run `make register`" in line
    assert not is_champion
    register(repository.root, promote=False)
    line, is_champion = note_release(repository.root, RELEASE)
    assert f"{RELEASE} is {NAME} version 1, but the registry's champion is none: run `make register`" in line
    register(repository.root)
    write_outcome(repository.root, fine=2.0)
    register(repository.root, promote=False)
    line, is_champion = note_release(repository.root, RELEASE)
    assert "version 2, but the registry's champion is version 1: run `make register`" in line
    assert not is_champion


def test_without_a_store_a_release_makes_none(repository: Repository) -> None:
    write_outcome(repository.root)
    (repository.root / "mlflow.db").unlink()
    line, is_champion = note_release(repository.root, RELEASE)
    assert "there is no store here: run `make register`" in line
    assert not is_champion
    assert not (repository.root / "mlflow.db").exists()


def test_a_server_that_is_away_does_not_stop_a_release(repository: Repository, monkeypatch: Any) -> None:
    write_outcome(repository.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    line, is_champion = note_release(repository.root, RELEASE)
    assert f"MLflow's registry could not be tagged with {RELEASE}: no MLflow server answers" in line
    assert "make register" in line
    assert not is_champion


def test_a_server_that_refuses_does_not_stop_a_release(repository: Repository, monkeypatch: Any) -> None:
    def refused(*_: object, **__: object) -> None:
        raise MlflowException("403, forbidden")

    write_outcome(repository.root)
    monkeypatch.setattr("mlflow.tracking.MlflowClient.search_model_versions", refused)
    line, is_champion = note_release(repository.root, RELEASE)
    assert "403, forbidden" in line
    assert not is_champion


def test_a_folder_packaged_from_another_choice_is_not_the_version_s(repository: Repository) -> None:
    write_outcome(repository.root)
    assert TAG in release_tags(Lock(repository.root))
    path = repository.root / "dvc.lock"
    lock = YAML(typ="safe").load(path)
    lock["stages"]["package"]["deps"][0]["md5"] = "0" * 32
    YAML(typ="safe").dump(lock, path)
    assert release_tags(Lock(repository.root)) == {}
