"""Filling the logit cache: running the teacher over the transfer set, shard by shard."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset

from pipestill.logit_cache import CacheLogitsParams, TeacherOutputs, identify, write_logit_cache
from pipestill.progress import advancing
from pipestill.tasks.targets import LabelSet, check_labels
from pipestill.teacher import TorchClassifier, choose_device_precision, fastest_device, predict_logits
from pipestill.training.capture import capture, check_size


def cache_logits(
    params: CacheLogitsParams,
    *,
    teacher: TorchClassifier,
    teacher_folder: Path,
    labels: LabelSet,
    table: Dataset,
    scratch: Path,
    out: Path,
    mask_token: str | None = None,
) -> dict[str, float]:
    """Run a teacher over a table and keep its logits.

    Args:
        params: section `cache_logits` of params.yaml.
        teacher: classifier to run, in evaluation mode.
        teacher_folder: folder it was loaded from, for the cache's identity.
        labels: label names of the data, which must be the teacher's.
        table: rows with columns content_id and text, sorted by content_id.
        scratch: folder that survives a kill.
        out: folder of the finished cache.
        mask_token: token of a masked word in the table, replaced by the teacher's own where they differ. None where the
            table has the teacher's.

    Returns:
        num_rows in the cache; num_computed_rows of this run, fewer after a resume; its seconds and rows_per_second.

    Raises:
        ModelError: the teacher has other labels than the data.
        CacheError: the logits cannot be cached.
    """
    check_labels(teacher_folder, teacher.labels.labels, labels.labels)
    device = fastest_device()
    precision = choose_device_precision(params.precision)
    print(f"cache_logits: {precision}", flush=True)
    identity = identify(
        teacher_folder,
        max_length=teacher.max_length,
        precision=precision.used,
        storage_dtype=params.storage_dtype,
        labels=labels.labels,
        content_ids=(content_id for ids, _ in _shards(table, params.shard_rows) for content_id in ids),
        features=params.features.sites,
        feature_tokens=params.features.tokens,
    )
    teacher.model.to(device)
    if params.features.sites:
        every = (texts for _, texts in _shards(table, params.shard_rows))
        check_size(teacher, params.features, params.storage_dtype, every)

    def forward(texts: Sequence[str]) -> TeacherOutputs | np.ndarray:
        if mask_token is not None and teacher.tokenizer.mask_token is not None:
            texts = [text.replace(mask_token, teacher.tokenizer.mask_token) for text in texts]
        if params.features.sites:
            return capture(teacher, texts, params.features, batch_size=params.batch_size, precision=precision.used)
        return predict_logits(teacher, texts, batch_size=params.batch_size, precision=precision.used)

    with advancing(len(table), "cache_logits", "rows") as advance:
        written = write_logit_cache(
            out=out,
            scratch=scratch / "shards",
            identity=identity,
            shards=_shards(table, params.shard_rows),
            forward=forward,
            on_shard=advance,
            choices=(precision,),
        )
    return {
        "num_rows": len(table),
        "num_computed_rows": written.num_computed_rows,
        "seconds": written.seconds,
        "rows_per_second": written.num_computed_rows / written.seconds,
    }


def _shards(table: Dataset, shard_rows: int) -> Iterator[tuple[list[str], list[str]]]:
    for start in range(0, len(table), shard_rows):
        rows = table[start : start + shard_rows]
        yield rows["content_id"], rows["text"]
