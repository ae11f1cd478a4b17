"""The champion that the real pipeline made, on its way to the registry, to a release and to somebody else's machine."""

import json
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

import mlflow
import pytest

from pipestill.fingerprint import sha256_files
from pipestill.predict import Classifier
from pipestill.reporting.params import Constraints
from services.team import BRANCH, Clone, Team

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),  # mlflow's own
]
TEXTS = ("a good one", "bad", "fine fine good")


@pytest.fixture(scope="module")
def released(team: Team, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Mapping[str, str]]:
    """A clone after constraints that tiny students meet, `dvc repro`, register and release; and what each one said."""
    clone = team.clone(tmp_path_factory.mktemp("released"))
    clone.change("report.constraints", dict.fromkeys(Constraints.model_fields, 0.0))
    assert sorted(clone.repro("--pull", "--allow-missing")) == ["check", "package", "report"]
    clone.commit("a champion")
    clone.run("git", "push", "-q", "origin", f"HEAD:{BRANCH}")
    clone.run("dvc", "pull", "--quiet", "dvc.yaml")
    said = {
        "sync": clone.run("python", "-m", "pipestill.tracking", "sync").stderr,
        "register": clone.run("python", "-m", "pipestill.registry").stdout,
        "release": clone.run("python", "tools/release.py", "release", "1.0.0", "--stage", "prod").stdout,
    }
    return clone, said


def test_what_the_pipeline_made_is_registered_served_and_released(released: tuple[Clone, Mapping[str, str]]) -> None:
    clone, said = released
    client = clone.client()
    (version,) = client.search_model_versions("name = 'pipestill-tiny'")
    assert client.get_model_version_by_alias("pipestill-tiny", "champion").version == version.version
    assert version.tags["release"] == "classifier@v1.0.0"
    (made,) = clone.md5s("models/champion")
    assert version.tags["dvc.out/models/champion"] == made
    assert "the registry's champion" in said["release"]
    folder = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
    model = mlflow.pyfunc.load_model(folder)
    expected = Classifier(clone.root / "models/champion", file=version.tags["file"]).predict(TEXTS)
    assert [answer.model_dump() for answer in model.predict(list(TEXTS))] == [row._asdict() for row in expected]


def test_somebody_with_python_and_the_repository_s_address_gets_it_and_runs_it(
    released: tuple[Clone, Mapping[str, str]], team: Team, tmp_path: Path
) -> None:
    clone, _ = released
    place, python = tmp_path / "empty", tmp_path / "venv/bin/python"
    place.mkdir()
    clone.run(
        "dvc", "artifacts", "get", str(team.origin), "classifier", "--stage", "prod", "--out", str(place / "champion")
    )
    assert sha256_files(place / "champion") == sha256_files(clone.root / "models/champion")
    venv.create(tmp_path / "venv", with_pip=True)
    address = f"git+file://{team.origin}"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", address], check=True)
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "mlflow", "dvc"} & {line.split()[0] for line in listed.splitlines()}
    command = [python.with_name("pipestill"), "predict", "champion"]
    done = subprocess.run(command, input="\n".join(TEXTS), cwd=place, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = Classifier(clone.root / "models/champion").predict(TEXTS)
    assert [answer["label"] for answer in answers] == [row.label for row in expected]
    assert [answer["score"] for answer in answers] == pytest.approx([row.score for row in expected], abs=1e-6)
