"""The identity card of a logit cache: teacher, tokenizer, rows and settings, and the checksum of every file."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pipestill.fingerprint import sha256_files
from pipestill.precision import Precision
from pipestill.shards import Card, Identity, StorageDtype
from pipestill.sites import Tokens

FORMAT_VERSION = 3
IDS, LOGITS, TOKENS = "ids", "logits", "tokens"
"""Arrays of a shard: uint8 `[row, 16]`, `[row, label]`, and with features the tokens of each row, int32 `[row]`."""

_WEIGHT_SUFFIXES = (".safetensors", ".bin")
_NO_PART_OF_IT = ("config.json", "NOTICE.txt")
"""Files outside the tokenizer: one has a field of its own, the other is for readers only."""


class CacheIdentity(Identity):
    """Everything that a logit depends on. Caches with equal identities hold the same logits up to rounding.

    Attributes:
        teacher_weights: sha256 of each weight file.
        teacher_config: sha256 of config.json.
        tokenizer: sha256 of every other file of the teacher's folder, which together define the tokenizer.
        max_length: tokens at which a text is truncated.
        precision: arithmetic of the teacher's matrix products.
        storage_dtype: type of the stored logits.
        labels: label names, in the order of the logits' columns.
        num_rows: rows in the cache.
        rows_sha256: SHA-256 of the content ids, sorted, one a line.
        features: sites whose features lie beside the logits, sorted.
        feature_tokens: `first` keeps the features of each text's first token, `all` of every token.
    """

    teacher_weights: dict[str, str]
    teacher_config: str
    tokenizer: dict[str, str]
    max_length: int
    precision: Precision
    storage_dtype: StorageDtype
    labels: tuple[str, ...]
    num_rows: int
    rows_sha256: str
    features: tuple[str, ...]
    feature_tokens: Tokens


class CacheCard(Card):
    """The content of card.json, beside the shards."""

    identity: CacheIdentity


def identify(
    teacher: Path,
    *,
    max_length: int,
    precision: Precision,
    storage_dtype: StorageDtype,
    labels: tuple[str, ...],
    content_ids: Iterable[str],
    features: tuple[str, ...] = (),
    feature_tokens: Tokens = "first",
) -> CacheIdentity:
    """Compute the identity of a teacher's cache over some rows.

    Args:
        teacher: folder of the teacher.
        max_length: tokens at which a text is truncated.
        precision: arithmetic of the teacher's matrix products.
        storage_dtype: type of the stored logits.
        labels: label names by label_id.
        content_ids: content ids of all rows, sorted.
        features: sites kept beside the logits.
        feature_tokens: `first` keeps the features of each text's first token, `all` of every token.
    """
    files = sha256_files(teacher)
    weights = {name: digest for name, digest in files.items() if name.endswith(_WEIGHT_SUFFIXES)}
    config = files["config.json"]
    digest, num_rows = hashlib.sha256(), 0
    for content_id in content_ids:
        digest.update(f"{content_id}\n".encode())
        num_rows += 1
    return CacheIdentity(
        teacher_weights=weights,
        teacher_config=config,
        tokenizer={name: sha for name, sha in files.items() if name not in weights and name not in _NO_PART_OF_IT},
        max_length=max_length,
        precision=precision,
        storage_dtype=storage_dtype,
        labels=labels,
        num_rows=num_rows,
        rows_sha256=digest.hexdigest(),
        features=tuple(sorted(features)),
        feature_tokens=feature_tokens,
    )


def site_array(site: str) -> str:
    """Return the name of the array with a shard's features at a site, `[token, hidden]`, the rows concatenated."""
    return site.replace(":", "-")
