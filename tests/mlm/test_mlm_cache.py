"""The cache of soft targets: what is in it, resumed, refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mlm.tiny_mlm import CACHE, MASKS, TEACHER, draw_masks, fill, rows_of
from pipestill.errors import CacheError, CorruptCacheError, StaleCacheError
from pipestill.fingerprint import sha256_file
from pipestill.mlm import caching
from pipestill.mlm.caching import open_mlm_cache
from pipestill.mlm.card import MlmCacheIdentity, MlmShardCard
from pipestill.mlm.model import load_masked_lm, predict_masked, save_masked_lm
from pipestill.mlm.reader import MlmCache
from pipestill.mlm.rows import MaskedCollator, MaskedRows
from pipestill.mlm.writer import MaskedOutputs, write_mlm_cache
from pipestill.records import read_json, write_json


def opened(folder: Path = CACHE) -> MlmCache:
    return open_mlm_cache(
        folder,
        teacher=load_masked_lm(TEACHER).lm,
        teacher_folder=TEACHER,
        table=rows_of("train"),
        masks=MASKS / "train.parquet",
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_cache_holds_what_the_teacher_says_of_each_row(taught: Path) -> None:
    fill()
    cache = opened()
    lm, rows = load_masked_lm(TEACHER).lm, MaskedRows(rows_of("train"))
    for number in range(len(rows)):
        batch = MaskedCollator(0)(rows.__getitems__([number]))
        with torch.inference_mode():
            said = predict_masked(lm.model, batch["input_ids"], batch["attention_mask"], batch["places"])
        expected = (said.logits / 2.0).log_softmax(-1).sort(descending=True)
        kept = cache.row(number)
        np.testing.assert_allclose(kept.top_log_probabilities, expected.values[:, :5], atol=1e-5)
        np.testing.assert_array_equal(kept.top_ids, expected.indices[:, :5])
        np.testing.assert_allclose(kept.hidden, said.hidden, atol=1e-5)


def test_mass_and_bytes_are_counted_as_by_hand(tmp_path: Path) -> None:
    """Three masked tokens in two rows; the two tokens kept have half, three quarters and all of the mass."""
    halves = np.log(np.array([[0.25, 0.25], [0.5, 0.25], [0.75, 0.25]], dtype=np.float32))
    outputs = MaskedOutputs(np.array([1, 2]), np.zeros((3, 2)), halves, np.ones((3, 4)))
    identity = MlmCacheIdentity(
        teacher={},
        masks="",
        num_rows=2,
        num_masked_tokens=3,
        k=2,
        temperature=2.0,
        precision="float32",
        storage_dtype="float16",
    )
    card = write_mlm_cache(
        out=tmp_path / "out",
        scratch=tmp_path / "scratch",
        identity=identity,
        shards=[(["00" * 16, "01" * 16], range(2))],
        ask=lambda _: outputs,
        on_shard=lambda _: None,
    ).card
    assert card.mass_kept_fraction == pytest.approx((0.5 + 0.75 + 1.0) / 3, abs=1e-3)
    header = 128  # of each of the five files
    assert card.bytes_per_masked_token * 3 == 5 * header + 2 * 16 + 2 * 4 + 3 * (2 * 4 + 2 * 2 + 4 * 2)
    finite = outputs._replace(hidden=np.full((3, 4), 1e6))
    with pytest.raises(CacheError, match=r"(?s)hidden of the teacher cannot be cached.*finite as float16: False"):
        write_mlm_cache(
            out=tmp_path / "o",
            scratch=tmp_path / "s",
            identity=identity,
            shards=[(["00" * 16, "01" * 16], range(2))],
            ask=lambda _: finite,
            on_shard=lambda _: None,
        )


def test_a_killed_run_resumes_at_the_next_shard_with_the_same_bytes(
    taught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fill("whole", Path("whole"), shard_rows=4)
    again = fill("again", Path("again"), shard_rows=4)
    assert whole.card == again.card
    asked: list[int] = []
    real = caching.ask_teacher

    def killed(teacher: Any, rows: Any, numbers: Any, params: Any, precision: Any) -> MaskedOutputs:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(numbers))
        return real(teacher, rows, numbers, params, precision)

    monkeypatch.setattr(caching, "ask_teacher", killed)
    with pytest.raises(KeyboardInterrupt):
        fill("killed", shard_rows=4)
    monkeypatch.undo()
    monkeypatch.chdir(taught)
    half = next(Path(".scratch/killed/shards").glob("00001.hidden.npy"))
    half.write_bytes(half.read_bytes()[:-1])  # cut short
    resumed = fill("killed", shard_rows=4)
    assert resumed.num_computed_rows == whole.num_computed_rows - 4
    assert files(CACHE) == files(Path("whole"))


def test_another_teacher_other_masks_and_other_settings_are_refused_by_name(taught: Path) -> None:
    fill()
    lm = load_masked_lm(TEACHER).lm
    shutil.copytree(TEACHER, "kept")
    with torch.no_grad():
        lm.model.bert.encoder.layer[0].output.dense.bias.add_(1e-3)
    save_masked_lm(lm, TEACHER)
    with pytest.raises(StaleCacheError, match=r"teacher: .*model\.safetensors"):
        opened()
    shutil.rmtree(TEACHER)
    shutil.copytree("kept", TEACHER)
    opened()
    draw_masks(seed=4)
    with pytest.raises(StaleCacheError, match="masks: "):
        opened()


def test_a_changed_missing_or_unfinished_file_is_refused(taught: Path) -> None:
    fill()
    shutil.copytree(CACHE, "kept")
    path = CACHE / "00000.top_ids.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptCacheError, match=r"00000\.top_ids\.npy was changed after it was written"):
        opened()
    path.unlink()
    with pytest.raises(CorruptCacheError, match="no file"):
        opened()
    (CACHE / "card.json").unlink()
    with pytest.raises(CorruptCacheError, match="incomplete cache"):
        opened()
    card = read_json(Path("kept/card.json"))
    write_json(Path("kept/card.json"), card | {"format_version": 0})
    with pytest.raises(StaleCacheError, match="another format"):
        opened(Path("kept"))


def test_rows_in_another_order_are_refused(taught: Path) -> None:
    card = fill(shard_rows=1000).card
    ids = rows_of("train")["content_id"][:]
    with pytest.raises(StaleCacheError, match="differ from the table's"):
        MlmCache.open(CACHE, card.identity, [*ids[1:], ids[0]])


def test_right_bytes_in_wrong_rows_are_found_by_asking_again(taught: Path) -> None:
    """The answers of two rows of equal length swapped, and every checksum made to fit."""
    fill(shard_rows=1000)
    counts = np.load(CACHE / "00000.num_masked.npy")
    first, second = np.flatnonzero(counts == counts[0])[:2]
    ends = np.concatenate([[0], np.cumsum(counts)])
    name = "00000.top_log_probabilities.npy"
    values = np.load(CACHE / name)
    one, other = slice(ends[first], ends[first + 1]), slice(ends[second], ends[second + 1])
    values[one], values[other] = values[other].copy() - 1.0, values[one].copy()
    np.save(CACHE / name, values)
    card = read_json(CACHE / "card.json")
    shard = MlmShardCard.model_validate(card["shards"][0])
    digest = sha256_file(CACHE / name)
    card["shards"][0] = shard.model_copy(update={"sha256": shard.sha256 | {name: digest}}).model_dump()
    write_json(CACHE / "card.json", card)
    with pytest.raises(StaleCacheError, match="do not match the teacher"):
        opened()


@pytest.mark.parametrize(
    ("changes", "message"), [({"max_bytes": 100}, "too large"), ({"k": 47}, "must be smaller than the vocabulary")]
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    taught: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CacheError, match=message):
        fill(**changes)
    assert not CACHE.exists()
    assert not Path(".scratch/cache").exists()
