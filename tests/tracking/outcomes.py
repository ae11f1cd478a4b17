"""What a pipeline would have left behind, written by hand: a tiny artifact, dev rows, a summary, and their dvc.lock."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet
from dvc.repo import Repo
from onnx import TensorProto, helper, numpy_helper
from ruamel.yaml import YAML
from tokenizers import Tokenizer, models, pre_tokenizers

from pipestill.fingerprint import sha256_file
from pipestill.tracking.identity import md5_of

WORDS = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "fine": 4}
LABELS = ("no", "yes")
TEXTS = ["good", "bad", "fine", "good good", "bad bad bad", "good fine"] * 5
LABEL_IDS = [1, 0, 1, 1, 0, 1] * 5


def write_artifact(folder: Path, *, fine: float = 1.0, labels: tuple[str, ...] = LABELS) -> None:
    """An artifact that adds up words: `good` says the last label, `bad` the first, `fine` the last by so much."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    table = np.array([[0, 0], [0, 0], [0, 4], [4, 0], [0, fine]], dtype=np.float32)
    for name, scale in (("model", 1.0), ("model_quantized", 0.5)):
        onnx.save(_sum_of_rows(table * np.float32(scale)), str(folder / f"onnx/{name}.onnx"))
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# small: words\n\nA model card.\n")


def _sum_of_rows(table: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    weights = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axes")]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "g", [ids], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_outcome(
    root: Path,
    *,
    fine: float = 1.0,
    dev_quality: float = 0.9,
    refused: tuple[str, ...] = (),
    texts: list[str] = TEXTS,
    labels: tuple[str, ...] = LABELS,
    metric: str = "accuracy",
) -> None:
    """Everything that `register` reads, below a repository's root."""
    write_artifact(root / "models/onnx/small", fine=fine, labels=labels)
    write_artifact(root / "models/champion", fine=fine, labels=labels)
    (root / "models/teacher").mkdir(parents=True, exist_ok=True)
    (root / "models/teacher/model.safetensors").write_bytes(b"a teacher")
    (root / "data/prepared").mkdir(parents=True, exist_ok=True)
    rows = pa.table({"text": texts, "label_id": pa.array(LABEL_IDS[: len(texts)], pa.int32())})
    pyarrow.parquet.write_table(rows, root / "data/prepared/dev.parquet")
    (root / "data/prepared/card.json").write_text(json.dumps({"name": "words/2", "num_rows": len(texts)}))
    (root / "reports").mkdir(exist_ok=True)
    summary = summary_of(root / "models/onnx/small/onnx/model_quantized.onnx", dev_quality, refused, metric)
    (root / "reports/summary.json").write_text(json.dumps(summary))
    (root / "reports/table.md").write_text("| model | accuracy |\n")
    (root / "params.yaml").write_text("register:\n  max_dev_drop_fraction: 0.01\n")
    write_lock(root)


def summary_of(file: Path, dev_quality: float, refused: tuple[str, ...], metric: str) -> dict[str, Any]:
    speed = {
        "sha256": sha256_file(file),
        "size_bytes": 9,
        "p50_ms": 0.5,
        "speedup_over_teacher_torch": 20.0,
        "threads": 1,
    }
    return {
        "num_labels": 2,
        "rows": [
            {
                "model": "teacher",
                "variant": "torch",
                "test": {
                    "primary_measure": "accuracy",
                    "measures": {"accuracy": {"value": 0.8, "lower": 0.7, "upper": 0.9}},
                    "agreement": None,
                },
                "speed": None,
            },
            {
                "model": "small",
                "variant": "torch",
                "test": {"primary_measure": "accuracy", "measures": {"accuracy": {"value": 0.75}}},
                "speed": None,
            },
            {
                "model": "small",
                "variant": "onnx_int8",
                "dev": {"measures": {metric: {"value": dev_quality, "lower": 0.8, "upper": 1.0}}},
                "test": {
                    "primary_measure": "accuracy",
                    "measures": {"accuracy": {"value": 0.75, "lower": 0.7, "upper": 0.8}},
                    "agreement": None,
                },
                "size_bytes": 9,
                "speed": speed,
            },
        ],
        "selection": {
            "metric": metric,
            "champion": None if refused else "small/onnx_int8",
            "packaged": "small/onnx_int8",
            "missed": ["min_speedup_over_int8_teacher"] if refused else [],
            "verdicts": [
                {
                    "subject": "small/onnx_int8",
                    "dev_quality": dev_quality,
                    "dev_retention_lower": 0.98,
                    "refused_because": refused,
                }
            ],
        },
    }


STAGES = {
    "prepare": ([], ["data/prepared/card.json", "data/prepared/dev.parquet"]),
    "finetune_teacher": ([], ["models/teacher"]),
    "export@small": (["data/prepared/dev.parquet", "models/teacher"], ["models/onnx/small"]),
    "report": ([], ["reports/summary.json", "reports/table.md"]),
    "package": (["reports/summary.json"], ["models/champion"]),
}


def write_lock(root: Path) -> None:
    """dvc.lock for what lies there now, and the reports in the cache, as DVC would have written them."""
    with Repo(str(root)) as repo:
        for path in STAGES["report"][1]:
            cached = Path(repo.cache.local.oid_to_path(md5_of(repo, str(root / path))))
            cached.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, cached)

        def entries(paths: list[str]) -> list[dict[str, str]]:
            return [{"path": path, "hash": "md5", "md5": md5_of(repo, str(root / path))} for path in paths]

        stages = {
            stage: {"cmd": f"python stages/{stage}.py", "deps": entries(deps), "outs": entries(outs)}
            for stage, (deps, outs) in STAGES.items()
        }
    with (root / "dvc.lock").open("w") as file:
        YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": stages}, file)
