"""Writing a logit cache shard by shard: a killed run resumes at the next shard and ends with the same bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pipestill.choices import Choice
from pipestill.errors import CacheError
from pipestill.logit_cache.card import (
    FORMAT_VERSION,
    IDS,
    LOGITS,
    TOKENS,
    CacheCard,
    CacheIdentity,
    site_array,
)
from pipestill.shards import Arrays, Shard, Written, as_stored, write_cache


@dataclass(frozen=True)
class TeacherOutputs:
    """A teacher's outputs for some texts.

    Attributes:
        logits: logits in float32 `[row, label]`.
        num_tokens: tokens of each row, int32 `[row]`.
        features: features by site, `[token, hidden]`, the rows concatenated.
    """

    logits: Float[np.ndarray, "row label"]
    num_tokens: Int[np.ndarray, " row"]
    features: Mapping[str, Float[np.ndarray, "token hidden"]]


Forward = Callable[[Sequence[str]], Float[np.ndarray, "batch label"]]
"""Function from texts to the teacher's logits, float32, in order."""


def write_logit_cache(
    *,
    out: Path,
    scratch: Path,
    identity: CacheIdentity,
    shards: Iterable[tuple[list[str], list[str]]],
    forward: Callable[[Sequence[str]], TeacherOutputs | Float[np.ndarray, "row label"]],
    on_shard: Callable[[int], None],
    choices: tuple[Choice, ...] = (),
) -> Written[CacheCard]:
    """Run a teacher over rows and keep its logits.

    Args:
        out: folder of the finished cache; replaced.
        scratch: folder that survives a kill.
        identity: identity of the cache to write.
        shards: content ids and texts, shard by shard, ids ascending over all shards.
        forward: function that computes the teacher's logits, with its features where the identity names sites.
        on_shard: callback that receives the number of rows after each shard.
        choices: values chosen for `auto` settings, for the card.

    Raises:
        CacheError: ids are not ascending, or the teacher returns logits of another shape or not finite.
    """

    def compute(texts: Sequence[str]) -> Arrays:
        outputs = forward(texts)
        if isinstance(outputs, np.ndarray):
            outputs = TeacherOutputs(outputs, np.zeros(len(outputs), dtype=np.int32), {})
        return _arrays(outputs, len(texts), identity)

    return write_cache(
        out=out,
        scratch=scratch,
        identity=identity,
        ids=IDS,
        shards=_ascending(shards),
        compute=compute,
        card_of=lambda arrays, sha256: Shard(num_rows=len(arrays[IDS]), sha256=sha256),
        kind=Shard,
        whole=lambda cards: CacheCard(format_version=FORMAT_VERSION, identity=identity, shards=cards, choices=choices),
        on_shard=on_shard,
    )


def _ascending(shards: Iterable[tuple[list[str], list[str]]]) -> Iterator[tuple[list[str], list[str]]]:
    """Check that content ids ascend over all shards."""
    last = ""
    for content_ids, texts in shards:
        for content_id in content_ids:
            if content_id <= last:
                raise CacheError(
                    "rows of a logit cache are not in ascending order of content id",
                    found=f"{content_id} after {last}",
                    expected="each content id once, sorted",
                )
            last = content_id
        yield content_ids, texts


def _arrays(outputs: TeacherOutputs, num_rows: int, identity: CacheIdentity) -> Arrays:
    """Return the arrays of a shard, in their storage types."""
    dtype = identity.storage_dtype
    arrays = {
        LOGITS: as_stored(
            "the teacher's logits",
            outputs.logits,
            (num_rows, len(identity.labels)),
            dtype,
            next_step="check the teacher's dev scores; train it with precision float32 if they are poor",
        )
    }
    if identity.features:
        arrays[TOKENS] = outputs.num_tokens.astype(np.int32)
    for site in identity.features:
        arrays[site_array(site)] = as_stored(
            f"the teacher's features at {site}",
            outputs.features[site],
            (int(outputs.num_tokens.sum()),),
            dtype,
            next_step="set storage_dtype of cache_logits to float32",
        )
    return arrays
