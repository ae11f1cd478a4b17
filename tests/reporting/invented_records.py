"""Records of a pipeline that never ran: logits drawn to have a given accuracy and agreement with the teacher."""

from pathlib import Path

import numpy as np

from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter, read_columns
from pipestill.environment import Environment
from pipestill.evaluation.build import build_evaluation
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import write_predictions
from pipestill.evaluation.scored import ScoredVariant
from pipestill.fingerprint import content_id
from pipestill.metrics.records import EvaluateRecord
from pipestill.reporting.params import ReportParams
from pipestill.reporting.rows import Speed
from pipestill.tasks.targets import LabelSet
from pipestill.training.records import TrainingRecord

EVALUATE = EvaluateParams.model_validate(
    {
        "bootstrap": {"replicates": 200, "seed": 13, "confidence": 0.95},
        "num_ece_bins": 15,
        "slices": {"kind": "quantiles", "quantiles": [0.25, 0.5, 0.75]},
        "batch_size": 32,
    }
)
REPORT = ReportParams.model_validate(
    {
        "metric": "accuracy",
        "variants": ["onnx_int8", "onnx_fp32"],
        "constraints": {
            "min_retention_lower": 0.975,
            "min_speedup_over_int8_teacher": 1.3,
            "min_speedup_over_torch_teacher": 10,
            "min_size_ratio": 5,
        },
    }
)
ENVIRONMENT = Environment(
    python="3.11.0",
    platform="Linux x86_64",
    cpu_model="A Processor",
    cpu_flags=("avx2", "avx512_vnni"),
    num_cpus=2,
    threads=2,
    memory_bytes=8 << 30,
    packages={},
)
# accuracy, share of rows redrawn from the teacher's, p50 ms, MB
MODELS: dict[tuple[str, str], tuple[float, float, float | None, float]] = {
    ("baseline", "linear"): (0.766, 0.8, None, 1.2),
    ("teacher", "torch"): (0.845, 0.0, 9.8, 90.9),
    ("teacher", "onnx_fp32"): (0.845, 0.0, 5.1, 91.0),
    ("teacher", "onnx_int8"): (0.842, 0.04, 2.1, 23.1),
    ("bert_l3", "torch"): (0.846, 0.08, 5.2, 69.3),
    ("bert_l3", "onnx_fp32"): (0.846, 0.08, 2.6, 69.5),
    ("bert_l3", "onnx_int8"): (0.846, 0.09, 0.87, 17.7),
    ("bert_l2", "torch"): (0.833, 0.16, 3.6, 62.2),
    ("bert_l2", "onnx_fp32"): (0.833, 0.16, 1.8, 62.4),
    ("bert_l2", "onnx_int8"): (0.831, 0.17, 0.56, 15.8),
    ("bert_l3_hard", "torch"): (0.826, 0.2, 5.2, 69.3),
    ("bert_l3_hard", "onnx_fp32"): (0.826, 0.2, 2.6, 69.5),
    ("bert_l3_hard", "onnx_int8"): (0.824, 0.21, 0.88, 17.7),
}
NUM_ROWS = 1000


def make_evaluations(folder: Path, num_labels: int = 2, num_rows: int = NUM_ROWS) -> list[EvaluateRecord]:
    """The evaluations of all models, teacher first scored, in the order of the table; their predictions lie beside."""
    splits = {
        split: _write_rows(folder / f"{split}.parquet", num_rows, num_labels, seed)
        for seed, split in enumerate(("dev", "test"))
    }
    labels = tuple(f"label {number}" for number in range(num_labels)) if num_labels > 2 else ("negative", "positive")
    logits = _draw_logits(splits, num_labels)
    evaluations = {}
    predictions = folder / "teacher.parquet"
    for model in ("teacher", *dict.fromkeys(model for model, _ in MODELS if model != "teacher")):
        scored = {
            variant: ScoredVariant(
                {f"{variant}.bin": content_id(model + variant)}, int(1e6 * size), 1, logits[model, variant], None
            )
            for (name, variant), (_, _, _, size) in MODELS.items()
            if name == model
        }
        teacher = None if model == "teacher" else predictions
        evaluation = build_evaluation(model, scored, splits, LabelSet(labels=labels), EVALUATE, teacher)
        write_predictions(folder / f"{model}.parquet", evaluation.predictions)
        evaluations[model] = evaluation.record
    return [evaluations.pop("baseline"), evaluations.pop("teacher"), *evaluations.values()]


