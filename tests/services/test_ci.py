"""The scripts in ci/, as a CI machine runs them: fresh clones of a bare git repository, the files on S3."""

import sqlite3
from pathlib import Path

import pytest

from pipeline.tiny_pipeline import STAGES, files_in
from services.team import BRANCH, Clone, Team, key_of

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]


def dump(store: Path) -> list[str]:
    """Everything in an MLflow store."""
    connection = sqlite3.connect(store)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def add_comment(clone: Clone, path: str) -> None:
    with (clone.root / path).open("a") as file:
        file.write("# a comment\n")


def edit_code(clone: Clone, path: str) -> None:
    with (clone.root / path).open("a") as file:
        file.write("MORE = 1\n")


def assert_same_bytes(made: Clone, fresh: Clone) -> None:
    """Every out of `made` that dvc.lock of `fresh` also names is there in the same bytes."""
    lock, files = fresh.lock(), []
    for stage, entry in made.lock().items():
        outs = [made.root / out["path"] for out in entry["outs"] if out in lock[stage]["outs"]]
        files += [path for out in outs if out.exists() for path in files_in(out)]
    assert files != []
    for path in files:
        assert (fresh.root / path.relative_to(made.root)).read_bytes() == path.read_bytes(), path


def test_a_bare_clone_runs_nothing_and_shows_every_run_without_a_byte_of_a_model(team: Team, tmp_path: Path) -> None:
    clone, since = team.clone(tmp_path), len(team.s3.log.read_text())
    assert clone.repro("--pull", "--allow-missing") == []
    clone.run("python", "-m", "pipestill.tracking", "sync")
    downloaded, sizes = team.downloads(since), team.s3.sizes(team.bucket)
    assert sum(sizes[key] for key in downloaded if key in team.model_keys()) == 0
    assert set(downloaded) >= {key_of(md5) for md5 in clone.md5s("runs/")}  # the log does see downloads
    assert clone.cached() == clone.md5s("runs/") | clone.md5s("reports/")
    (whole,) = [run for run in clone.runs() if "dvc.pipeline" in run.data.tags]
    assert "\n| model |" in f"\n{whole.data.tags['mlflow.note.content']}"
    assert whole.data.metrics["test.accuracy/teacher.torch"] > 0
    assert whole.data.metrics["p50_ms/bert_pruned.onnx_int8"] > 0
    shown = {item.path for item in clone.client().list_artifacts(whole.info.run_id)}
    assert {"summary.json", "tradeoff.png", "confusion.png", "reliability.png", "curves.png"} <= shown
    runs = [run for run in clone.runs() if "dvc.stage" in run.data.tags]
    assert {run.data.tags["dvc.stage"] for run in runs} == STAGES
    assert {run.info.status for run in runs} == {"FINISHED"}
    before = dump(clone.root / "mlflow.db")
    clone.run("python", "-m", "pipestill.tracking", "sync")
    assert dump(clone.root / "mlflow.db") == before


def test_a_pull_request_that_changes_the_benchmark_alone_trains_nothing_and_its_report_says_so(
    team: Team, tmp_path: Path
) -> None:
    clone = team.branch(tmp_path)
    clone.change("benchmark.rounds", 3)
    clone.commit("more rounds")
    clone.run("ci/pull_request", f"origin/{BRANCH}")
    assert sorted(clone.ran()) == ["benchmark", "check", "package", "report"]
    report = (clone.root / "ci-out/report.md").read_text()
    assert f"4 of {len(STAGES)} stages ran here" in report
    assert "No model was trained or exported: teacher, students and ONNX files are the base's" in report
    assert "| `benchmark.rounds` | 2 | 3 |" in report
    assert "| `benchmark` | ran | param `benchmark.rounds`: 2 → 3 |" in report
    assert "benchmark: params.yaml benchmark.rounds: 2 in dvc.lock, now 3" in report
    assert "p50_ms" in report
    assert "accuracy" not in report  # no quality moved
    for name in ("tradeoff.png", "curves.png"):
        assert (clone.root / "ci-out/figures" / name).stat().st_size > 0
        assert f"figures/{name}" in report
    store = "\n".join(dump(clone.root / "ci-out/tracking/mlflow.db"))
    assert all(f"'{stage}'" in store for stage in STAGES)


