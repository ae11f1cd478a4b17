"""The logit cache: the teacher's logits on disk, by content id, refused unless they are exactly what is asked for."""

from pipestill.logit_cache.card import CacheCard, CacheIdentity, ShardCard, StorageDtype, identify
from pipestill.logit_cache.params import CacheLogitsParams
from pipestill.logit_cache.reader import LogitCache, check_sample
from pipestill.logit_cache.writer import write_logit_cache

__all__ = [
    "CacheCard",
    "CacheIdentity",
    "CacheLogitsParams",
    "LogitCache",
    "ShardCard",
    "StorageDtype",
    "check_sample",
    "identify",
    "write_logit_cache",
]
