import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from repositories import Repository

from pipestill.fingerprint import sha256_json
from pipestill.records import read_record
from pipestill.tracking import stage_run
from pipestill.tracking.run_record import RunRecord, flatten, record_path
from pipestill.tracking.sync import sync

Enter = Callable[..., object]

ENDS = [
    (None, "FINISHED"),
    (SystemExit(0), "FINISHED"),
    (SystemExit(None), "FINISHED"),
    (SystemExit(1), "FAILED"),
    (SystemExit("gone"), "FAILED"),
    (ValueError("no good"), "FAILED"),
    (KeyboardInterrupt(), "KILLED"),
]


@pytest.mark.parametrize(("error", "status"), ENDS, ids=repr)
def test_a_run_ends_with_the_truth(
    repository: Repository, in_stage: Enter, error: BaseException | None, status: str
) -> None:
    in_stage()
    raised = None
    try:
        with stage_run({"lr": 1}) as run:
            scratch = run.scratch
            if error:
                raise error  # noqa: TRY301
    except BaseException as caught:  # noqa: BLE001
        raised = caught
    assert raised is error
    (found,) = repository.runs()
    assert found.info.status == status
    assert record_path("first").exists() == (status == "FINISHED")
    assert scratch.exists() == (status != "FINISHED")
    assert ("error" in found.data.tags) == (status != "FINISHED")


def test_the_record_and_the_run_say_the_same(repository: Repository, in_stage: Enter) -> None:
    in_stage()
    Path("data").mkdir()
    Path("data/first.txt").write_text("made")
    Path("curve.png").write_bytes(b"a figure")
    with stage_run({"lr": 5e-5, "loss": {"kind": "kl", "layers": [0, 2]}, "none": None, "name": "a"}) as run:
        run.log_metrics({"train/loss": 0.5}, step=1)
        run.log_metrics({"train/loss": float("nan")}, step=2)
        run.log_metrics({"accuracy": np.float32(0.75)})
        run.log_text("card.md", "# a card")
        run.log_artifact(Path("curve.png"), "figures")
        run.log_artifact(Path("source.txt"), "inputs")
        run.log_dataset("source", Path("source.txt"), "training")
        run.log_model("bert_l3", Path("data"))
    record = read_record(record_path("first"), RunRecord)
    (found,) = repository.runs()
    client = repository.client()
    assert (record.run_id, record.status) == (found.info.run_id, "FINISHED")
    assert found.info.run_name == "first"
    expected = {"lr": "5e-05", "loss.kind": "kl", "loss.layers": "[0, 2]", "none": "null", "name": "a"}
    assert record.params == found.data.params == expected
    loss = client.get_metric_history(found.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in loss][:1] == [(1, 0.5)]
    assert math.isnan(loss[1].value)
    assert record.metrics["train/loss"].values == (0.5, "nan")
    assert found.data.metrics["accuracy"] == 0.75
    names = [artifact.path for artifact in client.list_artifacts(found.info.run_id)]
    assert names == ["card.md", "environment.json", "figures", "inputs"]
    assert [artifact.name for artifact in record.artifacts] == ["card.md", "figures/curve.png", "inputs/source.txt"]
    assert record.artifacts[0].content() == b"# a card"
    (dataset,) = found.inputs.dataset_inputs
    assert dataset.dataset.digest == record.deps["source.txt"] == record.datasets[0].md5
    (output,) = found.outputs.model_outputs
    tags = client.get_logged_model(output.model_id).tags
    assert tags["dvc.md5"] == record.models[0].md5
    assert tags["dvc.md5"].endswith(".dir")
    assert found.data.tags["dvc.dep/source.txt"] == record.deps["source.txt"]
    assert found.data.tags["dvc.code"] == sha256_json({"stage.py": record.deps["stage.py"]})
    assert found.data.tags["dvc.out/data/first.txt"] == record.outs["data/first.txt"]
    assert found.data.tags["dvc.key"] == record.key
    assert found.data.tags["git.dirty"] == "false"
    assert len(found.data.tags["git.commit"]) == 40


def test_names_and_values_that_mlflow_refuses_are_fitted(repository: Repository, in_stage: Enter) -> None:
    in_stage("second@bert_l3")
    long = "x" * 7000
    with stage_run({"distill@bert_l3": long}) as run:
        run.log_metrics({"distill@bert_l3/loss, mean": 1.0})
    (found,) = repository.runs()
    assert found.info.run_name == "second@bert_l3"
    assert found.data.metrics == {"distill-bert_l3/loss- mean": 1.0}
    value = found.data.params["distill-bert_l3"]
    assert len(value) == 6000
    assert "sha256:" in value
    record = read_record(record_path("second@bert_l3"), RunRecord)
    assert record.params["distill@bert_l3"] == long


