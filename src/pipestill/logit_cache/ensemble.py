"""An ensemble of teachers: the weighted mean of their logits, row by row, as a logit cache.

    logits = sum over teachers of weight * logits of that teacher / sum over teachers of weight

A student learns from an ensemble as from one teacher (Hinton et al. 2015, arXiv:1503.02531, section 1, which takes a
mean of the models' predictions). The members' caches must hold the same rows and have the same labels in the same
order.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipestill.errors import CacheError
from pipestill.fingerprint import sha256_json
from pipestill.logit_cache.card import CacheIdentity
from pipestill.logit_cache.reader import LogitCache, read_stored
from pipestill.logit_cache.writer import write_logit_cache
from pipestill.records import Record
from pipestill.tasks.targets import LabelSet


class EnsembleRecord(Record):
    """Agreement within an ensemble.

    Attributes:
        weights: weight of each member; they sum to 1.
        num_rows: rows in each member's cache.
        agreement_between_members: share of rows on which two members give the same answer, by
            `<member> and <member>`.
        agreement_with_ensemble: share of rows on which a member and the ensemble give the same answer.
        unit: unit of both agreements.
    """

    weights: dict[str, float]
    num_rows: int
    agreement_between_members: dict[str, float]
    agreement_with_ensemble: dict[str, float]
    unit: str = "fraction"


def open_member(folder: Path) -> LogitCache:
    """Open a cache by the identity on its own card; checksums are verified, and DVC's dependencies name its teacher.

    Raises:
        CorruptCacheError: a file is missing, truncated or changed.
    """
    return LogitCache.open(folder, read_stored(folder).identity)


def weighted_mean(
    logits: Sequence[Float[np.ndarray, "row label"]], weights: Sequence[float]
) -> Float[np.ndarray, "row label"]:
    """Compute the weighted mean of several teachers' logits; the weights need not sum to 1."""
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    return np.tensordot(shares, np.stack(logits).astype(np.float64), axes=1).astype(np.float32)


def write_ensemble(
    *, members: Mapping[str, LogitCache], weights: Mapping[str, float], out: Path, scratch: Path
) -> EnsembleRecord:
    """Write the ensemble's cache and measure the agreement of its members.

    Args:
        members: open caches by the teacher's name; at least two.
        weights: weight of each member, above 0.
        out: folder of the ensemble's cache; replaced.
        scratch: folder for the shards; emptied first.

    Raises:
        CacheError: the members' rows or labels differ.
    """
    names = sorted(members)
    task = LabelSet(labels=members[names[0]].card.identity.labels).task
    first = members[names[0]]
    for name in names[1:]:
        _check_same(names[0], first.card.identity, name, members[name].card.identity)
    pairs = dict.fromkeys(combinations(names, 2), 0)
    with_all = dict.fromkeys(names, 0)

    def decide(content_ids: Sequence[str]) -> np.ndarray:
        cached = {name: members[name].lookup(content_ids) for name in names}
        mean = weighted_mean([cached[name] for name in names], [weights[name] for name in names])
        chosen = {name: task.decide(logits) for name, logits in cached.items()}
        for one, other in pairs:
            pairs[one, other] += int((chosen[one] == chosen[other]).sum())
        for name in names:
            with_all[name] += int((chosen[name] == task.decide(mean)).sum())
        return mean

    shutil.rmtree(scratch, ignore_errors=True)  # a shard of a killed run would be reused, without counting its rows
    write_logit_cache(
        out=out,
        scratch=scratch,
        identity=_identity({name: members[name].card.identity for name in names}, weights),
        shards=((ids, ids) for ids in _shards(first)),
        forward=decide,
        on_shard=lambda _: None,
    )
    num_rows = first.card.identity.num_rows
    total = sum(weights[name] for name in names)
    return EnsembleRecord(
        weights={name: weights[name] / total for name in names},
        num_rows=num_rows,
        agreement_between_members={f"{one} and {other}": same / num_rows for (one, other), same in pairs.items()},
        agreement_with_ensemble={name: same / num_rows for name, same in with_all.items()},
    )


def _shards(cache: LogitCache) -> Iterator[list[str]]:
    for ids in cache.ids:
        yield [row.tobytes().hex() for row in ids]


def _check_same(name: str, identity: CacheIdentity, other_name: str, other: CacheIdentity) -> None:
    for field in ("labels", "rows_sha256"):
        if getattr(identity, field) != getattr(other, field):
            raise CacheError(
                f"the logit caches of {name} and {other_name} cannot be averaged: their {field} differ",
                found=getattr(other, field),
                expected=getattr(identity, field),
                next_step="run `dvc repro`, which caches every teacher over the present transfer set",
            )


def _identity(members: Mapping[str, CacheIdentity], weights: Mapping[str, float]) -> CacheIdentity:
    """Make the ensemble's identity: every member's files under its name; the weights are part of the config."""
    first = next(iter(members.values()))
    return first.model_copy(
        update={
            "teacher_weights": _prefixed({name: member.teacher_weights for name, member in members.items()}),
            "teacher_config": sha256_json(
                {name: [weights[name], each.teacher_config] for name, each in members.items()}
            ),
            "tokenizer": _prefixed({name: member.tokenizer for name, member in members.items()}),
            "max_length": max(member.max_length for member in members.values()),
            "features": (),  # hidden states of different models have no mean
        }
    )


def _prefixed(files: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {f"{name}/{file}": digest for name, each in files.items() for file, digest in each.items()}
