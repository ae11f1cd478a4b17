import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from outcomes import TEXTS, write_artifact, write_lock, write_outcome
from repositories import Repository

from pipestill.fingerprint import sha256_files
from pipestill.predict import Classifier
from pipestill.registry.__main__ import main
from pipestill.registry.candidate import RegistryError
from pipestill.registry.promotion import Comparison, reasons_against
from pipestill.registry.register import model_name, register

NAME = "pipestill-words-2"
INT8 = "onnx/model_quantized.onnx"


@pytest.fixture
def outcome(repository: Repository) -> Repository:
    """A repository whose pipeline has chosen a champion."""
    write_outcome(repository.root)
    return repository


def version(repository: Repository, alias: str) -> Any:
    return repository.client().get_model_version_by_alias(NAME, alias)


def holder(repository: Repository, alias: str) -> str:
    return str(version(repository, alias).version)


def versions(repository: Repository) -> list[str]:
    return [str(found.version) for found in repository.client().search_model_versions(f"name = '{NAME}'")]


def download(repository: Repository, alias: str = "champion") -> Path:
    uri = f"sqlite:///{repository.root}/mlflow.db"
    path = mlflow.artifacts.download_artifacts(
        artifact_uri=f"models:/{NAME}@{alias}", tracking_uri=uri, registry_uri=uri
    )
    return Path(path)


def test_the_champion_is_registered_byte_for_byte_with_its_lineage(outcome: Repository) -> None:
    registration = register(outcome.root)
    assert (registration.version, registration.standing, registration.is_new) == ("1", "champion", True)
    folder = outcome.root / "models/onnx/small"
    logged = sha256_files(download(outcome) / "artifacts/classifier")
    assert logged == {path: sha for path, sha in sha256_files(folder).items() if path != "onnx/model.onnx"}
    found = version(outcome, "champion")
    assert found.description == "# small: words\n\nA model card."
    lock = (outcome.root / "dvc.lock").read_text()
    for tag in ("dvc.md5", "teacher", "dvc.dep/data/prepared/dev.parquet", "dvc.out/models/onnx/small"):
        assert found.tags[tag] in lock
    commit = outcome.run("git", "rev-parse", "HEAD").stdout.strip()
    assert (found.tags["git.commit"], found.tags["git.dirty"]) == (commit, "true")
    assert (found.tags["data"], found.tags["dvc.stage"], found.tags["file"]) == ("words/2", "export@small", INT8)
    assert len(found.tags["dvc.key"]) == 64
    (run,) = outcome.runs("tags.`dvc.pipeline` != ''")
    assert found.run_id == run.info.run_id
    assert run.outputs.model_outputs[0].model_id in found.source
    assert "challenger" not in outcome.client().get_registered_model(NAME).aliases


def test_the_model_is_code_and_files_without_pickle_or_paths_of_this_machine(outcome: Repository) -> None:
    register(outcome.root)
    folder = download(outcome)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "served_classifier.py", "code/pipestill/predict/classifier.py", "input_example.json"} <= files
    assert not [file for file in files if file.endswith((".pkl", ".pyc"))]
    assert "/" not in "".join(line for line in (folder / "MLmodel").read_text().splitlines() if "code_path" in line)
    assert str(outcome.root) not in (folder / "MLmodel").read_text()
    inputs = Model.load(str(folder)).get_input_schema()
    assert inputs.to_dict() == [{"type": "string", "required": True}]
    outputs = Model.load(str(folder)).get_output_schema().to_dict()[0]["properties"]
    assert set(outputs) == {"label", "score", "probabilities"}


def test_the_model_answers_batches_and_texts_of_any_length(
    outcome: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(outcome.root)
    monkeypatch.setattr("sys.path", [])  # mlflow puts the model's code there
    model = mlflow.pyfunc.load_model(str(download(outcome)))
    classifier = Classifier(outcome.root / "models/onnx/small")
    for texts in (["good"], TEXTS[:3], ["bad " * 50], ["good", "good bad"], []):
        answers = model.predict(texts, params={"batch_size": 1})
        assert [answer.model_dump() for answer in answers] == [row._asdict() for row in classifier.predict(texts)]


REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "a batch of none": (
        {"inputs": ["good"], "params": {"batch_size": 0}},
        "batch_size is 0; it must be from 1 to 64",
    ),
    "a batch of all": (
        {"inputs": ["good"], "params": {"batch_size": 10**9}},
        "batch_size is 1000000000; it must be from 1 to 64",
    ),
    "too many texts": ({"inputs": ["good"] * 10_001}, "10001 texts in one request; at most 10000 are accepted"),
    "too long a text": (
        {"inputs": ["good", "bad " * 3_000_000]},
        "the texts take 12000004 bytes; at most 8388608 are accepted in one request",
    ),
    "a blank text": ({"inputs": ["good", " \u200b"]}, "the text at position 1 is blank"),
    "half of a pair": ({"inputs": ["good", "\ud83d"]}, "the text at position 1 holds half of a surrogate pair"),
}


