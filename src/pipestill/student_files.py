"""The files with each student's settings, which the first stage of a pipeline writes (docs/decisions/0018)."""

from pathlib import Path

SETTINGS = Path("data/students")
"""Of the main pipeline."""


def is_settings_file(path: str) -> bool:
    """Return whether a path of dvc.yaml or dvc.lock is that of a student's settings."""
    return path.startswith("data/") and Path(path).parent.name == SETTINGS.name


def settings_file(name: str, folder: Path = SETTINGS) -> Path:
    """Return the path of a student's settings, relative to the repository root."""
    return folder / f"{name}.json"
