"""The logit cache: the teacher's logits on disk, by content id, verified against teacher and rows."""

from pipestill.logit_cache.card import CacheCard, CacheIdentity, identify
from pipestill.logit_cache.params import CacheLogitsParams, FeaturesParams
from pipestill.logit_cache.reader import LogitCache, check_sample, read_stored
from pipestill.logit_cache.writer import TeacherOutputs, write_logit_cache

__all__ = [
    "CacheCard",
    "CacheIdentity",
    "CacheLogitsParams",
    "FeaturesParams",
    "LogitCache",
    "TeacherOutputs",
    "check_sample",
    "identify",
    "read_stored",
    "write_logit_cache",
]
