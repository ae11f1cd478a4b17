"""The pipeline a second time."""

from pathlib import Path

import pytest

from pipeline.tiny_pipeline import STAGES, STUDENTS, TinyPipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]

TIMED = {"benchmark", "report", "package"}
"""Stages whose outs hold times, or what was made of them."""


def test_every_deterministic_stage_makes_the_same_bytes_again(
    unbuilt: TinyPipeline, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All over again elsewhere, with an empty cache; of the students' last stages those of one are enough."""
    again = unbuilt.copy(tmp_path)
    stages = sorted(STAGES - TIMED - {f"export@{STUDENTS[1]}", f"evaluate@{STUDENTS[1]}"})
    assert sorted(again.repro(*stages)) == stages
    built = request.getfixturevalue("built")  # late: another worker is making it meanwhile
    first, second = built.lock(), again.lock()
    for stage in stages:
        outs = [
            {out["path"]: out["md5"] for out in lock[stage]["outs"] if not out["path"].startswith("runs/")}
            for lock in (first, second)
        ]
        assert outs[0] == outs[1], stage
