"""Experiments through a real `dvc exp run`: where their runs go, and how the best one is found and applied."""

import json
import shutil
import time
from pathlib import Path

import pytest
from repositories import Repository
from ruamel.yaml import YAML
from trainings import write_training

import sweep

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]


def wait_for_queue(repository: Repository, tasks: int, seconds: float = 600) -> str:
    """Wait until so many tasks have ended; returns the queue's last word.

    Between two tasks none is called queued or running, so that those words say nothing about the end.
    """
    end = time.monotonic() + seconds
    while True:
        said = repository.run("dvc", "queue", "status").stdout
        if said.count("Success") + said.count("Failed") == tasks:
            return said
        assert time.monotonic() < end, said
        time.sleep(1)


@pytest.mark.slow
def test_a_queued_grid_with_two_workers_lands_in_the_main_store_under_the_experiments_names(
    repository: Repository,
) -> None:
    repository.run("dvc", "repro")
    repository.commit()
    repository.run("dvc", "exp", "run", "--queue", "-S", "second.lr=0.2,0.3")
    repository.run("dvc", "queue", "start", "--jobs", "2")
    said = wait_for_queue(repository, 2)
    assert said.count("Success") == 2, said
    names = set(repository.run("dvc", "exp", "list", "--name-only").stdout.split())
    runs = [run for run in repository.runs() if "dvc.exp" in run.data.tags]
    assert {run.data.tags["dvc.exp"] for run in runs} == names
    assert (
        sorted((run.info.run_name, run.data.params["lr"], run.info.status) for run in runs)
        == [("second@bert_l3", "5e-05", "FINISHED")] * 2
    )
    assert len({run.data.tags["dvc.key"] for run in runs}) == 2
    assert [*repository.root.rglob("mlflow.db")] == [repository.root / "mlflow.db"]
    assert [*(repository.root / ".scratch").glob("*/")] == []
    shown = repository.run("dvc", "exp", "show", "--csv", "--only-changed").stdout
    assert "second.lr" in shown.splitlines()[0]
    assert all(name in shown for name in names)


@pytest.fixture
def trials(repository: Repository) -> Repository:
    """A repository with a training, two experiments with it, and another pipeline, which never ran."""
    other = repository.root / "pipelines/other/dvc.yaml"
    other.parent.mkdir(parents=True)
    other.write_text("stages: {never: {cmd: touch never.txt, outs: [never.txt]}}")
    write_training(repository)
    for name, rate in (("near", 0.25), ("far", 0.9)):
        repository.run("dvc", "exp", "run", "--temp", "-q", "-n", name, "-S", f"second.lr={rate}")
    return repository


def test_the_best_experiment_on_dev_is_listed_first_and_applied(
    trials: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(["small", "--apply"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[1:4]] == ["near", "HEAD", "far"]
    assert said[1].split()[1:] == ["0.9500", "0.5000", "second.lr=0.25"]
    assert said[4].startswith("near is applied")
    assert YAML(typ="safe").load(Path("params.yaml"))["second"]["lr"] == 0.25
    assert json.loads(Path("metrics/training/small.json").read_text())["epochs"][0]["dev"]["macro_f1"] == 0.25


def test_an_experiment_whose_outs_are_gone_is_not_said_to_be_applied(trials: Repository) -> None:
    ranked = sweep.ranked("small", "accuracy")
    assert ranked[0].name == "near"
    shutil.rmtree(trials.root / ".dvc/cache")
    with pytest.raises(sweep.SweepError, match="near cannot be applied whole") as raised:
        sweep.apply(ranked)
    assert "metrics/training/small.json" in str(raised.value)


def test_an_experiment_as_good_as_head_is_not_applied_and_without_head_none_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    head, near = (sweep.Trial(name, 0.8, nll, {}) for name, nll in ((sweep.HEAD, 0.5), ("near", 0.4)))
    sweep.apply([near, head])
    assert "no experiment beats HEAD" in capsys.readouterr().out
    with pytest.raises(sweep.SweepError, match="HEAD has no training record"):
        sweep.apply([near])


def test_head_is_kept_where_no_experiment_beats_it_and_a_missing_record_is_said(
    trials: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    trials.run("dvc", "exp", "remove", "-q", "near")
    assert sweep.main(["small", "--apply"]) == 0
    assert "no experiment beats HEAD on dev" in capsys.readouterr().out
    assert YAML(typ="safe").load(Path("params.yaml"))["second"]["lr"] == 0.1
    assert sweep.main(["large"]) == 1
    said = capsys.readouterr().err
    assert "far is left out" in said
    assert "dvc repro distill@large" in said


def test_applied_by_hand_an_experiment_is_there_though_dvc_ends_with_an_error_over_the_other_pipeline(
    trials: Repository,
) -> None:
    """As docs/operations.md says; should DVC change its mind, `sweep.apply` can be that command again."""
    done = trials.run("dvc", "exp", "apply", "near", check=False)
    assert done.returncode != 0
    assert "never.txt" in done.stderr
    assert YAML(typ="safe").load(Path("params.yaml"))["second"]["lr"] == 0.25
    assert json.loads(Path("metrics/training/small.json").read_text())["epochs"][0]["dev"]["macro_f1"] == 0.25
