"""The traps that only a real `dvc repro` shows."""

from pathlib import Path

import pytest
from repositories import Repository
from ruamel.yaml import YAML

from pipestill.records import read_record
from pipestill.tracking.identity import identity_of
from pipestill.tracking.run_record import RunRecord, record_path

pytestmark = pytest.mark.pipeline


def lock(root: Path) -> dict[str, dict]:  # type: ignore[type-arg]
    return YAML(typ="safe", pure=True).load((root / "dvc.lock").read_text())["stages"]


def test_the_record_s_key_is_the_key_that_dvc_lock_gives(repository: Repository) -> None:
    repository.run("dvc", "repro")
    for stage, entry in lock(repository.root).items():
        record = read_record(record_path(stage), RunRecord)
        assert record.key == identity_of(stage, entry).key
        outs = {out["path"]: out["md5"] for out in entry["outs"] if not out["path"].startswith("runs/")}
        assert record.outs == outs
    assert [run.info.run_name for run in repository.runs()] == ["first", "second@bert_l3"]


def test_a_comment_reruns_exactly_one_stage(repository: Repository) -> None:
    """No run id, date or wall time is in an out that another stage reads."""
    root = repository.root
    (root / "first.py").write_text((root / "stage.py").read_text())
    dvc_yaml = (root / "dvc.yaml").read_text()
    head, _, tail = dvc_yaml.partition("  second:")
    (root / "dvc.yaml").write_text(head.replace("stage.py", "first.py") + "  second:" + tail)
    repository.run("dvc", "repro")
    before = read_record(record_path("first"), RunRecord)
    (root / "first.py").write_text((root / "first.py").read_text() + "# a comment\n")
    again = repository.run("dvc", "repro").stdout
    assert again.count("Running stage") == 1
    after = read_record(record_path("first"), RunRecord)
    assert after.key != before.key
    assert after.outs == before.outs
    assert "Running stage" not in repository.run("dvc", "repro").stdout


def test_an_experiment_in_a_temporary_workspace_lands_in_the_main_store(repository: Repository) -> None:
    repository.run("dvc", "repro")
    repository.commit()
    repository.run("dvc", "exp", "run", "--temp", "-n", "warm", "-S", "second.lr=0.2")
    runs = repository.runs()
    assert [(run.info.run_name, run.data.tags.get("dvc.exp")) for run in runs] == [
        ("first", None),
        ("second@bert_l3", None),
        ("second@bert_l3", "warm"),
    ]
    assert all(run.info.status == "FINISHED" for run in runs)
    assert all(run.data.tags["git.dirty"] == "false" for run in runs[:2])
    assert list((repository.root / ".scratch").glob("*/")) == []
