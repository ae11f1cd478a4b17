"""The two teachers a student can ask: its logits in the cache (offline), or the model itself in the loop (online).

Both answer the same question, so that offline and online distillation are one code path.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from jaxtyping import Float
from torch import Tensor

from pipestill.logit_cache import LogitCache, check_sample, identify
from pipestill.logit_cache.card import CARD_FILE, CacheCard
from pipestill.records import read_record
from pipestill.seeding import derive_seed
from pipestill.teacher import Classifier, Precision, predict_logits
from pipestill.teacher.forward import autocast
from pipestill.training.signals import Batch

CHECKED_ROWS = 16
"""Rows run through the teacher again when a cache is opened."""

CHECK_TOLERANCE = {"float32": 0.02, "bfloat16": 0.25}
"""Largest logit difference by precision of the teacher: the cost of rounding and of another batch."""


class CachedTeacher:
    """Offline distillation: the logits are looked up.

    Args:
        cache: an open cache.
        content_ids: of the rows of the training set, in its order.
    """

    def __init__(self, cache: LogitCache, content_ids: list[str]) -> None:
        self.seconds = 0.0
        self._cache = cache
        self._positions = cache.positions(content_ids)

    def teacher_logits(self, batch: Batch) -> Float[Tensor, "batch label"]:
        """Look the batch up in the cache."""
        start = time.perf_counter()
        logits = torch.from_numpy(self._cache.at(self._positions[batch["row"].cpu().numpy()]))
        self.seconds += time.perf_counter() - start
        return logits.to(batch["input_ids"].device)


class OnlineTeacher:
    """Online distillation: the teacher runs in the loop, in evaluation mode and without gradients.

    Args:
        teacher: tokenises as the student does.
        precision: arithmetic of its matrix products.
    """

    def __init__(self, teacher: Classifier, precision: Precision) -> None:
        self.seconds = 0.0
        self._teacher = teacher
        self._precision = precision

    def teacher_logits(self, batch: Batch) -> Float[Tensor, "batch label"]:
        """Run the teacher on the batch."""
        start = time.perf_counter()
        model = self._teacher.model.to(batch["input_ids"].device).eval()
        with torch.no_grad(), autocast(self._precision, batch["input_ids"].device):
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
        self.seconds += time.perf_counter() - start
        return logits


def open_cached_teacher(folder: Path, teacher_folder: Path, teacher: Classifier, rows: Dataset) -> CachedTeacher:
    """Open the logit cache of a teacher for some rows, and make sure that it is that.

    Args:
        folder: the logit cache.
        teacher_folder: the teacher whose logits it must hold.
        teacher: the same teacher, loaded, to run some rows again.
        rows: the rows to train on: columns content_id and text.

    Raises:
        StaleCacheError: the cache belongs to another teacher, or says other things than the teacher.
        CacheError: it lacks some of the rows.
        CorruptCacheError: its bytes are not those that were written.
    """
    stored = read_record(folder / CARD_FILE, CacheCard).identity
    expected = identify(
        teacher_folder,
        max_length=teacher.max_length,
        precision=stored.precision,
        storage_dtype=stored.storage_dtype,
        labels=teacher.labels.labels,
        content_ids=(),
    )
    # The cache may hold more rows than these; that it holds each of these, `positions` makes sure.
    rows_of_cache = {"num_rows": stored.num_rows, "rows_sha256": stored.rows_sha256}
    cache = LogitCache.open(folder, expected.model_copy(update=rows_of_cache))
    drawn = np.random.default_rng(derive_seed(0, stored.rows_sha256)).permutation(len(rows))[:CHECKED_ROWS]
    sample = rows.select(sorted(drawn.tolist()))
    check_sample(
        cache,
        list(sample["content_id"]),
        list(sample["text"]),
        partial(predict_logits, teacher, batch_size=CHECKED_ROWS, precision=stored.precision),
        tolerance=CHECK_TOLERANCE[stored.precision],
    )
    return CachedTeacher(cache, list(rows["content_id"]))
