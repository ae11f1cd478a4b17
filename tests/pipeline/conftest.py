"""The pipeline, run once for all tests, in whatever worker and whatever session they run."""

import os
import shutil
import time
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.tiny_pipeline import ROOT, TinyPipeline, new_pipeline, stages_in

OUTPUT = "output.txt"
KEPT = ROOT / ".scratch/tiny-pipelines"
KEPT_S = 24 * 3600.0


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session see."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pipeline"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def unbuilt(shared: Path) -> TinyPipeline:
    """The pipeline before its first run. Tests must not change it: see TinyPipeline.copy."""
    folder = shared / "unbuilt"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            new_pipeline(folder)
    return TinyPipeline(folder / "repository")


@pytest.fixture(scope="session")
def built(unbuilt: TinyPipeline) -> TinyPipeline:
    """The pipeline after its first run, committed. Tests must not change it: see TinyPipeline.copy.

    It is kept for the sessions that follow on the very same files: `make test`, `make test-slow` and
    `make test-services` run it once between them.
    """
    folder = KEPT / unbuilt.content()
    KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / OUTPUT).exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a failed run left
            pipeline = unbuilt.copy(folder)
            pipeline.tracking = "live"
            output = pipeline.run("dvc", "repro").stdout
            pipeline.commit("after the first run")
            (folder / OUTPUT).write_text(output)
            forget_old_ones()
    return TinyPipeline(folder / "repository")


def forget_old_ones() -> None:
    """Delete pipelines of other files, once no session can still be at work on them."""
    for output in KEPT.glob(f"*/{OUTPUT}"):
        if time.time() - output.stat().st_mtime > KEPT_S:
            shutil.rmtree(output.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def first_stages(built: TinyPipeline) -> list[str]:
    """The stages of the first run, in order."""
    return stages_in((built.root.parent / OUTPUT).read_text())


@pytest.fixture
def changed(built: TinyPipeline, tmp_path: Path) -> TinyPipeline:
    """A copy of the built pipeline for one test to change."""
    return built.copy(tmp_path)
