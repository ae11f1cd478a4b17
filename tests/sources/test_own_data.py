"""Data of one's own that DVC tracks, as data/local/README.md says: a clone, a temporary experiment and the queue have it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from transformers import BertConfig, BertModel

from tracking.repositories import Repository

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).parents[2]
DVC_YAML = """
stages:
  fetch:
    cmd: python stages/fetch.py
    deps: [data/local]
    params: [fetch]
    outs: [data/raw, models/base, runs/fetch.json]
  prepare:
    cmd: python stages/prepare.py
    deps: [data/raw]
    params: [prepare]
    outs: [data/prepared, runs/prepare.json]
"""
OWN = "data/local/rows.csv"


class OwnData(Repository):
    def environment(self, **extra: str) -> dict[str, str]:
        return super().environment(PYTHONPATH=str(ROOT / "src"), **extra)

    def clone(self, folder: Path) -> "OwnData":
        self.run("git", "clone", "-q", str(self.root), str(folder))
        return OwnData(folder)


@pytest.fixture
def project(tmp_path: Path) -> OwnData:
    """Fetch and prepare, with a csv that `dvc add` tracks and a remote that has it; nothing has run."""
    project = OwnData(tmp_path / "project")
    for name in (".dvcignore", "stages/fetch.py", "stages/prepare.py", "ci/pull_request"):
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project.root / name)
    (project.root / "dvc.yaml").write_text(DVC_YAML)
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    dataset = {"kind": "local", "name": "own", "licence": "internal", "format": "csv", "files": {"all": [OWN]}}
    params["fetch"] = {
        "dataset": dataset | {"text_column": "text", "label_column": "label"},
        "base": {"kind": "local", "path": "data/local/base", "licence": "MIT"},
    }
    with (project.root / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump({name: params[name] for name in ("fetch", "prepare")}, file)
    (project.root / "data/local").mkdir(parents=True)
    rows = [f"text number {index},{('a', 'b')[index % 2]}" for index in range(80)]
    (project.root / OWN).write_text("\n".join(["text,label", *rows, ""]))
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    BertModel(config).save_pretrained(project.root / "data/local/base")
    (project.root / "data/local/base/tokenizer.json").write_text("{}")
    (project.root / ".gitignore").write_text(".scratch/\nmlflow.db*\n")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "add", "-q", OWN]):
        project.run(*command)
    project.run("dvc", "remote", "add", "-q", "-d", "shared", str(tmp_path / "remote"))
    project.run("dvc", "push", "-q")
    project.commit()
    return project


def prepared(root: Path) -> bytes:
    return (root / "data/prepared/train.parquet").read_bytes()


def test_a_clone_is_told_what_to_pull_and_then_runs(project: OwnData, tmp_path: Path) -> None:
    clone = project.clone(tmp_path / "clone")
    for _ in range(2):  # the second run must not take what the first one left for a fetched set
        done = clone.run("dvc", "repro", "--pull", "--allow-missing", check=False)
        assert done.returncode != 0
        assert f"run `dvc pull {OWN}.dvc`" in done.stderr + done.stdout
        assert not (clone.root / "data/raw").exists()
    clone.run("dvc", "pull", "-q", f"{OWN}.dvc")
    clone.run("dvc", "repro", "-q")
    assert prepared(clone.root)


def test_ci_pulls_what_dvc_tracks_in_the_folder_of_own_data(project: OwnData, tmp_path: Path) -> None:
    clone = project.clone(tmp_path / "clone")
    lines = (ROOT / "ci/pull_request").read_text().splitlines()
    (pull,) = (line for line in lines if line.startswith("find data/local"))
    assert pull in (ROOT / "ci/main").read_text()
    clone.run("bash", "-euc", pull)
    assert (clone.root / OWN).read_bytes() == (project.root / OWN).read_bytes()


def test_a_temporary_experiment_and_the_queue_have_it(project: OwnData) -> None:
    project.run("dvc", "exp", "run", "--temp", "-q", "--name", "temporary", "-S", "prepare.split.seed=1")
    project.run("dvc", "exp", "run", "--queue", "-q", "--name", "queued", "-S", "prepare.split.seed=2")
    project.run("dvc", "queue", "start")
    while "Running" in (listed := project.run("dvc", "queue", "status").stdout) or "Queued" in listed:
        subprocess.run(["sleep", "1"], check=True)
    names = project.run("dvc", "exp", "list", "--name-only").stdout.split()
    assert sorted(names) == ["queued", "temporary"], listed


def test_what_a_desktop_leaves_behind_makes_fetch_not_stale(project: OwnData) -> None:
    project.run("dvc", "repro", "-q", "fetch")
    for name in (".DS_Store", ".~lock.rows.csv#", "~$rows.xlsx", "Thumbs.db"):
        (project.root / "data/local" / name).write_bytes(b"x")
    assert "Running" not in project.run("dvc", "repro", "fetch").stdout
    (project.root / OWN).write_text("text,label\na,b\n")
    assert "data/local" in project.run("dvc", "status", "fetch").stdout


def test_a_file_that_no_clone_would_have_is_named(project: OwnData) -> None:
    assert "tracked by neither" not in project.run("dvc", "repro", "fetch").stdout
    project.run("git", "rm", "-q", "--cached", f"{OWN}.dvc")
    (project.root / f"{OWN}.dvc").unlink()
    done = project.run("python", "stages/fetch.py")
    assert f"fetch: {OWN} is tracked by neither DVC nor git" in done.stdout
    assert "data/local/base is tracked" not in done.stdout
