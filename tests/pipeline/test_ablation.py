"""The ablation on tiny data, after the main pipeline and through dvc."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import sync_deps
from pipeline.tiny_pipeline import STUDENTS, TinyPipeline, measure_little, stages_in, write_yaml
from pipestill.ablation.records import AblationRecord, CellRecord
from pipestill.evaluation.predictions import read_predictions
from pipestill.records import read_record

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]
FOLDER = "pipelines/ablation"
CELLS = ("bert_l3-features", "static-alone", "static-soft")


def scaled_down(grid: Any) -> Any:
    grid["repeats"]["seeds"] = [1, 2]
    grid["transfer"]["augmentations"] = grid["transfer"]["augmentations"][:1]
    grid["students"] = {name: grid["students"][name] for name in ("bert_l3", "static")}
    grid["student_defaults"]["max_length"] = 24
    grid["student_defaults"]["training"] |= {"batch_size": 16, "checkpoint_steps": 10}
    grid["students"]["static"]["training"]["epochs"] = 2
    grid["students"]["static"]["architecture"]["embedding_size"] = 48  # the tiny base is 64 wide
    grid["recipes"]["features"]["objective"][1]["loss"]["relation_heads"] = 2
    grid["cells"] = {name: dict(zip(("student", "recipe"), name.split("-"), strict=True)) for name in CELLS}
    measure_little(grid)
    return grid


def ablation(pipeline: TinyPipeline) -> list[str]:
    """Run it; the names of the stages that ran."""
    done = pipeline.run("dvc", "repro", f"{FOLDER}/dvc.yaml")
    return [name.rpartition(":")[2] for name in stages_in(done.stdout)]


def test_the_ablation_runs_on_what_the_main_pipeline_made_and_an_edited_loss_reruns_its_cells(
    built: TinyPipeline, tmp_path: Path
) -> None:
    pipeline = built.copy(tmp_path)
    params, definition = pipeline.root / FOLDER / "params.yaml", pipeline.root / FOLDER / "dvc.yaml"
    grid = scaled_down(YAML(typ="safe").load(params.read_text()))
    write_yaml(params, grid)
    definition.write_text(sync_deps.synced(definition.read_text(), list(STUDENTS), [], grid))
    cells = [f"ablation_cell@{name}" for name in CELLS]
    others = ["ablation_check", "ablation_transfer", "ablation_cache", "ablation_latency", "ablation_table"]
    assert sorted(ablation(pipeline)) == sorted([*cells, *others])
    assert pipeline.repro() == []

    table = read_record(pipeline.root / "reports/ablation/ablation.json", AblationRecord)
    assert [f"{row.student}-{row.recipe}" for row in table.rows] == list(CELLS)
    assert all(row.model_p50_ms > 0 and row.train_wall_time_s.mean > 0 for row in table.rows)
    for name in CELLS:
        record = read_record(pipeline.root / f"metrics/ablation/cells/{name}.json", CellRecord)
        assert [seed.seed for seed in record.seeds] == [1, 2]
        held = read_predictions(pipeline.root / f"metrics/ablation/logits/{name}.parquet", "test")
        assert {*held.logits} == {"seed_1", "seed_2"}
        kept = {path.name for path in (pipeline.root / "models/ablation" / name / "onnx").iterdir()}
        assert kept == {"model_quantized.onnx"}

    with (pipeline.root / "src/pipestill/losses/minilm_relations.py").open("a") as file:
        file.write("# a comment\n")
    assert set(ablation(pipeline)) == {"check", "ablation_check"}
    with (pipeline.root / "src/pipestill/losses/minilm_relations.py").open("a") as file:
        file.write("MORE = 1\n")
    # The same model came out of it, at other times.
    assert set(ablation(pipeline)) == {"check", "ablation_check", "ablation_cell@bert_l3-features", "ablation_table"}
