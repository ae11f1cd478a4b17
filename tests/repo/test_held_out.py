"""Which stages read the test rows: those that report on them, and those that keep their texts out."""

from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TEST = "data/prepared/test.parquet"
REPORT_ON_IT = {"baseline", "evaluate_teacher", "evaluate", "benchmark", "ablation_cell", "ablation_latency"}
REPORT_ON_IT |= {"ablation_table"}
KEEP_IT_OUT = {"transfer", "ablation_transfer", "mlm_masks"}


def test_no_stage_that_trains_or_chooses_reads_the_test_rows() -> None:
    readers = set()
    for path in (ROOT / "dvc.yaml", *(ROOT / "pipelines").glob("*/dvc.yaml")):
        for name, stage in YAML(typ="safe", pure=True).load(path)["stages"].items():
            deps = stage.get("do", stage).get("deps", [])
            if any(TEST.startswith(dep) for dep in deps):
                readers.add(name)
    assert readers == REPORT_ON_IT | KEEP_IT_OUT
