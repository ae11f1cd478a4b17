"""docs/operations.md: its commands are run as they stand."""

import re

import pytest

from pipeline.tiny_pipeline import ROOT
from services.team import Clone, Team

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]


def commands() -> list[str]:
    """The lines of the document that a reader is to type, in order."""
    text = (ROOT / "docs/operations.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def tried(team: Team, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, dict[str, str]]:
    """A fresh clone after all commands of the document, and what each printed."""
    folder = tmp_path_factory.mktemp("operations")
    clone = team.clone(folder)
    clone.tracking = "live"
    place = {
        "REMOTE_URL": f"s3://{team.bucket}/pipestill",
        "TRACKING_URI": f"sqlite:///{folder / 'server.db'}",
    }
    outputs = {}
    for command in commands():
        done = clone.run("bash", "-e", "-o", "pipefail", "-c", command, check=False, **place)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        outputs[command] = done.stdout
    return clone, outputs


def test_the_gate_and_the_pull_request_script_find_nothing_to_do(tried: tuple[Clone, dict[str, str]]) -> None:
    _, outputs = tried
    assert "the remote holds all it names" in outputs["python ci/gate.py"]
    assert "Running stage" not in outputs["dvc repro --pull --allow-missing"]
    report = outputs["cat ci-out/report.md"]
    assert "No model was trained or exported" in report
    assert "Every stage is the base's." in report


def test_experiments_land_in_the_one_store_and_the_sweep_ranks_them_on_dev(
    tried: tuple[Clone, dict[str, str]],
) -> None:
    clone, outputs = tried
    names = set(clone.run("dvc", "exp", "list", "--name-only").stdout.split())
    assert {"warm", "slow"} < names
    assert len(names) == 5
    runs = [run for run in clone.runs() if "dvc.exp" in run.data.tags]
    trained = [run for run in runs if run.data.tags["dvc.stage"].startswith("distill@")]
    assert {run.data.tags["dvc.exp"] for run in trained} == names
    assert {run.info.status for run in runs} == {"FINISHED"}
    (warm,) = [run for run in trained if run.data.tags["dvc.exp"] == "warm"]
    assert warm.data.params["objective.0.loss.temperature"] == "4.0"
    assert [path.parent for path in clone.root.rglob("mlflow.db") if "ci-out" not in path.parts] == [clone.root]
    assert outputs["dvc queue status"].count("Success") == 3
    shown = outputs["dvc exp show --md --only-changed"]
    assert all(word in shown for word in ("warm", "slow", "students.bert_pruned.training.learning_rate"))
    ranked = [line.split() for line in outputs["python tools/sweep.py bert_pruned"].splitlines()[1:]]
    assert {words[0] for words in ranked} == names | {"HEAD"}
    changes = {words[0]: words[3:] for words in ranked}
    assert changes["HEAD"] == []
    assert changes["slow"] == ["students.bert_pruned.training.learning_rate=5e-05"]
    qualities = [float(words[1]) for words in ranked]
    assert qualities == sorted(qualities, reverse=True)
    of_head = next(float(words[1]) for words in ranked if words[0] == "HEAD")
    said = f"{ranked[0][0]} is applied" if qualities[0] > of_head else "no experiment beats HEAD"
    assert outputs["python tools/sweep.py bert_pruned --apply"].splitlines()[-1].startswith(said)


def test_clean_up_takes_nothing_that_a_commit_or_an_experiment_names(tried: tuple[Clone, dict[str, str]]) -> None:
    clone, outputs = tried
    tried_first = outputs["dvc gc --workspace --all-commits --all-experiments --cloud --dry --force"]
    assert "No unused 'repo' cache to remove." in tried_first  # the command before it took all there was
    assert clone.run("dvc", "status").returncode == 0
    assert not (clone.root / ".scratch").exists()
    clone.run("dvc", "exp", "apply", "slow", check=False)  # brings its lock, and trips over pipelines that never ran
    clone.run("dvc", "checkout", "--force", "dvc.yaml")  # trips over any out of the experiment that is gone
    assert "5e-05" in clone.run("dvc", "params", "diff", "HEAD").stdout
    assert (clone.root / "models/students/bert_pruned/model.safetensors").is_file()
