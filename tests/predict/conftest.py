"""The artifact that the runner's tests share; in an environment that has the runner alone, one made elsewhere."""

import os
from pathlib import Path

import pytest

ARTIFACT = "PIPESTILL_TEST_ARTIFACT"
"""Names an artifact made beforehand: making one takes onnx, which running one does not."""


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small artifact, which no test changes."""
    if ARTIFACT in os.environ:
        return Path(os.environ[ARTIFACT])
    from tiny_artifact import save_artifact

    folder = tmp_path_factory.mktemp("artifact") / "made"
    save_artifact(folder)
    return folder
