"""The identity card of a cache of soft targets at masked positions: whose they are, over which masks, how kept."""

from pathlib import Path

from pydantic import Field

from pipestill.fingerprint import sha256_file, sha256_files
from pipestill.logit_cache.card import StorageDtype
from pipestill.params import Section
from pipestill.precision import Precision, PrecisionSetting
from pipestill.shards import Card, Identity, Shard
from pipestill.teacher.classifier import NOTICE_FILE

FORMAT_VERSION = 1
ARRAYS = ("content_ids", "num_masked", "top_ids", "top_log_probabilities", "hidden")
"""The files of a shard: uint8 [row, 16] and int32 [row], then [masked, k] twice and [masked, hidden]."""


class MlmCacheParams(Section):
    """How the teacher runs over the masked rows, and what is kept.

    Attributes:
        k: most probable tokens kept at each masked position.
        temperature: T of the soft targets; the student learns at the same.
        batch_size: rows in one forward pass.
        precision: arithmetic of the teacher's matrix products.
        shard_rows: rows in one shard; a killed run resumes at the next shard.
        storage_dtype: of log-probabilities and hidden states.
        max_bytes: a larger cache is refused before anything is written.
    """

    k: int = Field(ge=1)
    temperature: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    precision: PrecisionSetting
    shard_rows: int = Field(ge=1)
    storage_dtype: StorageDtype
    max_bytes: int = Field(ge=1)


class MlmCacheIdentity(Identity):
    """What a cached answer depends on.

    Attributes:
        teacher: sha256 of each file of the teacher's folder.
        masks: sha256 of the table of masked rows.
        num_rows: its rows.
        num_masked_tokens: its masked positions.
        k: tokens kept at each.
        temperature: T.
        precision: arithmetic of the teacher's matrix products.
        storage_dtype: of log-probabilities and hidden states.
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
        mass_kept: sum over its masked positions of the probability that the k tokens have together, at T.
        sha256: of each file.
    """

    mass_kept: float
    sha256: dict[str, str]

    def files(self, number: int) -> dict[str, str]:  # noqa: ARG002 (their names hold it)
        """SHA-256 of every file of the shard, by name."""
        return self.sha256


class MlmCacheCard(Card):
    """What lies beside the shards as card.json.

    Attributes:
        identity: whose answers they are.
        shards: their checksums.
        mass_kept_fraction: the probability that the k tokens have together at T, mean over masked positions.
        bytes_per_masked_token: of all files but this.
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
    """Establish the identity that a teacher's cache over a table has.

    Args:
        how: it is made, as params or an earlier card say.
        teacher: the teacher's folder.
        masks: the table's file.
        precision: arithmetic of the teacher's matrix products.
        num_rows: its rows.
        num_masked_tokens: its masked positions.
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


def shard_file(shard: int, array: str) -> str:
    """Name of the file with one array of a shard."""
    return f"{shard:05d}.{array}.npy"
