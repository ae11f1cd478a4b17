import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import write_outcome
from repositories import Repository

from pipestill.errors import RecordError
from pipestill.records import read_record, write_json
from pipestill.tracking import stage_run
from pipestill.tracking.__main__ import main
from pipestill.tracking.lock import Lock, read_lock
from pipestill.tracking.pipeline_run import KEPT_COMMITS, REPORTS, params_of, write_pipeline_run
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.store import open_store
from pipestill.tracking.sync import points_of, reap, replay, sync

Enter = Callable[..., object]


def dump(repository: Repository) -> str:
    """The whole store as text."""
    done = subprocess.run(
        ["python", "-c", "import sqlite3; print(*sqlite3.connect('mlflow.db').iterdump(), sep='\\n')"],
        cwd=repository.root,
        env=repository.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_without_a_lock_sync_says_what_to_do(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RecordError, match="dvc repro"):
        read_lock(repository.root / "dvc.lock")
    assert main(["sync"]) == 1
    assert "dvc.lock cannot be read" in capsys.readouterr().err


def test_a_replayed_run_equals_the_live_one(repository: Repository, in_stage: Enter) -> None:
    in_stage()
    with stage_run({"lr": 5e-5}) as run:
        run.log_metrics({"loss": 0.5}, step=1)
        run.log_metrics({"loss": float("inf")}, step=2)
        run.log_text("card.md", "# a card")
        run.log_dataset("source", Path("source.txt"), "training")
        run.log_model("bert_l3", Path("source.txt"))
    (live,) = repository.runs()
    store = open_store(repository.root)
    store.client.delete_run(live.info.run_id)
    record = read_record(record_path("first"), RunRecord)
    replayed = store.client.get_run(replay(store, record))
    assert replayed.data.params == live.data.params
    assert replayed.data.metrics == live.data.metrics
    assert replayed.inputs.dataset_inputs[0].dataset.digest == live.inputs.dataset_inputs[0].dataset.digest
    assert (replayed.info.status, replayed.info.run_name) == (live.info.status, live.info.run_name)
    assert (replayed.info.start_time, replayed.info.end_time) == (live.info.start_time, live.info.end_time)
    assert len(replayed.outputs.model_outputs) == 1
    own = {"process.id", "process.host", "process.started"}
    assert set(live.data.tags) - own == set(replayed.data.tags) - {"dvc.replayed"}
    paths = [artifact.path for artifact in store.client.list_artifacts(replayed.info.run_id)]
    assert paths == ["card.md", "environment.json"]
    assert len(points_of(record)) == 2


def test_a_run_that_lost_its_server_is_completed_in_place(repository: Repository, in_stage: Enter) -> None:
    in_stage()
    with stage_run({"lr": 5e-5}) as run:
        run.log_metrics({"loss": 0.5}, step=1)
    (live,) = repository.runs()
    record = read_record(record_path("first"), RunRecord)
    more = record.model_copy(update={"metrics": record.metrics | {"accuracy": record.metrics["loss"]}})
    store = open_store(repository.root)
    store.client.update_run(live.info.run_id, status="RUNNING")
    assert replay(store, more, store.client.get_run(live.info.run_id)) == live.info.run_id
    (completed,) = repository.runs()
    assert completed.info.status == "FINISHED"
    assert completed.data.metrics == {"loss": 0.5, "accuracy": 0.5}
    assert len(store.client.get_metric_history(live.info.run_id, "loss")) == 1


def test_a_dead_run_is_reaped_and_a_living_one_is_not(repository: Repository, in_stage: Enter) -> None:
    stage = repository.start(*repository.command(), **repository.stage_environment("hang"))
    while not (repository.root / "started").exists():
        assert stage.poll() is None
    store = open_store(repository.root)
    assert reap(store) == []
    stage.send_signal(signal.SIGKILL)
    stage.communicate(timeout=10)
    assert reap(store) == ["first"]
    assert [run.info.status for run in repository.runs()] == ["KILLED"]
    assert reap(store) == []


def test_a_run_of_another_machine_is_left_alone(repository: Repository) -> None:
    store = open_store(repository.root)
    tags = {"process.host": "another-machine", "process.id": "1", "process.started": "0.00"}
    store.client.create_run(store.experiment_id, tags=tags)
    assert reap(store) == []


@pytest.mark.pipeline
def test_a_second_sync_changes_nothing(repository: Repository) -> None:
    repository.run("dvc", "repro")
    repository.commit()
    report = sync(repository.root)
    assert (report.linked, report.replayed, report.pipeline_changed) == (["first", "second@bert_l3"], [], True)
    runs = repository.runs()
    (parent,) = [run for run in runs if "dvc.pipeline" in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert [run.info.run_name for run in children] == ["first", "second@bert_l3"]
    commit = repository.run("git", "rev-parse", "HEAD").stdout.strip()
    assert (parent.info.run_name, parent.data.tags["git.commits"]) == (f"pipeline {commit[:8]}", commit)
    assert set(parent.data.metrics) == {"wall_time_s"}
    assert parent.data.params == {"first.lr": "5e-05", "second.lr": "0.1"}
    before = dump(repository)
    again = sync(repository.root)
    assert (again.linked, again.pipeline_changed) == (["first", "second@bert_l3"], False)
    assert dump(repository) == before


def test_a_pipeline_run_has_each_student_s_whole_settings() -> None:
    """Runs are compared by the values that were used, wherever params.yaml sets them."""
    students = {"s": {"training": {"epochs": 2}}, "t": {}}
    content = {"student_defaults": {"seed": 17, "training": {"epochs": 1}}, "students": students}
    check = RunRecord.model_construct(dvc_params={"params.yaml": content})
    old = RunRecord.model_construct(dvc_params={"params.yaml": {"students": {"u": {"seed": 3}}}})
    assert params_of({"check": check, "distill@u": old}) == {
        "students.s.seed": "17",
        "students.s.training.epochs": "2",
        "students.t.seed": "17",
        "students.t.training.epochs": "1",
        "students.u.seed": "3",
    }


@pytest.mark.pipeline
def test_a_bare_clone_with_an_empty_store_shows_every_run_and_pulls_only_records(
    repository: Repository, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.run("dvc", "remote", "add", "-d", "shared", str(tmp_path / "remote"))
    repository.run("dvc", "repro")
    repository.run("dvc", "push")
    repository.commit()
    clone = Repository(tmp_path / "clone")
    repository.run("git", "clone", "-q", str(repository.root), str(clone.root))
    shutil.rmtree(repository.root)
    shutil.copy(template / "mlflow.db", clone.root)
    monkeypatch.chdir(clone.root)
    report = sync(clone.root)
    assert report.replayed == ["first", "second@bert_l3"]
    assert [run.info.status for run in clone.runs()] == ["FINISHED"] * 3
    pulled = [path for path in (clone.root / ".dvc/cache/files").rglob("*") if path.is_file()]
    assert len(pulled) == 2
    before = dump(clone)
    assert sync(clone.root).linked == ["first", "second@bert_l3"]
    assert dump(clone) == before


@pytest.mark.pipeline
def test_a_stage_that_ran_without_a_server_is_uploaded_by_sync(repository: Repository) -> None:
    done = repository.run("dvc", "repro", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.stderr.count("out of reach") == 2
    assert repository.runs() == []
    assert sync(repository.root).replayed == ["first", "second@bert_l3"]
    (repository.root / "reports").mkdir()
    write_json(repository.root / "reports/summary.json", {"stray": 1})
    assert sync(repository.root).pipeline_changed is False


def test_the_pipeline_run_shows_the_table_and_a_second_sync_writes_nothing(repository: Repository) -> None:
    write_outcome(repository.root)
    assert sync(repository.root).pipeline_changed
    (run,) = repository.runs()
    assert run.data.tags["mlflow.note.content"] == "| model | accuracy |\n"
    assert run.data.tags["champion"] == "small/onnx_int8"
    figures = {
        "dev.accuracy": 0.9,
        "test.accuracy": 0.75,
        "size_bytes": 9,
        "p50_ms": 0.5,
        "model_p50_ms": 0.5,
        "speedup_over_teacher_torch": 20,
        "speedup_over_teacher_int8": 2,
    }
    of_student = {f"{figure}/small.onnx_int8": value for figure, value in figures.items()}
    of_champion = {f"champion/{figure}": value for figure, value in figures.items()}
    of_table = of_student | of_champion | {"test.accuracy/teacher.torch": 0.8}
    assert {name: value for name, value in run.data.metrics.items() if not name.startswith("result/")} == of_table
    paths = [artifact.path for artifact in repository.client().list_artifacts(run.info.run_id)]
    assert paths == ["summary.json", "table.md"]
    before = dump(repository)
    assert not sync(repository.root).pipeline_changed
    assert dump(repository) == before


def test_without_a_champion_the_pipeline_run_names_the_nearest_candidate_and_what_it_misses(
    repository: Repository,
) -> None:
    write_outcome(repository.root, refused=("speed-up over the int8 teacher is 1.1, below 1.3",))
    sync(repository.root)
    (run,) = repository.runs()
    assert run.data.tags["champion"] == "none; nearest: small/onnx_int8, misses min_speedup_over_int8_teacher"
    assert not [name for name in run.data.metrics if name.startswith("champion/")]


def test_a_report_that_was_out_of_reach_comes_with_a_later_sync(repository: Repository) -> None:
    write_outcome(repository.root)
    md5 = Lock(repository.root).files(REPORTS)["summary.json"]
    cached = repository.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    content = cached.read_bytes()
    cached.unlink()
    sync(repository.root)
    (run,) = repository.runs()
    assert "champion" not in run.data.tags
    assert run.data.tags["mlflow.note.content"] == "| model | accuracy |\n"
    cached.write_bytes(content)
    assert sync(repository.root).pipeline_changed
    (run,) = repository.runs()
    assert run.data.tags["champion"] == "small/onnx_int8"
    assert run.data.metrics["champion/test.accuracy"] == 0.75


def test_the_same_lock_in_many_commits_names_the_newest_and_stays_idempotent(repository: Repository) -> None:
    write_outcome(repository.root)
    repository.commit()
    sync(repository.root)
    (run,) = repository.runs()
    many = " ".join(f"{number:040x}" for number in range(KEPT_COMMITS))
    repository.client().set_tag(run.info.run_id, "git.commits", many)
    assert sync(repository.root).pipeline_changed
    (run,) = repository.runs()
    commit = repository.run("git", "rev-parse", "HEAD").stdout.strip()
    commits = run.data.tags["git.commits"].split()
    assert (len(commits), commits[0], commits[-1]) == (KEPT_COMMITS, f"{1:040x}", commit)
    assert not sync(repository.root).pipeline_changed


def test_records_that_were_missing_fill_the_pipeline_run_later(repository: Repository, in_stage: Enter) -> None:
    """As after a sync on a machine that could not reach the remote."""
    write_outcome(repository.root)
    sync(repository.root)
    in_stage("prepare")
    with stage_run({}) as run:
        run.log_metrics({"num_rows": 30})
    record = read_record(record_path("prepare"), RunRecord)
    lock, store = Lock(repository.root), open_store(repository.root)
    (parent,) = repository.runs("tags.`dvc.pipeline` != ''")
    assert write_pipeline_run(store, lock, {"prepare": record}, {"prepare": str(record.run_id)})
    filled = store.client.get_run(parent.info.run_id)
    assert filled.data.metrics["wall_time_s"] == record.wall_time_s
    shown = Path(store.client.download_artifacts(parent.info.run_id, "wall_times.csv")).read_text().splitlines()
    assert shown[0] == "stage,started,wall_time_s"
    assert (shown[1].split(",")[0], shown[1].split(",")[2]) == ("prepare", str(record.wall_time_s))
    assert filled.info.end_time == record.end_time_ms
    assert not write_pipeline_run(store, lock, {"prepare": record}, {"prepare": str(record.run_id)})
