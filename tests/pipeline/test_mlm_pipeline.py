"""Task-agnostic distillation through a real `dvc repro`: one command runs it and the student that begins with it."""

from typing import Any

import pytest
from ruamel.yaml import YAML
from safetensors.numpy import load_file

from pipeline.tiny_pipeline import TinyPipeline, write_yaml
from pipestill.records import read_json

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]

STUDENT = "bert_pruned_alone"
STAGES = ["mlm_check", "mlm_masks", "mlm_teacher", "mlm_cache", "mlm_distill"]


def scale_down(pipeline: TinyPipeline) -> None:
    """The settings of pipelines/mlm/params.yaml, for few rows and a short vocabulary."""
    path = pipeline.root / "pipelines/mlm/params.yaml"
    params: Any = YAML(typ="safe", pure=True).load(path.read_text())
    params["mlm_masks"] |= {"max_rows": 60, "dev_fraction": 0.2, "max_length": 24}
    params["mlm_cache"] |= {"k": 8, "shard_rows": 20}
    for training in (params["mlm_teacher"]["new_head"], params["mlm_distill"]["training"]):
        training |= {"epochs": 1, "batch_size": 8, "checkpoint_steps": 10}
    params["mlm_teacher"]["adaptation"] = {"kind": "none"}
    write_yaml(path, params)


def test_a_student_that_begins_as_a_task_agnostic_one_brings_its_pipeline_along(changed: TinyPipeline) -> None:
    scale_down(changed)
    changed.change(f"students.{STUDENT}.init", "models/mlm/student")
    changed.change(f"students.{STUDENT}.architecture.layers", [0, 1, 2])
    changed.change(f"students.{STUDENT}.training.epochs", 1)
    ran = [stage.rpartition(":")[2] for stage in changed.repro(f"distill@{STUDENT}")]
    assert sorted(ran) == sorted(["check", *STAGES, f"distill@{STUDENT}"])
    assert ran[-1] == f"distill@{STUDENT}"
    assert [stage for stage in ran if stage in STAGES] == STAGES
    records = {stage: read_json(changed.root / f"runs/{stage}.json") for stage in STAGES}
    assert {record["status"] for record in records.values()} == {"FINISHED"}
    assert "models/mlm/student" in records["mlm_distill"]["outs"]
    assert "adaptation.dev.mlm_nll_nats" not in records["mlm_teacher"]["metrics"]
    assert "new_head.dev.mlm_nll_nats" in records["mlm_teacher"]["metrics"]
    cache = read_json(changed.root / "metrics/mlm/cache.json")
    assert 0 < cache["mass_kept_fraction"] < 1
    begun = load_file(changed.root / "models/mlm/student/model.safetensors")
    ended = load_file(changed.root / f"models/students/{STUDENT}/model.safetensors")
    assert {name for name in begun if name.startswith("bert.")} <= set(ended)
    assert changed.repro(f"distill@{STUDENT}") == []
