"""The pipeline, run once for all tests."""

from pathlib import Path

import pytest
from tiny_pipeline import TinyPipeline, new_pipeline, stages_in


@pytest.fixture(scope="session")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> TinyPipeline:
    """The pipeline before its first run. Tests must not change it: see TinyPipeline.copy."""
    return new_pipeline(tmp_path_factory.mktemp("unbuilt"))


@pytest.fixture(scope="session")
def first_output(unbuilt: TinyPipeline, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyPipeline, str]:
    pipeline = unbuilt.copy(tmp_path_factory.mktemp("built"))
    done = pipeline.run("dvc", "repro")
    pipeline.commit("after the first run")
    return pipeline, done.stdout


@pytest.fixture(scope="session")
def built(first_output: tuple[TinyPipeline, str]) -> TinyPipeline:
    """The pipeline after its first run, committed. Tests must not change it: see TinyPipeline.copy."""
    return first_output[0]


@pytest.fixture(scope="session")
def first_stages(first_output: tuple[TinyPipeline, str]) -> list[str]:
    """The stages of the first run, in order."""
    return stages_in(first_output[1])


@pytest.fixture
def changed(built: TinyPipeline, tmp_path: Path) -> TinyPipeline:
    """A copy of the built pipeline for one test to change."""
    return built.copy(tmp_path)
