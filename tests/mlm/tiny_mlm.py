"""Task-agnostic distillation on tiny data, stage by stage, in the folder that a test works in."""

from pathlib import Path
from typing import Any

from datasets import Dataset

from pipestill.data.schema import LABELLED, UNLABELLED_ROWS
from pipestill.data.scratch import scratch_database
from pipestill.data.tables import TableWriter, open_table
from pipestill.fingerprint import content_id
from pipestill.mlm.caching import fill_mlm_cache
from pipestill.mlm.card import MlmCacheCard
from pipestill.mlm.distillation import Distilled, distil_mlm
from pipestill.mlm.masks import MlmMasksCard, write_masks
from pipestill.mlm.model import load_masked_lm, save_masked_lm
from pipestill.mlm.params import MlmCacheParams, MlmDistillParams, MlmMasksParams, MlmTeacherParams
from pipestill.mlm.reader import MlmCache
from pipestill.mlm.records import MlmEpoch
from pipestill.mlm.teacher import MadeTeacher, make_teacher
from pipestill.mlm.texts import Texts
from pipestill.shards import Written
from pipestill.text.tokenizer import load_tokenizer
from pipestill.training.callbacks import Callbacks

BASE, MASKS, TEACHER = Path("models/base"), Path("data/mlm/masks"), Path("models/mlm/teacher")
CACHE, STUDENT = Path("data/mlm/soft_targets"), Path("models/mlm/student")
SILENT: Callbacks[MlmEpoch] = Callbacks(on_step=lambda step, loss, rate: None, on_epoch=lambda point: None)

MASKS_PARAMS: dict[str, Any] = {
    "seed": 3,
    "max_rows": 1000,
    "dev_fraction": 0.2,
    "max_length": 24,
    "masked_fraction": 0.15,
    "mask_token_fraction": 0.8,
    "random_token_fraction": 0.1,
}
OPTIMISER: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 4,
    "accumulation_steps": 1,
    "learning_rate": 1e-2,
    "warmup_fraction": 0.0,
    "schedule": "linear",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "dropout": 0.0,
    "train_embeddings": True,
    "precision": "float32",
    "checkpoint_steps": 10,
}
HEAD = OPTIMISER | {"train_embeddings": False}
TEACHER_PARAMS: dict[str, Any] = {"seed": 5, "new_head": HEAD, "adaptation": {"kind": "whole", "training": OPTIMISER}}
CACHE_PARAMS: dict[str, Any] = {
    "k": 5,
    "temperature": 2.0,
    "batch_size": 4,
    "precision": "float32",
    "shard_rows": 10,
    "storage_dtype": "float32",
    "max_bytes": 10**6,
}
DISTILL_PARAMS: dict[str, Any] = {
    "seed": 7,
    "architecture": {"kind": "bert_layers", "layers": [0, 3]},
    "weights": {"hard_weight": 2.0, "soft_weight": 5.0, "cosine_weight": 1.0},
    "training": OPTIMISER,
}


def write_prepared(texts: list[str]) -> None:
    """The prepared tables: of the texts, sorted by id, every fifth to dev, the next to test, the rest by turns."""
    parts: dict[str, list[dict[str, Any]]] = {"dev": [], "test": [], "train": [], "unlabelled": []}
    for number, (row, text) in enumerate(sorted((content_id(text), text) for text in texts)):
        name = {0: "dev", 1: "test", 2: "train", 3: "train", 4: "unlabelled"}[number % 5]
        parts[name].append({"content_id": row, "text": text, "label_id": number % 3})
    for name, rows in parts.items():
        with TableWriter(
            Path(f"data/prepared/{name}.parquet"), LABELLED if name != "unlabelled" else UNLABELLED_ROWS
        ) as w:
            w.write(rows)


def draw_masks(**changes: Any) -> MlmMasksCard:
    params = MlmMasksParams.model_validate(MASKS_PARAMS | changes)
    with scratch_database(Path(".scratch/texts.sqlite")) as database:
        texts = Texts(Path("data/prepared"), database, Path(".scratch/tables"), params.max_rows)
        return write_masks(params, load_tokenizer(BASE), texts, MASKS)


def rows_of(split: str) -> Dataset:
    return open_table(MASKS / f"{split}.parquet")


def teach(scratch: str = "teacher", **changes: Any) -> MadeTeacher:
    params = MlmTeacherParams.model_validate(TEACHER_PARAMS | changes)
    made = make_teacher(params, BASE, rows_of("train"), rows_of("dev"), Path(".scratch") / scratch, lambda _: SILENT)
    save_masked_lm(made.lm, TEACHER)
    return made


def fill(scratch: str = "cache", out: Path = CACHE, **changes: Any) -> Written[MlmCacheCard]:
    return fill_mlm_cache(
        MlmCacheParams.model_validate(CACHE_PARAMS | changes),
        teacher=load_masked_lm(TEACHER).lm,
        folder=TEACHER,
        table=rows_of("train"),
        masks=MASKS / "train.parquet",
        scratch=Path(".scratch") / scratch,
        out=out,
    )


def distil(
    cache: MlmCache, scratch: str = "student", callbacks: Callbacks[MlmEpoch] = SILENT, **changes: Any
) -> Distilled:
    distilled = distil_mlm(
        MlmDistillParams.model_validate(DISTILL_PARAMS | changes),
        teacher=load_masked_lm(TEACHER).lm,
        cache=cache,
        train=rows_of("train"),
        dev=rows_of("dev"),
        scratch=Path(".scratch") / scratch,
        callbacks=callbacks,
    )
    save_masked_lm(distilled.lm, STUDENT)
    return distilled
