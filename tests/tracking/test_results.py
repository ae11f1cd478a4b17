from typing import Any

from pipestill.tracking.results import result_points, row_of, subject, table_points

SUMMARY: dict[str, Any] = {
    "rows": [
        {
            "model": "teacher",
            "variant": "torch",
            "size_bytes": 100,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.9}}},
        },
        {
            "model": "teacher",
            "variant": "onnx_int8",
            "size_bytes": 30,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.89}}},
        },
        {
            "model": "wide",
            "variant": "torch",
            "size_bytes": 5,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.8}}},
        },
        {
            "model": "wide",
            "variant": "onnx_fp32",
            "size_bytes": 40,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.8}}},
        },
        {
            "model": "wide",
            "variant": "onnx_int8",
            "size_bytes": 10,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.79}}},
        },
        {
            "model": "thin",
            "variant": "onnx_fp32",
            "size_bytes": 20,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.7}}},
        },
        {
            "model": "thin",
            "variant": "onnx_int8",
            "size_bytes": 5,
            "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.69}}},
        },
    ],
    "selection": {"metric": "accuracy", "champion": "wide/onnx_fp32"},
}


def test_the_results_come_first_then_the_champion_then_each_figure_of_all_models() -> None:
    names = [point.name for point in table_points(SUMMARY, 0)]
    assert names[:4] == ["result/accuracy", "result/size_mb", "champion/test.accuracy", "champion/size_bytes"]
    assert names[4:6] == ["test.accuracy/teacher.torch", "test.accuracy/teacher.onnx_int8"]
    sections = [name.split("/")[0] for name in names[4:]]
    assert sections == ["test.accuracy"] * 6 + ["size_bytes"] * 6


def test_without_a_champion_only_the_models_have_figures() -> None:
    points = table_points(SUMMARY | {"selection": {"metric": "accuracy", "champion": None}}, 0)
    assert {point.name.split("/")[0] for point in points} == {"test.accuracy", "size_bytes"}


def test_a_model_is_shown_by_the_champion_the_pytorch_teacher_or_its_smallest_file() -> None:
    rows = {model: row_of(SUMMARY, model) for model in ("wide", "teacher", "thin", "nobody")}
    shown = {model: row and subject(row) for model, row in rows.items()}
    assert shown == {"wide": "wide/onnx_fp32", "teacher": "teacher/torch", "thin": "thin/onnx_int8", "nobody": None}
    assert row_of({}, "wide") is None


def test_results_are_rounded_and_sizes_in_megabytes() -> None:
    row = {
        "size_bytes": 7_340_000,
        "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 11 / 13, "lower": 0.75}}},
    }
    values = {point.name: point.value for point in result_points(row, 0)}
    assert values == {"result/accuracy": 0.8462, "result/accuracy_lower": 0.75, "result/size_mb": 7.34}
