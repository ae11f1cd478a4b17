"""Time the int8 file of every student of the ablation and two of the teacher's variants, in turns in one run."""

import sys
from pathlib import Path

from pipestill.ablation.grid import timed_cells
from pipestill.ablation.params import Cell
from pipestill.benchmark.params import BenchmarkParams
from pipestill.benchmark.records import headline
from pipestill.benchmark.rounds import run_benchmark
from pipestill.benchmark.subjects import TEACHER, subject_of
from pipestill.data.tables import TEST, read_columns
from pipestill.params import load_section, parse_section, read_params
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run
from pipestill.variants import INT8, TORCH

PARAMS = Path("pipelines/ablation/params.yaml")
MODELS = Path("models/ablation")
OUT = Path("metrics/ablation/latency.json")


def main() -> None:
    """Read params, time, write the record."""
    params = load_section("benchmark", BenchmarkParams, PARAMS)
    content = read_params(PARAMS)
    cells = {name: parse_section(content, f"cells.{name}", Cell) for name in content["cells"]}
    timed = timed_cells(cells, list(content["students"]), list(content["recipes"]))
    with stage_run(params) as run:
        subjects = [
            subject_of(TEACHER, TORCH, Path("models/teacher")),
            subject_of(TEACHER, INT8, Path("models/onnx/teacher")),
            *(subject_of(name, INT8, MODELS / name) for name in timed.values()),
        ]
        record = run_benchmark(subjects, read_columns(TEST).texts, params, lambda line: print(line, file=sys.stderr))
        write_json(OUT, record)
        run.log_dataset("test", TEST, "timing")
        run.log_metrics(headline(record))


if __name__ == "__main__":
    run_main(main)
