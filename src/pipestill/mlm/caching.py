"""Running a masked-language-model teacher over masked rows, to fill the cache and to check a sample of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset

from pipestill.errors import CacheError
from pipestill.mlm.card import MlmCacheCard, identify
from pipestill.mlm.model import MaskedLm, Predicted, predict_masked
from pipestill.mlm.params import MlmCacheParams
from pipestill.mlm.reader import REDO, MlmCache, read_stored
from pipestill.mlm.rows import MaskedCollator, MaskedRows
from pipestill.mlm.soft_targets import top_tokens
from pipestill.mlm.writer import MaskedOutputs, write_mlm_cache
from pipestill.precision import Precision
from pipestill.progress import advancing
from pipestill.shards import Written, check_difference, row_ends
from pipestill.teacher.forward import autocast, choose_device_precision, fastest_device
from pipestill.text.batching import length_sorted_batches

CHECKED_ROWS = 32
"""Rows that the teacher runs again when a cache is opened."""
CHECK_TOLERANCE = {"float32": 0.02, "bfloat16": 0.5}
"""Largest difference of a log-probability, by the teacher's precision: the cost of rounding and of another batch."""


class _Part(NamedTuple):
    """The teacher's outputs at some of the requested positions."""

    where: np.ndarray
    predicted: Predicted


def _ask(
    teacher: MaskedLm, rows: MaskedRows, numbers: Sequence[int], *, batch_size: int, precision: Precision
) -> Iterator[_Part]:
    """Run a teacher over some rows, in batches of similar length, in evaluation mode."""
    collate = MaskedCollator(teacher.tokenizer.pad_token_id)
    given = rows.__getitems__(numbers)
    ends = row_ends([len(row["positions"]) for row in given])
    device = teacher.model.device
    with torch.inference_mode(), autocast(precision, device):
        for places in length_sorted_batches([len(row["input_ids"]) for row in given], batch_size):
            batch = {name: tensor.to(device) for name, tensor in collate([given[place] for place in places]).items()}
            predicted = predict_masked(teacher.model, batch["input_ids"], batch["attention_mask"], batch["places"])
            yield _Part(np.concatenate([np.arange(ends[place], ends[place + 1]) for place in places]), predicted)


def ask_teacher(
    teacher: MaskedLm, rows: MaskedRows, numbers: Sequence[int], params: MlmCacheParams, precision: Precision
) -> MaskedOutputs:
    """Compute a teacher's most probable tokens and hidden states at the masked positions of some rows, in order."""
    num_masked = np.array([len(row["positions"]) for row in rows.__getitems__(numbers)], dtype=np.int32)
    total, width = int(num_masked.sum()), int(teacher.model.config.hidden_size)
    ids = np.empty((total, params.k), dtype=np.int32)
    log_probabilities = np.empty((total, params.k), dtype=np.float32)
    hidden = np.empty((total, width), dtype=np.float32)
    for where, predicted in _ask(teacher, rows, numbers, batch_size=params.batch_size, precision=precision):
        top = top_tokens(predicted.logits, params.k, params.temperature)
        ids[where] = top.ids.cpu().numpy()
        log_probabilities[where] = top.log_probabilities.cpu().numpy()
        hidden[where] = predicted.hidden.float().cpu().numpy()
    return MaskedOutputs(num_masked, ids, log_probabilities, hidden)