def test_an_inherited_run_id_is_ignored(
    repository: Repository, in_stage: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    for stage in ("first", "second@bert_l3"):
        in_stage(stage)
        with stage_run({}):
            pass
    assert [run.info.run_name for run in repository.runs()] == ["first", "second@bert_l3"]


def test_only_the_first_rank_writes(repository: Repository, in_stage: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    in_stage()
    monkeypatch.setenv("RANK", "1")
    with stage_run({}) as run:
        run.log_metrics({"loss": 1.0})
        run.log_text("card.md", "# a card")
    assert repository.runs() == []
    assert not record_path("first").exists()
    monkeypatch.setenv("RANK", "0")
    with stage_run({}):
        pass
    assert len(repository.runs()) == 1


def test_a_run_that_is_to_come_later_costs_no_import_and_comes_with_sync(repository: Repository) -> None:
    later = {"PIPESTILL_TRACKING": "later", "PYTHONPROFILEIMPORTTIME": "1"}
    imported = repository.run("dvc", "repro", "first", **later).stderr
    assert "pipestill.tracking.execution" in imported
    assert "mlflow" not in imported
    assert repository.runs() == []
    sync(repository.root)
    (found,) = (run for run in repository.runs() if "dvc.stage" in run.data.tags)
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.data.metrics["loss"] == 0.25


def test_another_word_than_later_is_named_and_ignored(
    repository: Repository, in_stage: Enter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_stage()
    monkeypatch.setenv("PIPESTILL_TRACKING", "latter")
    with stage_run({}):
        pass
    assert len(repository.runs()) == 1
    assert "PIPESTILL_TRACKING is 'latter' and is ignored: set it to live or later" in capsys.readouterr().err


def test_outside_of_dvc_nothing_is_tracked(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    with stage_run({"lr": 1}) as run:
        run.log_metrics({"loss": 1.0})
        assert run.scratch.is_dir()
    assert repository.runs() == []
    assert not Path("runs").exists()
    assert "not started by DVC" in capsys.readouterr().err


def test_a_closed_port_costs_little_and_keeps_the_record(
    repository: Repository, in_stage: Enter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_stage()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    start_s = time.monotonic()
    with stage_run({"lr": 1}) as run:
        run.log_metrics({"loss": 1.0})
        run.log_dataset("source", Path("source.txt"), "training")
    assert time.monotonic() - start_s < 5
    record = read_record(record_path("first"), RunRecord)
    assert record.run_id is None
    assert record.metrics["loss"].values == (1.0,)
    assert record.datasets[0].name == "source"
    assert capsys.readouterr().err.count("out of reach") == 1


def test_a_broken_store_keeps_the_record(
    repository: Repository, in_stage: Enter, capsys: pytest.CaptureFixture[str]
) -> None:
    in_stage()
    Path("mlflow.db").write_bytes(b"not a database at all")
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    with stage_run({}):
        pass
    assert read_record(record_path("first"), RunRecord).run_id is None
    assert capsys.readouterr().err.count("out of reach") == 1


def test_a_moved_repository_still_shows_its_artifacts_and_writes_to_the_new_place(
    repository: Repository, in_stage: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_stage()
    with stage_run({}) as run:
        run.log_text("card.md", "# a card")
    old = repository.root
    moved = Repository(old.with_name("moved here"))
    old.rename(moved.root)
    monkeypatch.chdir(moved.root)
    monkeypatch.setenv("DVC_ROOT", str(moved.root))
    (found,) = moved.runs()
    client = moved.client()
    assert "card.md" in [artifact.path for artifact in client.list_artifacts(found.info.run_id)]
    with stage_run({}) as run:
        run.log_text("card.md", "# a card")
    assert all(run.info.artifact_uri.startswith(str(moved.root)) for run in moved.runs())
    assert not old.exists()


def test_params_are_flattened_with_dots() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": [1, 2], "e": {}, "f": True, "g": [{"h": 2}, {"h": 3}]}) == {
        "g.0.h": "2",
        "g.1.h": "3",
        "a.b.c": "1",
        "d": "[1, 2]",
        "e": "{}",
        "f": "true",
    }