def test_the_server_refuses_with_a_reason_and_nothing_else(
    outcome: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a stack trace nor the texts of the request."""
    register(outcome.root)
    monkeypatch.setattr("sys.path", [*sys.path])
    model = mlflow.pyfunc.load_model(str(download(outcome)))
    from mlflow.pyfunc import scoring_server  # mlflow warns of its own type hints where it is imported first

    def ask(request: dict[str, Any]) -> tuple[int, Any]:
        try:
            answer = scoring_server.invocations(json.dumps(request), "application/json", model, None)
        except MlflowException as error:  # as the server's handler answers it
            return error.get_http_status_code(), json.loads(error.serialize_as_json())
        return answer.status, json.loads(answer.response)

    for request, message in REQUESTS.values():
        assert ask(request) == (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message})
        with pytest.raises(MlflowException, match=message):
            model.predict(request["inputs"], params=request.get("params"))
    status, found = ask({"inputs": ["good", "bad"], "params": {"batch_size": 64}})
    assert (status, len(found["predictions"])) == (200, 2)

    served = model.unwrap_python_model()
    served._classifier.labels = ("one",)  # no longer a label for each logit
    status, found = ask({"inputs": ["good"]})
    assert (status, found["message"]) == (500, "the model cannot answer; the log names the reason")


def test_equal_bytes_are_one_version(outcome: Repository) -> None:
    register(outcome.root)
    again = register(outcome.root)
    assert (again.version, again.is_new, again.standing) == ("1", False, "champion")
    assert versions(outcome) == ["1"]
    assert len(outcome.client().search_logged_models(["1"])) == 1


@pytest.mark.parametrize(
    ("dev_quality", "standing"), [(0.95, "champion"), (0.9, "champion"), (0.89, "champion"), (0.889, "challenger")]
)
def test_a_challenger_becomes_champion_within_the_margin_only(
    outcome: Repository, dev_quality: float, standing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    register(outcome.root)
    write_outcome(outcome.root, fine=2.0, dev_quality=dev_quality)
    code = main([])
    assert holder(outcome, standing) == "2"
    said = capsys.readouterr().err
    if standing == "challenger":
        assert code == 1
        assert holder(outcome, "champion") == "1"
        assert "accuracy on dev is 0.8890, 0.0110 below the champion's 0.9000; at most 0.01 is allowed" in said
    else:
        assert code == 0
        assert "version 2: registered; it is champion" in said


def test_on_other_dev_rows_both_are_measured_anew(outcome: Repository) -> None:
    register(outcome.root)
    # `fine` is a negative word to the new one: it has every row with it wrong, whatever was recorded elsewhere.
    write_outcome(outcome.root, fine=-9.0, dev_quality=0.99, texts=TEXTS[:6])
    (refusal,) = register(outcome.root).refused_because
    assert "accuracy on dev is 0.6667, 0.3333 below the champion's 1.0000" in refusal
    write_outcome(outcome.root, fine=3.0, dev_quality=0.1, texts=TEXTS[:12], metric="macro_f1")
    assert register(outcome.root).standing == "champion"


def test_a_champion_of_other_labels_cannot_be_compared(outcome: Repository) -> None:
    register(outcome.root)
    write_outcome(outcome.root, texts=TEXTS[:6], labels=("bad", "good"))
    with pytest.raises(RegistryError, match="different labels"):
        register(outcome.root)
    assert holder(outcome, "champion") == "1"
    assert holder(outcome, "challenger") == "2"


def test_labels_in_another_order_are_compared_by_name(outcome: Repository) -> None:
    register(outcome.root)
    # The new one calls 0 "yes", so the old one's "yes" for `good` is right by position and wrong by name.
    write_outcome(outcome.root, fine=-9.0, labels=("yes", "no"), texts=TEXTS[:6])
    assert register(outcome.root).standing == "champion"


def test_a_version_may_stay_challenger(outcome: Repository) -> None:
    assert main(["--challenger"]) == 0
    assert holder(outcome, "challenger") == "1"
    assert outcome.client().get_registered_model(NAME).aliases.keys() == {"challenger"}
    assert register(outcome.root).standing == "champion"
    assert versions(outcome) == ["1"]


def test_without_a_champion_the_refusals_are_listed(outcome: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    write_outcome(outcome.root, refused=("speed-up over the int8 teacher is 1.1, below 1.3",))
    assert main([]) == 1
    said = capsys.readouterr().err
    assert "the report has no champion to register" in said
    assert "found:    the nearest, small/onnx_int8, misses min_speedup_over_int8_teacher" in said
    assert "small/onnx_int8: speed-up over the int8 teacher is 1.1, below 1.3" in said
    assert "expected: a student that meets every constraint" in said
    assert "next:     improve a student or change the constraint" in said


def test_only_what_was_made_and_measured_is_registered(outcome: Repository) -> None:
    write_artifact(outcome.root / "models/onnx/small", fine=5.0)
    with pytest.raises(RegistryError, match=r"models/onnx/small is missing, or differs from its hash in dvc\.lock"):
        register(outcome.root)
    write_lock(outcome.root)
    with pytest.raises(RegistryError, match="small does not hold the file that was benchmarked"):
        register(outcome.root)
    (outcome.root / "reports/summary.json").unlink()
    with pytest.raises(RegistryError, match=r"reports/summary\.json is missing"):
        register(outcome.root)


def test_the_gate_allows_exactly_the_margin() -> None:
    assert reasons_against(Comparison(0.89, 0.9), "accuracy", 0.01) == ()
    assert reasons_against(Comparison(0.9, 0.9), "accuracy", 0.0) == ()
    assert len(reasons_against(Comparison(0.8999, 0.9), "accuracy", 0.0)) == 1


def test_a_model_is_named_for_its_data() -> None:
    assert model_name("movie_reviews") == "pipestill-movie_reviews"
    assert model_name("org/data: two") == "pipestill-org-data--two"