def make_speeds() -> dict[str, Speed]:
    """The speeds of all timed subjects."""
    return {
        f"{model}/{variant}": make_speed(p50, model=model, variant=variant, size_bytes=int(1e6 * size))
        for (model, variant), (_, _, p50, size) in MODELS.items()
        if p50 is not None
    }


def make_speed(p50_ms: float, *, model: str, variant: str, size_bytes: int) -> Speed:
    """The speed of one subject."""
    return Speed(
        sha256=content_id(model + variant),
        size_bytes=size_bytes,
        p50_ms=p50_ms,
        p95_ms=1.4 * p50_ms,
        p99_ms=1.7 * p50_ms,
        model_p50_ms=0.8 * p50_ms,
        batch_size=1,
        threads=1,
        throughput_per_s=1000 / p50_ms,
        peak_memory_bytes=200_000_000,
        speedup_over_teacher_torch=9.8 / p50_ms,
        speedup_over_teacher_int8=2.1 / p50_ms,
    )


def make_trainings() -> list[TrainingRecord]:
    """Curves of a teacher and three students."""
    trainings = []
    shapes = {
        "teacher": (0.85, 3, 0.69),
        "bert_l3": (0.849, 2, 4.0),
        "bert_l2": (0.836, 2, 4.4),
        "bert_l3_hard": (0.828, 3, 0.7),
    }
    for number, (name, (best, epochs, first)) in enumerate(shapes.items()):
        noise = np.random.default_rng(number)
        steps = np.arange(10, 1001, 10)
        losses = first * (0.25 + 0.75 * np.exp(-steps / 250)) * noise.normal(1, 0.06, len(steps))
        dev = [best - 0.03 / epoch**2 + 0.03 / epochs**2 for epoch in range(1, epochs + 1)]
        trainings.append(
            TrainingRecord.model_validate(
                {
                    "model": name,
                    "num_rows": 8000,
                    "num_parameters": 100,
                    "num_trained_parameters": 100,
                    "selection_metric": "accuracy",
                    "best_epoch": epochs,
                    "epochs": [
                        {
                            "epoch": epoch + 1,
                            "step": 100 * (epoch + 1),
                            "train_loss": 0.5,
                            "dev": {"accuracy": value, "macro_f1": value, "nll_nats": 0.4},
                        }
                        for epoch, value in enumerate(dev)
                    ],
                    "choices": [],
                    "steps": [
                        {"step": int(step), "loss": float(loss), "learning_rate": 1e-4}
                        for step, loss in zip(steps, losses, strict=True)
                    ],
                }
            )
        )
    return trainings


def _write_rows(path: Path, num_rows: int, num_labels: int, seed: int) -> Path:
    generator = np.random.default_rng(seed)
    texts = [f"{row}-{seed} " + "x" * int(generator.integers(0, 190)) for row in range(num_rows)]
    label_ids = generator.integers(0, num_labels, num_rows)
    rows = [
        {"content_id": content_id(text), "text": text, "label_id": int(label_id)}
        for text, label_id in zip(texts, label_ids, strict=True)
    ]
    with TableWriter(path, LABELLED) as writer:
        writer.write(sorted(rows, key=lambda row: row["content_id"]))
    return path


def _draw_logits(splits: dict[str, Path], num_labels: int) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    logits: dict[tuple[str, str], dict[str, np.ndarray]] = {key: {} for key in MODELS}
    for seed, (split, path) in enumerate(splits.items()):
        label_ids = read_columns(path).label_ids
        generator = np.random.default_rng([seed, 7])
        order = generator.permutation(len(label_ids))
        redraw = generator.permutation(len(label_ids))
        for key, (quality, changed, _, _) in MODELS.items():
            rank = np.argsort(np.argsort(order)).astype(float)
            moved = redraw[: int(changed * len(label_ids))]
            rank[moved] = np.random.default_rng([seed, len(moved)]).permutation(rank[moved])
            wrong = rank >= quality * len(label_ids)
            predicted = np.where(wrong, (label_ids + 1) % num_labels, label_ids)
            margin = np.abs(generator.normal(1.9 - 1.1 * wrong, 1.2))
            logits[key][split] = (np.eye(num_labels)[predicted] * (0.1 + margin[:, None])).astype(np.float32)
    return logits
