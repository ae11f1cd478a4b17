"""The logit cache: aligned by content, refused when stale or corrupt, resumed after a kill with the same bytes."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipestill.errors import CacheError, CorruptCacheError, StaleCacheError
from pipestill.fingerprint import content_id, sha256_files
from pipestill.logit_cache import CacheIdentity, LogitCache, check_sample, identify, write_logit_cache
from pipestill.metrics.quality import log_softmax
from pipestill.teacher import TorchClassifier, predict_logits

SHARD_ROWS = 9


def table(texts: Sequence[str]) -> list[tuple[str, str]]:
    return sorted((content_id(text), text) for text in texts)


def shards(rows: list[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    for start in range(0, len(rows), SHARD_ROWS):
        part = rows[start : start + SHARD_ROWS]
        yield [row[0] for row in part], [row[1] for row in part]


@pytest.fixture
def forward(teacher: TorchClassifier) -> Callable[[Sequence[str]], np.ndarray]:
    return partial(predict_logits, teacher, batch_size=4, precision="float32")


@pytest.fixture
def identity(teacher: TorchClassifier, teacher_folder: Path, texts: list[str]) -> CacheIdentity:
    return identify(
        teacher_folder,
        max_length=teacher.max_length,
        precision="float32",
        storage_dtype="float32",
        labels=teacher.labels.labels,
        content_ids=[row[0] for row in table(texts)],
    )


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, identity: CacheIdentity, texts: list[str], forward: Callable[..., np.ndarray]) -> Write:
    def write(name: str = "cache", **changes: object) -> Path:
        arguments: dict[str, object] = {
            "out": tmp_path / name,
            "scratch": tmp_path / f"{name}-scratch",
            "identity": identity,
            "shards": shards(table(texts)),
            "forward": forward,
            "on_shard": lambda rows: None,
        }
        write_logit_cache(**(arguments | changes))  # type: ignore[arg-type]
        return tmp_path / name

    return write


def test_the_cache_says_what_the_teacher_says_in_any_order(
    write: Write, identity: CacheIdentity, texts: list[str], forward: Callable[..., np.ndarray]
) -> None:
    cache = LogitCache.open(write(), identity)
    shuffled = np.random.default_rng(0).permutation(texts).tolist()
    online = forward(shuffled)
    cached = cache.lookup([content_id(text) for text in shuffled])
    np.testing.assert_allclose(cached, online, atol=1e-5)
    assert (cached.argmax(axis=1) == online.argmax(axis=1)).all()


def test_a_text_that_is_not_in_the_cache_is_named_even_next_to_its_parent(
    write: Write, identity: CacheIdentity, texts: list[str]
) -> None:
    cache = LogitCache.open(write(), identity)
    augmented = content_id(f"{texts[0]} [MASK]")
    with pytest.raises(CacheError, match=rf"(?s)1 of 2 rows have no logits.*{augmented}"):
        cache.lookup([content_id(texts[0]), augmented])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("teacher_weights", {"model.safetensors": "0" * 64}),
        ("teacher_config", "0" * 64),
        ("tokenizer", {"tokenizer.json": "0" * 64}),
        ("max_length", 23),
        ("precision", "bfloat16"),
        ("storage_dtype", "float16"),
        ("labels", ("fine", "bad", "good")),
        ("num_rows", 39),
        ("rows_sha256", "0" * 64),
        ("features", ("hidden:1",)),
        ("feature_tokens", "all"),
    ],
)
def test_a_stale_cache_is_refused_and_says_what_differs(
    write: Write, identity: CacheIdentity, field: str, value: object
) -> None:
    folder = write()
    with pytest.raises(StaleCacheError, match=rf"(?s)has another identity.*{field}:"):
        LogitCache.open(folder, identity.model_copy(update={field: value}))


def test_the_identity_changes_with_every_file_of_the_teacher(
    teacher_folder: Path, identity: CacheIdentity, tmp_path: Path, texts: list[str]
) -> None:
    for file in sorted(path.name for path in teacher_folder.iterdir()):
        folder = shutil.copytree(teacher_folder, tmp_path / file)
        with (folder / file).open("ab") as handle:
            handle.write(b" ")
        changed = identify(
            folder,
            max_length=identity.max_length,
            precision=identity.precision,
            storage_dtype=identity.storage_dtype,
            labels=identity.labels,
            content_ids=[row[0] for row in table(texts)],
        )
        assert identity.differences(changed), f"a change of {file} went unseen"


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "swap"])
def test_a_damaged_shard_is_refused(write: Write, identity: CacheIdentity, damage: str) -> None:
    folder = write()
    file = folder / "00001.logits.npy"
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    elif damage == "truncate":
        content = content[:-4]
    elif damage == "swap":  # two rows of logits change places
        row = 3 * 4
        content[-row:], content[-2 * row : -row] = content[-2 * row : -row], content[-row:]
    file.unlink() if damage == "delete" else file.write_bytes(content)
    with pytest.raises(CorruptCacheError, match=r"00001.logits.npy was changed after it was written"):
        LogitCache.open(folder, identity)


def test_a_cache_without_its_card_is_refused(write: Write, identity: CacheIdentity) -> None:
    folder = write()
    (folder / "card.json").unlink()
    with pytest.raises(CorruptCacheError, match="incomplete cache"):
        LogitCache.open(folder, identity)


def test_rows_swapped_when_the_cache_was_written_are_found_by_asking_the_teacher_again(
    write: Write, identity: CacheIdentity, texts: list[str], forward: Callable[..., np.ndarray]
) -> None:
    def swapped(some: Sequence[str]) -> np.ndarray:
        logits = forward(some)
        logits[[0, -1]] = logits[[-1, 0]]
        return logits

    ids = [content_id(text) for text in texts]
    good = LogitCache.open(write("good"), identity)
    assert check_sample(good, ids, texts, forward, tolerance=1e-4) < 1e-4
    bad = LogitCache.open(write("bad", forward=swapped), identity)
    with pytest.raises(StaleCacheError, match="do not match the teacher"):
        check_sample(bad, ids, texts, forward, tolerance=1e-4)


def test_a_teacher_whose_logits_are_no_numbers_does_not_match_its_cache(
    write: Write, identity: CacheIdentity, texts: list[str], forward: Callable[..., np.ndarray]
) -> None:
    cache = LogitCache.open(write(), identity)
    with pytest.raises(StaleCacheError, match="largest difference nan over 40 rows"):
        check_sample(cache, [*map(content_id, texts)], texts, lambda some: forward(some) * np.nan, tolerance=1e-4)


class KilledError(Exception):
    """Stands for a kill between two shards, or within one."""


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_killed_run_resumes_at_the_next_shard_and_ends_with_the_same_bytes(
    write: Write, forward: Callable[..., np.ndarray], killed_at: int, tmp_path: Path
) -> None:
    whole = write("whole")
    asked: list[int] = []

    def dying(some: Sequence[str]) -> np.ndarray:
        asked.append(len(some))
        if len(asked) == killed_at:
            raise KilledError
        return forward(some)

    with pytest.raises(KilledError):
        write("resumed", forward=dying)
    # and a half-written shard lies about, as a kill in the middle of a write would leave it
    (tmp_path / "resumed-scratch" / f"{killed_at - 1:05d}.logits.npy").write_bytes(b"half")
    again: list[int] = []
    resumed = write("resumed", forward=lambda some: (again.append(len(some)), forward(some))[1])
    assert len(again) == 5 - (killed_at - 1)
    assert sha256_files(resumed) == sha256_files(whole)


def test_shards_of_another_teacher_in_scratch_are_not_used(
    write: Write, identity: CacheIdentity, forward: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    asked: list[int] = []

    def dying(some: Sequence[str]) -> np.ndarray:
        asked.append(len(some))
        if len(asked) == 3:
            raise KilledError
        return forward(some)

    with pytest.raises(KilledError):
        write("one", forward=dying)
    again: list[int] = []
    write(
        "one",
        identity=identity.model_copy(update={"teacher_config": "0" * 64}),
        forward=lambda some: (again.append(len(some)), forward(some))[1],
    )
    assert len(again) == 5


def test_rows_out_of_order_or_twice_are_refused(write: Write, texts: list[str]) -> None:
    rows = table(texts)
    for wrong in ([*rows[1:], rows[0]], [rows[0], rows[0], *rows[1:]]):
        with pytest.raises(CacheError, match="ascending order"):
            write(shards=shards(wrong))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_not_cached(
    write: Write, forward: Callable[..., np.ndarray], value: float
) -> None:
    def broken(some: Sequence[str]) -> np.ndarray:
        logits = forward(some)
        logits[0, 0] = value
        return logits

    with pytest.raises(CacheError, match="cannot be cached"):
        write(forward=broken)


def test_logits_beyond_the_storage_type_and_of_other_rows_are_not_cached(
    write: Write, identity: CacheIdentity, forward: Callable[..., np.ndarray]
) -> None:
    half = identity.model_copy(update={"storage_dtype": "float16"})
    with pytest.raises(CacheError, match="finite as float16: False"):
        write(identity=half, forward=lambda some: forward(some) + np.float32(1e5))
    with pytest.raises(CacheError, match=r"shape \(8, 3\).*\n.*shape \(9, 3\)"):
        write(forward=lambda some: forward(some)[1:])


def test_float16_logits_are_as_good_as_exact_at_the_temperatures_in_use() -> None:
    logits = (np.random.default_rng(0).standard_normal((500, 52)) * 4).astype(np.float32)
    restored = logits.astype(np.float16).astype(np.float32)
    for temperature in (1.0, 2.0, 4.0):
        p, q = log_softmax(logits / temperature), log_softmax(restored / temperature)
        assert (np.exp(p) * (p - q)).sum(axis=1).mean() < 1e-5


def test_no_file_of_the_cache_is_a_pickle(write: Write) -> None:
    for file in write().glob("*.npy"):
        np.load(file, allow_pickle=False)
