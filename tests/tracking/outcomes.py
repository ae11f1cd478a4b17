"""What a pipeline would have left behind, written by hand: a tiny artifact, dev rows, a summary, and their dvc.lock."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet
from dvc.repo import Repo
from onnx import TensorProto, helper, numpy_helper
from ruamel.yaml import YAML
from tokenizers import Tokenizer, models, pre_tokenizers

from pipestill.environment import read_environment
from pipestill.fingerprint import sha256_file
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import write_json
from pipestill.reporting.params import Constraints
from pipestill.reporting.rows import ComparisonRow, Figures, Speed
from pipestill.reporting.selection import Selection, Verdict
from pipestill.reporting.summary import Summary
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
    write_json(root / "reports/summary.json", summary)
    (root / "reports/table.md").write_text("| model | accuracy |\n")
    (root / "params.yaml").write_text("register:\n  max_dev_drop_fraction: 0.01\n")
    write_lock(root)


def summary_of(file: Path, dev_quality: float, refused: tuple[str, ...], metric: str) -> Summary:
    """The summary of a report on a teacher and one student, whose int8 file is the champion unless it is refused."""
    subject = "small/onnx_int8"
    missed = ("min_speedup_over_int8_teacher",) if refused else ()
    constraints = dict.fromkeys(Constraints.model_fields, 0.0)
    rows = (
        row("teacher/torch", 0.8),
        row("small/torch", 0.75),
        row(subject, 0.75, dev={metric: estimate(dev_quality)}, sha256=sha256_file(file)),
    )
    verdict = Verdict(
        subject=subject,
        dev_quality=dev_quality,
        dev_retention_lower=0.98,
        speedup_over_int8=None,
        speedup_over_torch=20.0,
        size_ratio=None,
        missed=missed,
        refused_because=refused,
        shortfall=0.0,
    )
    return Summary(
        task="classes",
        num_labels=2,
        num_dev_rows=30,
        num_test_rows=30,
        confidence=0.95,
        replicates=200,
        units={},
        rows=rows,
        selection=Selection(
            metric=metric,
            constraints=Constraints(**constraints),
            champion=None if refused else subject,
            packaged=subject,
            missed=missed,
            confirmed_on_test=None,
            verdicts=(verdict,),
        ),
        environment=read_environment(),
    )


def row(
    subject: str, quality: float, *, dev: dict[str, Estimate] | None = None, sha256: str | None = None
) -> ComparisonRow:
    """One row, with a speed if the file's hash is given."""
    model, variant = subject.split("/")

    def figures(measures: dict[str, Estimate]) -> Figures:
        return Figures(primary_measure="accuracy", measures=measures, agreement=None, retention=None)

    speed = None
    if sha256 is not None:
        times = dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "model_p50_ms"), 0.5)
        speed = Speed(
            sha256=sha256,
            size_bytes=9,
            batch_size=1,
            threads=1,
            throughput_per_s=100.0,
            peak_memory_bytes=1000,
            speedup_over_teacher_torch=20.0,
            speedup_over_teacher_int8=2.0,
            **times,
        )
    return ComparisonRow(
        model=model,
        variant=variant,
        dev=figures(dev or {}),
        test=figures({"accuracy": estimate(quality)}),
        size_bytes=9 if speed else None,
        size_ratio=None,
        speed=speed,
    )


def estimate(value: float) -> Estimate:
    """A value with an interval around it."""
    return Estimate(value=value, lower=value - 0.05, upper=value + 0.05)


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
