"""The Python versions that the pipeline and the runner support are the same wherever they are named."""

import re
import tomllib
from pathlib import Path

import pytest

import pipestill
from pipestill.code.closure import closure
from pipestill.errors import PipestillError

ROOT = Path(__file__).parents[2]
NAMES = [f"{major}.{minor}" for major, minor in pipestill.TRAINING_PYTHONS]


def test_make_looks_for_the_pythons_of_the_pipeline() -> None:
    assert f" {' '.join(f'python{name}' for name in NAMES)} python3\n" in (ROOT / "Makefile").read_text()
    script = (ROOT / "tools/find_python.sh").read_text()
    assert (
        f"if not {pipestill.TRAINING_PYTHONS[0]} <= sys.version_info[:2] <= {pipestill.TRAINING_PYTHONS[-1]}:" in script
    )
    assert f"expected: Python {NAMES[0]}, {NAMES[1]} or {NAMES[2]} with" in script
    assert f"You need Python {NAMES[0]}, {NAMES[1]} or {NAMES[2]}, make" in (ROOT / "README.md").read_text()


def test_pyproject_admits_every_python_of_the_runner_and_checks_for_the_oldest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.10"
    assert project["tool"]["mypy"]["python_version"] == NAMES[0]
    assert project["tool"]["ruff"]["target-version"] == "py" + NAMES[0].replace(".", "")
    assert set(project["tool"]["ruff"]["per-file-target-version"].values()) == {"py310"}
    assert "mypy --python-version 3.10 src/pipestill/predict" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_sets_up_a_python_of_the_pipeline(path: Path) -> None:
    versions = re.findall(r'python-version: "(.*)"', path.read_text())
    assert versions != []
    assert set(versions) <= set(NAMES)


@pytest.mark.parametrize("name", ["pipestill.settings", "pipestill.training.params", "pipestill.errors_of_training"])
def test_training_code_is_refused_on_another_python_with_what_was_found_and_what_to_do(name: str) -> None:
    with pytest.raises(PipestillError, match=rf"(?s){name} does not run.*Python 3.*3\.11, 3\.12, 3\.13.*make setup"):
        pipestill.TrainingCodeRefused.find_spec(name)


@pytest.mark.parametrize(
    "name", ["pipestill", "pipestill.errors", "pipestill.predict.rows", "numpy", "pipestill_other"]
)
def test_the_runner_and_other_packages_are_left_to_the_next_finder(name: str) -> None:
    pipestill.TrainingCodeRefused.find_spec(name)


def test_the_runner_is_what_the_program_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rooms = (Path("src/pipestill") / name for name in ("predict", "signing"))
    files = {Path("src/pipestill/command.py"), *(file for room in rooms for file in room.glob("*.py"))}
    imported = {Path(path) for file in files for path in closure(file)}
    names = {path.relative_to("src/pipestill").parts[0].removesuffix(".py") for path in files | imported}
    assert names - {"__init__"} == {*pipestill.RUNNER}