def test_a_pull_request_with_edited_code_reruns_its_stage_alone_and_its_lock_passes_the_gate(
    team: Team, tmp_path: Path
) -> None:
    clone = team.branch(tmp_path)
    edit_code(clone, "stages/prepare.py")
    add_comment(clone, "src/pipestill/training/trainer.py")
    clone.commit("code, and a comment")
    before = clone.lock()
    clone.run("ci/pull_request", f"origin/{BRANCH}")
    assert clone.ran() == ["check", "prepare"]
    after = clone.lock()
    assert {stage for stage, entry in after.items() if entry != before[stage]} == {"check", "prepare"}
    outs = [{out["path"]: out["md5"] for out in lock["prepare"]["outs"]} for lock in (before, after)]
    assert {path for path, md5 in outs[1].items() if outs[0][path] != md5} == {"runs/prepare.json"}
    report = (clone.root / "ci-out/report.md").read_text()
    assert "| `prepare` | ran, the same files came out | code: `stages/prepare.py` |" in report
    assert "  prepare: code: stages/prepare.py\n" in report  # of the gate, before the run
    assert "No number moved." in report
    clone.run("dvc", "push")
    assert "and the remote holds all it names" in clone.run("python", "ci/gate.py").stdout


def test_the_gate_refuses_a_stale_lock_and_names_what_changed(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path)
    assert f"dvc.lock is up to date in {len(STAGES)} stages" in clone.run("python", "ci/gate.py").stdout
    edit_code(clone, "src/pipestill/transfer/mask_words.py")
    add_comment(clone, "src/pipestill/training/trainer.py")
    clone.change("evaluate.num_ece_bins", 7)
    done = clone.run("python", "ci/gate.py", check=False)
    assert done.returncode == 1
    assert "gate: dvc.lock is stale in " in done.stdout
    assert "  check: src/pipestill modified\n" in done.stdout
    assert "  transfer: code: transfer/mask_words.py\n" in done.stdout
    assert "  evaluate@bert_pruned: params.yaml evaluate.num_ece_bins: 15 in dvc.lock, now 7\n" in done.stdout
    assert "  next: run `dvc repro` and `dvc push`, then commit dvc.lock" in done.stdout
    assert "distill" not in done.stdout  # whether a student follows shows when the transfer set is made
    assert clone.run("python", "ci/gate.py", "--allow-stale").stdout == done.stdout
    assert set() < clone.cached() <= clone.md5s("data/code/"), "of all files only code lists were fetched"


def test_the_gate_names_the_object_that_the_remote_lacks(team: Team, tmp_path: Path) -> None:
    clone = team.branch(tmp_path)
    weights = team.author.root / "models/students/bert_pruned/model.safetensors"
    md5 = team.author.run("md5sum", str(weights)).stdout.split()[0]
    team.s3.client().delete_object(Bucket=team.bucket, Key=key_of(md5))
    try:
        done = clone.run("python", "ci/gate.py", check=False)
        stopped = clone.run("ci/pull_request", f"origin/{BRANCH}", check=False)
    finally:
        team.s3.client().put_object(Bucket=team.bucket, Key=key_of(md5), Body=weights.read_bytes())
    assert done.returncode == 1
    assert "gate: 1 object(s) that dvc.lock names are missing in the remote\n" in done.stdout
    assert f"  distill@bert_pruned: models/students/bert_pruned/model.safetensors (md5 {md5})\n" in done.stdout
    assert stopped.returncode == 1
    assert not (clone.root / "ci-out/repro.txt").exists()


def test_main_commits_the_lock_and_a_fresh_clone_has_everything(team: Team, tmp_path: Path) -> None:
    worker = team.clone(tmp_path, "worker")
    worker.change("benchmark.rounds", 4)
    worker.commit("four rounds")
    worker.run("git", "push", "-q", "origin", f"HEAD:{BRANCH}")
    server = tmp_path / "server.db"
    try:
        worker.run("ci/main", "origin", BRANCH, MLFLOW_TRACKING_URI=f"sqlite:///{server}")
        fresh = team.clone(tmp_path, "fresh")
    finally:
        team.author.run("git", "push", "-q", "--force", str(team.origin), f"HEAD:{BRANCH}")
    last = fresh.run("git", "log", "-1", "--format=%s", "--name-only").stdout
    assert "[skip ci]" in last
    assert sorted(last.split("\n\n")[1].split()) == ["README.md", "docs/results.md", "dvc.lock"]
    assert fresh.lock() == worker.lock()
    fresh.run("python", "-m", "pipestill.reporting", "readme", "--check")
    fresh.run("python", "ci/gate.py")
    assert fresh.repro("--pull", "--allow-missing") == []
    fresh.run("dvc", "pull", "dvc.yaml")
    for made in (team.author, worker):
        assert_same_bytes(made, fresh)
    store = "\n".join(dump(server))
    commit = fresh.run("git", "rev-parse", "HEAD").stdout.strip()
    assert commit in store  # the pipeline run names the commit that holds the lock
    assert all(f"'{stage}'" in store for stage in STAGES)
