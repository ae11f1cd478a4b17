"""Time the teacher and every student, in every variant, on real test rows."""

import sys
from pathlib import Path

from pipestill.benchmark.params import BenchmarkParams
from pipestill.benchmark.records import headline
from pipestill.benchmark.rounds import run_benchmark
from pipestill.benchmark.subjects import list_subjects
from pipestill.data.tables import TEST, read_columns
from pipestill.params import load_section, read_params
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run


def main() -> None:
    """Read params, time every subject, write the record."""
    params = load_section("benchmark", BenchmarkParams)
    with stage_run(params) as run:
        subjects = list_subjects(Path("models/teacher"), Path("models/onnx"), list(read_params()["students"]))
        texts = read_columns(TEST).texts
        record = run_benchmark(subjects, texts, params, lambda line: print(line, file=sys.stderr))
        write_json(Path("metrics/benchmark.json"), record)
        run.log_dataset("test", TEST, "timing")
        run.log_metrics(headline(record))


if __name__ == "__main__":
    run_main(main)
