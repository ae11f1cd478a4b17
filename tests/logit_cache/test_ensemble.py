"""An ensemble of teachers: the weighted mean of their logits, over the same rows and labels or not at all."""

from pathlib import Path

import numpy as np
import pytest

from pipestill.errors import CacheError
from pipestill.fingerprint import content_id
from pipestill.logit_cache import CacheIdentity, LogitCache, write_logit_cache
from pipestill.logit_cache.ensemble import open_member, weighted_mean, write_ensemble

IDS = sorted(content_id(f"row {number}") for number in range(7))
LABELS = ("bad", "good")
ONE = np.array([[2.0, 0.0]] * 4 + [[0.0, 2.0]] * 3, dtype=np.float32)
OTHER = np.array([[0.0, 1.0]] * 2 + [[4.0, 0.0]] * 5, dtype=np.float32)


def write_member(
    folder: Path, logits: np.ndarray, *, ids: list[str] = IDS, labels: tuple[str, ...] = LABELS
) -> LogitCache:
    """A cache in shards of 3 rows, as a teacher of its own would have it."""
    said = dict(zip(ids, logits, strict=True))
    identity = CacheIdentity(
        teacher_weights={"model.safetensors": folder.name},
        teacher_config="config",
        tokenizer={"tokenizer.json": "tokenizer"},
        max_length=16,
        precision="float32",
        storage_dtype="float32",
        labels=labels,
        num_rows=len(ids),
        rows_sha256="-".join(ids),
        features=(),
        feature_tokens="first",
    )
    write_logit_cache(
        out=folder,
        scratch=folder.parent / f"{folder.name}-scratch",
        identity=identity,
        shards=((ids[start : start + 3], ids[start : start + 3]) for start in range(0, len(ids), 3)),
        forward=lambda asked: np.stack([said[key] for key in asked]),
        on_shard=lambda rows: None,
    )
    return open_member(folder)


@pytest.fixture
def members(tmp_path: Path) -> dict[str, LogitCache]:
    return {"teacher": write_member(tmp_path / "teacher", ONE), "other": write_member(tmp_path / "other", OTHER)}


def test_the_ensemble_says_the_weighted_mean_of_its_members(members: dict[str, LogitCache], tmp_path: Path) -> None:
    write_ensemble(
        members=members, weights={"teacher": 3.0, "other": 1.0}, out=tmp_path / "all", scratch=tmp_path / "s"
    )
    found = open_member(tmp_path / "all").lookup(IDS)
    np.testing.assert_allclose(found, (3 * ONE + OTHER) / 4, rtol=1e-6)


def test_weights_need_not_sum_to_one() -> None:
    np.testing.assert_allclose(weighted_mean([ONE, OTHER], [2.0, 6.0]), weighted_mean([ONE, OTHER], [0.25, 0.75]))


def test_the_record_counts_agreement_by_hand(members: dict[str, LogitCache], tmp_path: Path) -> None:
    record = write_ensemble(
        members=members, weights={"teacher": 3.0, "other": 1.0}, out=tmp_path / "all", scratch=tmp_path / "s"
    )
    assert record.weights == {"teacher": 0.75, "other": 0.25}
    assert record.num_rows == 7
    # the two differ in the first two rows and in the last three
    assert record.agreement_between_members == {"other and teacher": 2 / 7}
    # mean (3 * one + other) / 4: the teacher's label in all rows
    assert record.agreement_with_ensemble == {"teacher": 1.0, "other": 2 / 7}


def test_another_weight_or_another_member_is_another_ensemble(members: dict[str, LogitCache], tmp_path: Path) -> None:
    identities = []
    for number, weights in enumerate(({"teacher": 1.0, "other": 1.0}, {"teacher": 1.0, "other": 2.0})):
        out = tmp_path / f"ensemble{number}"
        write_ensemble(members=members, weights=weights, out=out, scratch=tmp_path / "s")
        identities.append(open_member(out).card.identity)
    assert identities[0].differences(identities[1]) != []
    assert set(identities[0].teacher_weights) == {"teacher/model.safetensors", "other/model.safetensors"}


@pytest.mark.parametrize("change", [{"ids": IDS[:-1]}, {"labels": LABELS[::-1]}])
def test_members_of_other_rows_or_labels_are_refused(
    members: dict[str, LogitCache], tmp_path: Path, change: dict[str, list[str]]
) -> None:
    rows = len(change.get("ids", IDS))
    stranger = write_member(tmp_path / "stranger", ONE[:rows], **change)  # type: ignore[arg-type]
    with pytest.raises(CacheError, match=r"(?s)cannot be averaged.*dvc repro"):
        write_ensemble(
            members=members | {"stranger": stranger},
            weights=dict.fromkeys([*members, "stranger"], 1.0),
            out=tmp_path / "all",
            scratch=tmp_path / "s",
        )
