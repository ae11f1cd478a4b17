"""Export one model (teacher or a student) to a folder that runs with onnxruntime and tokenizers only."""

import argparse
from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.card import DataCard
from pipestill.data.tables import CARD, DEV, TRAIN, open_table, read_columns
from pipestill.exporters.artifact import DevRows, describe_model, export_folder
from pipestill.exporters.params import ExportParams
from pipestill.exporters.records import CardContent, headline
from pipestill.params import load_section, read_params
from pipestill.records import read_json, read_record, write_json
from pipestill.student_files import settings_file
from pipestill.teacher import load_classifier
from pipestill.tracking import run_main, stage_run


def main() -> None:
    """Read params, export, write the folder and its record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="`teacher`, or the name of a student in params.yaml")
    name: str = parser.parse_args().model
    is_teacher = name == "teacher"
    source = Path("models/teacher") if is_teacher else Path("models/students") / name
    params = load_section("export", ExportParams)
    with stage_run(params) as run:
        classifier = load_classifier(source)
        rows = read_columns(DEV)

        def describe() -> CardContent:
            recipe = read_params()["finetune_teacher"] if is_teacher else read_json(settings_file(name))
            return describe_model(classifier, read_record(CARD, DataCard), recipe, rows.texts)

        dev = DevRows(rows.texts, rows.label_ids)
        calibration = open_table(TRAIN)["text"][: params.equalisation.num_rows]
        record = export_folder(name, classifier, source, Path("models/onnx") / name, dev, calibration, params, describe)
        write_json(Path("metrics/export") / f"{name}.json", record)
        run.log_dataset("dev", DEV, "selection")
        run.log_metrics(headline(record))
        run.log_model(name, Path("models/onnx") / name)


if __name__ == "__main__":
    run_main(main)
