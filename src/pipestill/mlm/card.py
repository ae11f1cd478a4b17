"""The identity card of a cache of soft targets at masked positions: teacher, masks and settings."""

from pathlib import Path

from pipestill.fingerprint import sha256_file, sha256_files
from pipestill.mlm.params import MlmCacheParams
from pipestill.precision import Precision
from pipestill.shards import Card, Identity, Shard, StorageDtype
from pipestill.teacher.classifier import NOTICE_FILE

FORMAT_VERSION = 1
IDS = "content_ids"
ARRAYS = (IDS, "num_masked", "top_ids", "top_log_probabilities", "hidden")
"""The arrays of a shard: uint8 [row, 16] and int32 [row], then [masked, k] twice and [masked, hidden]."""


class MlmCacheIdentity(Identity):
    """Everything that the cached outputs depend on.

    Attributes:
        teacher: sha256 of each file of the teacher's folder.
        masks: sha256 of the table of masked rows.
        num_rows: rows in the table.
        num_masked_tokens: masked positions in the table.
        k: tokens kept at each position.
        temperature: T of the soft targets.
        precision: arithmetic of the teacher's matrix products.
        storage_dtype: type of stored log-probabilities and hidden states.
    """

    teacher: dict[str, str]
    masks: str
    num_rows: int
    num_masked_tokens: int
    k: int
    temperature: float
    precision: Precision
    storage_dtype: StorageDtype


class MlmShardCard(Shard):
    """One shard: consecutive rows of the table.

    Attributes:
        mass_kept: sum over its masked positions of the k tokens' total probability, at T.
    """

    mass_kept: float


class MlmCacheCard(Card):
    """The content of card.json, beside the shards.

    Attributes:
        identity: teacher, masks and settings of the cache.
        shards: rows and checksums of each shard.
        mass_kept_fraction: total probability of the k tokens at T, mean over masked positions.
        bytes_per_masked_token: bytes of all files but this one, per masked position.
    """

    identity: MlmCacheIdentity
    shards: tuple[MlmShardCard, ...]
    mass_kept_fraction: float
    bytes_per_masked_token: float


def identify(
    how: "MlmCacheParams | MlmCacheIdentity",
    teacher: Path,
    masks: Path,
    *,
    precision: Precision,
    num_rows: int,
    num_masked_tokens: int,
) -> MlmCacheIdentity:
    """Compute the identity of a teacher's cache over a table.

    Args:
        how: settings of the cache, from params or an earlier card.
        teacher: folder of the teacher.
        masks: file of the table.
        precision: arithmetic of the teacher's matrix products.
        num_rows: rows in the table.
        num_masked_tokens: masked positions in the table.
    """
    return MlmCacheIdentity(
        teacher={name: digest for name, digest in sha256_files(teacher).items() if name != NOTICE_FILE},
        masks=sha256_file(masks),
        num_rows=num_rows,
        num_masked_tokens=num_masked_tokens,
        k=how.k,
        temperature=how.temperature,
        precision=precision,
        storage_dtype=how.storage_dtype,
    )