def fill_mlm_cache(
    params: MlmCacheParams, *, teacher: MaskedLm, folder: Path, table: Dataset, masks: Path, scratch: Path, out: Path
) -> Written[MlmCacheCard]:
    """Run a teacher over a table of masked rows and keep its soft targets.

    Args:
        params: section `mlm_cache` of params.yaml.
        teacher: model in evaluation mode.
        folder: folder it was loaded from, for the cache's identity.
        table: masked rows in order.
        masks: file of the table, for the cache's identity.
        scratch: folder that survives a kill.
        out: folder of the finished cache.

    Raises:
        CacheError: the cache would be too large, k is not smaller than the vocabulary, or outputs are not finite.
    """
    rows = MaskedRows(table)
    _check_params(params, teacher, rows)
    device = fastest_device()
    precision = choose_device_precision(params.precision)
    print(f"mlm_cache: {precision}", flush=True)
    identity = identify(
        params,
        folder,
        masks,
        precision=precision.used,
        num_rows=len(rows),
        num_masked_tokens=rows.num_masked_tokens,
    )
    teacher.model.to(device)
    with advancing(len(rows), "mlm_cache", "rows") as advance:
        return write_mlm_cache(
            out=out,
            scratch=scratch / "shards",
            identity=identity,
            shards=_shards(table, params.shard_rows),
            ask=lambda numbers: ask_teacher(teacher, rows, numbers, params, precision.used),
            on_shard=advance,
            choices=(precision,),
        )


def open_mlm_cache(folder: Path, *, teacher: MaskedLm, teacher_folder: Path, table: Dataset, masks: Path) -> MlmCache:
    """Open the cache of this teacher over these masks, and check it by running the teacher over a few rows.

    Args:
        folder: folder of the cache.
        teacher: teacher that the cache must belong to.
        teacher_folder: folder it was loaded from.
        table: masked rows in order.
        masks: file of the table.

    Raises:
        StaleCacheError: the cache belongs to another teacher or table, or does not match the teacher's outputs.
        CorruptCacheError: a file is missing, truncated or changed.
    """
    rows = MaskedRows(table)
    stored = read_stored(folder).identity
    expected = identify(
        stored,
        teacher_folder,
        masks,
        precision=stored.precision,
        num_rows=len(rows),
        num_masked_tokens=rows.num_masked_tokens,
    )
    cache = MlmCache.open(folder, expected, table.select_columns(["content_id"])[:]["content_id"])
    numbers = list(range(0, len(rows), max(1, len(rows) // CHECKED_ROWS)))[:CHECKED_ROWS]
    kept = [cache.row(number) for number in numbers]
    ids = np.concatenate([row.top_ids for row in kept]).astype(np.int64)
    then = np.concatenate([row.top_log_probabilities for row in kept]).astype(np.float32)
    differences = []
    for where, predicted in _ask(teacher, rows, numbers, batch_size=CHECKED_ROWS, precision=stored.precision):
        now = torch.log_softmax(predicted.logits.float() / stored.temperature, dim=-1).cpu().numpy()
        differences.append(np.abs(np.take_along_axis(now, ids[where], axis=1) - then[where]).max())
    tolerance = CHECK_TOLERANCE[stored.precision]
    check_difference("cached log-probabilities", float(np.max(differences)), len(numbers), tolerance, redo=REDO)
    return cache


def _check_params(params: MlmCacheParams, teacher: MaskedLm, rows: MaskedRows) -> None:
    vocabulary, width = int(teacher.model.config.vocab_size), int(teacher.model.config.hidden_size)
    if params.k >= vocabulary:
        raise CacheError(
            "mlm_cache.k must be smaller than the vocabulary",
            found=params.k,
            expected=f"less than {vocabulary}",
            next_step="lower k in pipelines/mlm/params.yaml",
        )
    number = np.dtype(params.storage_dtype).itemsize
    size = rows.num_masked_tokens * (params.k * (4 + number) + width * number)
    what = f"{params.k} tokens and a hidden state of {width} at {rows.num_masked_tokens} positions: {size / 1e6:.1f} MB"
    print(f"mlm_cache: {what}", flush=True)
    if size > params.max_bytes:
        raise CacheError(
            "the cache would be too large",
            found=f"{size} bytes",
            expected=f"at most max_bytes, {params.max_bytes}",
            next_step="lower k, or max_rows of mlm_masks, or raise max_bytes in pipelines/mlm/params.yaml",
        )


def _shards(table: Dataset, shard_rows: int) -> Iterator[tuple[list[str], range]]:
    ids = table.select_columns(["content_id"])
    for start in range(0, len(table), shard_rows):
        numbers = range(start, min(start + shard_rows, len(table)))
        yield ids[start : numbers.stop]["content_id"], numbers
