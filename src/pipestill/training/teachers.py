"""The two sources of a teacher's targets: the logit cache (offline), or the model itself in the loop (online).

Both have one interface, so that offline and online distillation are one code path.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from pipestill.errors import CacheError, CorruptCacheError
from pipestill.logit_cache import LogitCache, check_sample, identify, read_stored
from pipestill.logit_cache.ensemble import open_member
from pipestill.losses._features import Features, Reads, Sizes
from pipestill.precision import Precision
from pipestill.seeding import derive_seed
from pipestill.sites import Site
from pipestill.tasks.targets import LabelSet, check_labels
from pipestill.teacher import TorchClassifier, predict_logits
from pipestill.teacher.forward import autocast
from pipestill.training.recorder import Recorder, sizes_of
from pipestill.training.signals import Batch, Targets

CHECKED_ROWS = 16
"""Rows run through the teacher again when a cache is opened."""

CHECK_TOLERANCE = {"float32": 0.02, "bfloat16": 0.25}
"""Largest logit difference by precision of the teacher: the cost of rounding and of another batch."""


class OnlineTeacher:
    """Online distillation: the teacher runs in the loop, in evaluation mode and without gradients.

    Args:
        teacher: model that reads the student's tokens.
        precision: arithmetic of its matrix products.
        sites: features to return beside the logits.
        old_ids: the teacher's id of each of the student's tokens; None where they are the same.
    """

    def __init__(
        self,
        teacher: TorchClassifier,
        precision: Precision,
        sites: Collection[Site] = (),
        *,
        old_ids: Sequence[int] | None = None,
    ) -> None:
        self.seconds = 0.0
        self.sizes = sizes_of(teacher.model) if sites else None
        self._old_ids = None if old_ids is None else torch.as_tensor(old_ids)
        self._teacher = teacher
        self._precision = precision
        self._recorder = Recorder(teacher.model, sites)

    def targets(self, batch: Batch) -> Targets:
        """Run the teacher on the batch."""
        start = time.perf_counter()
        device = batch["input_ids"].device
        self._teacher.model.to(device).eval()
        input_ids = batch["input_ids"] if self._old_ids is None else self._old_ids.to(device)[batch["input_ids"]]
        with torch.no_grad(), autocast(self._precision, device):
            logits, features = self._recorder.run(input_ids, batch["attention_mask"])
        self.seconds += time.perf_counter() - start
        return Targets(logits.float(), features)


@dataclass(frozen=True)
class CachedFeatures:
    """The features to read from a cache beside the logits, and the sizes of the teacher."""

    reads: Reads
    sizes: Sizes


class CachedTeacher:
    """Offline distillation: logits are looked up in a cache.

    Args:
        cache: open logit cache.
        content_ids: content ids of the training rows, in order.
        in_the_loop: the same teacher, run for features that the cache does not hold; None if they are not needed.
        features: features to read from the cache; None if they are not needed, or come from the loop.
    """

    def __init__(
        self,
        cache: LogitCache,
        content_ids: list[str],
        in_the_loop: OnlineTeacher | None = None,
        features: CachedFeatures | None = None,
    ) -> None:
        source = in_the_loop or features
        self.sizes = source.sizes if source else None
        self._features = features
        self._seconds = 0.0
        self._cache = cache
        self._positions = cache.positions(content_ids)
        self._in_the_loop = in_the_loop

    @property
    def seconds(self) -> float:
        """Seconds spent on targets so far."""
        return self._seconds + (self._in_the_loop.seconds if self._in_the_loop else 0.0)

    def targets(self, batch: Batch) -> Targets:
        """Look the batch up in the cache."""
        start = time.perf_counter()
        positions = self._positions[batch["row"].cpu().numpy()]
        logits = torch.from_numpy(self._cache.at(positions)).to(batch["input_ids"].device)
        features = self._look_up(self._features, positions, batch) if self._features else None
        self._seconds += time.perf_counter() - start
        if self._in_the_loop:
            features = self._in_the_loop.targets(batch).features
        return Targets(logits, features)

    def _look_up(self, wanted: CachedFeatures, positions: np.ndarray, batch: Batch) -> Features:
        num_tokens, found = self._cache.features_at(positions)
        expected = batch["attention_mask"].sum(dim=1).cpu().numpy()
        if wanted.reads.tokens == "all" and not np.array_equal(num_tokens, expected):
            raise CacheError(
                "the cached features belong to other tokens than the student reads",
                found=f"rows of {num_tokens[:5].tolist()} tokens in the cache, {expected[:5].tolist()} here",
                next_step="give the student the teacher's tokenizer and max_length, or losses of first tokens only",
            )
        device = batch["input_ids"].device
        tensors = {site: torch.from_numpy(found[str(site)]).to(device) for site in wanted.reads.teacher}
        return Features(tensors, wanted.sizes)


def holds_features(folder: Path, reads: Reads) -> bool:
    """Return whether a logit cache holds the required features of a teacher.

    An unreadable cache counts as one without them; `open_cached_teacher` then raises the error.
    """
    try:
        identity = read_stored(folder).identity
    except CorruptCacheError:
        return False
    enough = reads.tokens == "first" or identity.feature_tokens == "all"
    return enough and {str(site) for site in reads.teacher} <= {*identity.features}


def open_cached_teacher(
    folder: Path,
    teacher_folder: Path,
    teacher: TorchClassifier,
    rows: Dataset,
    in_the_loop: OnlineTeacher | None = None,
    features: CachedFeatures | None = None,
) -> CachedTeacher:
    """Open the logit cache of a teacher for some rows, and verify that it belongs to this teacher.

    Args:
        folder: folder of the logit cache.
        teacher_folder: folder of the teacher whose logits it must hold.
        teacher: the same teacher, loaded, to run some rows again.
        rows: rows to train on: columns content_id and text.
        in_the_loop: teacher run for features, see `CachedTeacher`.
        features: features to read, see `CachedTeacher`.

    Raises:
        StaleCacheError: the cache belongs to another teacher, or its logits do not match the teacher.
        CacheError: the cache lacks some of the rows.
        CorruptCacheError: its bytes are not those that were written.
    """
    stored = read_stored(folder).identity
    expected = identify(
        teacher_folder,
        max_length=teacher.max_length,
        precision=stored.precision,
        storage_dtype=stored.storage_dtype,
        labels=teacher.labels.labels,
        content_ids=(),
        features=stored.features,
        feature_tokens=stored.feature_tokens,
    )
    # The cache may hold more rows than these; `positions` raises if it lacks one of these.
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
    return CachedTeacher(cache, list(rows["content_id"]), in_the_loop, features)


def open_logits(
    folder: Path, labels: LabelSet, rows: Dataset, in_the_loop: OnlineTeacher | None = None
) -> CachedTeacher:
    """Open a cache for some rows without checking it against its teacher: DVC's dependencies vouch for it.

    This serves an ensemble's cache, which a single model cannot recompute, and students that are not initialised from
    the teacher.

    Args:
        folder: folder of the logit cache.
        labels: label names of the data.
        rows: rows to train on: column content_id.
        in_the_loop: the teacher whose features go with an ensemble's logits; None where none are needed.

    Raises:
        ModelError: the cache has other labels than the data.
        CacheError: the cache lacks some of the rows.
        CorruptCacheError: its bytes are not those that were written.
    """
    cache = open_member(folder)
    check_labels(folder, cache.card.identity.labels, labels.labels)
    return CachedTeacher(cache, list(rows["content_id"]), in_the_loop)
