"""The section `cache_logits` of params.yaml."""

from pydantic import Field

from pipestill.logit_cache.card import Precision, StorageDtype
from pipestill.params import Section


class CacheLogitsParams(Section):
    """How the teacher runs over the transfer set, and how its logits are kept.

    Attributes:
        batch_size: rows in one forward pass.
        precision: arithmetic of the teacher's matrix products.
        shard_rows: rows in one shard; a killed run resumes at the next shard.
        storage_dtype: float16 keeps logits of the usual size to three digits in half the bytes.
    """

    batch_size: int = Field(ge=1)
    precision: Precision
    shard_rows: int = Field(ge=1)
    storage_dtype: StorageDtype
