"""docs/predict.md: its commands and blocks of Python are run as they stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill.predict import Classifier

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/predict.md").read_text()
COMMANDS = [
    command
    for block in re.findall(r"```console\n(.*?)```", DOCUMENT, re.DOTALL)
    for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    if not command.startswith("pip ")  # tests/services/test_real_champion.py runs it
]
SNIPPETS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
"""The class, ten lines of onnxruntime, and optimum, which tests/services runs in an environment of its own."""
PLAIN = SNIPPETS[1]
REVIEWS = ("good", "bad good good")


@pytest.fixture(scope="module")
def folder(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader of the page stands: an artifact, some inputs, and `pipestill` on the path."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(artifact, folder / "models/champion")
    shutil.copy(folder / "models/champion/onnx/model_quantized.onnx", folder / "models/champion/onnx/model.onnx")
    (folder / "texts.txt").write_text("\n".join(REVIEWS))
    (folder / "reviews.jsonl").write_text("".join(f"{json.dumps({'review': text})}\n" for text in REVIEWS))
    for name in ("monday.csv", "tuesday.csv"):
        (folder / name).write_text("\n".join(["review", *REVIEWS]))
    command = folder / "bin/pipestill"
    command.parent.mkdir()
    command.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pipestill.predict.command import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    command.chmod(0o755)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_does_what_the_page_says(folder: Path, command: str) -> None:
    done = run(folder, "bash", "-c", f"set -o pipefail; {command}")
    assert done.returncode == 0, done.stderr
    if "exit code" in command:
        assert done.stdout.splitlines()[-1] == "exit code 3"
        assert done.stderr.splitlines() == ["-, line 2: the text is blank", "1 row could not be classified"]
    else:
        assert done.stderr == ""


def test_the_page_s_python_runs(folder: Path) -> None:
    assert len(SNIPPETS) == 3
    done = run(folder, sys.executable, "-W", "error", "-c", SNIPPETS[0])
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["yes", "yes", "yes", "yes"]


def test_ten_lines_of_onnxruntime_give_what_pipestill_gives(folder: Path) -> None:
    """Not one line of them imports pipestill."""
    done = run(folder, sys.executable, "-c", PLAIN, "models/champion", *REVIEWS)
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    for (label, score), expected in zip(found, Classifier(folder / "models/champion").predict(REVIEWS), strict=True):
        assert label == expected.label
        assert float(score) == pytest.approx(expected.score, abs=1e-6)
