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
