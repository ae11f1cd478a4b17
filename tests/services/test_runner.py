"""`pipestill predict` on every Python that may run it: the wheel is installed there without extras, and tested."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill import TRAINING_PYTHONS
from predict.conftest import ARTIFACT
from predict.tiny_artifact import save_artifact

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests/predict"
VERSIONS = ((3, 10), (3, 11), (3, 12), (3, 13), (3, 14))
NEEDED = {"numpy", "onnxruntime", "tokenizers", "pipestill"}
TRAINING = {"torch", "transformers", "datasets", "mlflow", "dvc", "onnx", "pydantic", "scikit-learn"}

pytestmark = pytest.mark.timeout(900)


def find_python(version: tuple[int, int]) -> str:
    """The command of a Python of one version; the test is skipped, by the version's name, where there is none."""
    name = ".".join(map(str, version))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    commands = [f"python{name}", *map(str, sorted(pyenv.glob(f"versions/{name}.*/bin/python")))]
    code = f"import sys, ensurepip; sys.exit(sys.version_info[:2] != {version})"
    for command in filter(shutil.which, commands):
        if subprocess.run([command, "-c", code], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip(f"Python {name} is not on this machine (python{name} on the PATH, or pyenv's)")


def run(*command: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with two texts on standard input, where nothing of this checkout can be imported."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)),
        input="good\nbad\n",
        env=inherited | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*command, "--wheel-dir", folder / "made", folder)
    (made,) = (folder / "made").iterdir()
    return made


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact") / "made"
    save_artifact(folder)
    return folder


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: ".".join(map(str, version)))
def test_the_runner_installs_and_passes_its_tests(
    version: tuple[int, int], wheel: Path, artifact: Path, tmp_path: Path
) -> None:
    found = find_python(version)
    run(found, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", wheel, "pytest", "pandas")  # for the tests
    listed = json.loads(run(python, "-m", "pip", "list", "--format=json").stdout)
    assert {package["name"] for package in listed} >= NEEDED
    assert {package["name"] for package in listed} & TRAINING == set()

    command = tmp_path / "venv/bin/pipestill"
    answers = run(command, "predict", artifact, "--top-k", "1").stdout.splitlines()
    assert [json.loads(answer)["label"] for answer in answers] == ["yes", "no"]
    refused = run(command, "predict", tmp_path / "none", code=1).stderr
    assert refused.startswith(f"error: {tmp_path / 'none'} is not an artifact folder\n  found:    no such folder\n")
    assert "\n  expected: a folder with config.json, tokenizer.json and onnx/" in refused
    assert "\n  next:     run `make repro`" in refused
    if version not in TRAINING_PYTHONS:
        refused = run(python, "-c", "import pipestill.settings", code=1).stderr
        assert "pipestill.settings does not run on this Python" in refused
        assert f"\n  found:    Python {version[0]}.{version[1]}, " in refused

    options = [
        "-c",
        TESTS / "runner.ini",
        "--confcutdir",
        TESTS,
        "-p",
        "no:cacheprovider",
        "--basetemp",
        tmp_path / "t",
    ]
    tests = run(python, "-m", "pytest", *options, TESTS, **{ARTIFACT: str(artifact)})
    assert "passed" in tests.stdout
    assert "skipped" not in tests.stdout
