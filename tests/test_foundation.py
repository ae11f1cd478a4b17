"""Seeds, fingerprints, records, environment, errors."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipestill import errors, records
from pipestill.environment import read_environment
from pipestill.errors import PipestillError, RecordError
from pipestill.fingerprint import content_id, sha256_file, sha256_files, sha256_json
from pipestill.records import Record, read_record, write_json
from pipestill.seeding import derive_seed, seed_everything


class Point(Record):
    """A record for these tests."""

    value: float


def test_a_derived_seed_is_the_same_on_every_machine_and_another_for_every_use() -> None:
    assert derive_seed(17, "mask_words", "abc", 0) == 2440383947
    seeds = {derive_seed(seed, name, copy) for seed in range(5) for name in ("a", "b") for copy in range(5)}
    assert len(seeds) == 50
    assert derive_seed(1, "ab", "c") != derive_seed(1, "a", "bc")


def test_seeding_makes_numpy_and_torch_repeat() -> None:
    import torch

    drawn = []
    for _ in range(2):
        seed_everything(3)
        drawn.append((float(np.random.rand()), torch.rand(1).item()))  # noqa: NPY002
    assert drawn[0] == drawn[1]


def test_fingerprints_are_known_values() -> None:
    assert content_id("") == "cae66941d9efbd404e4d88758ea67670"
    assert sha256_json({"b": 1, "a": "é"}) == sha256_json({"a": "é", "b": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": 1.5})


def test_a_folder_is_the_names_and_contents_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/two").write_text("2")
    (tmp_path / "one").write_text("1")
    found = sha256_files(tmp_path)
    assert list(found) == ["b/two", "one"]
    assert found["one"] == sha256_file(tmp_path / "one")


def test_a_record_is_the_same_bytes_for_the_same_values_and_comes_back(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_json(tmp_path / name, Point(value=0.1))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_record(tmp_path / "a.json", Point) == Point(value=0.1)
    assert json.loads((tmp_path / "a.json").read_text()) == {"value": 0.1}


def test_a_kill_while_writing_leaves_the_old_record_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, Point(value=1.0))

    def killed(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, Point(value=2.0))
    assert read_record(path, Point).value == 1.0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"{", b'{"value": "x"}', b'{"value": 1, "more": 2}', b"\xff"])
def test_a_record_that_is_missing_or_malformed_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordError, match=r"(?s)a.json.*dvc repro"):
        read_record(path, Point)


def test_a_number_that_is_none_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        Point(value=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert records.Record.model_config["frozen"]


def test_the_environment_says_what_a_number_was_measured_on() -> None:
    environment = read_environment()
    assert environment.num_cpus >= 1
    assert environment.memory_bytes > 2**28
    assert environment.packages["torch"].startswith("2.13.0")
    assert environment.cpu_model


def test_an_error_names_the_thing_what_was_found_what_was_expected_and_the_next_step() -> None:
    error = PipestillError("the thing", found=1, expected=2, next_step="do this")
    assert str(error).splitlines() == ["the thing", "  found:    1", "  expected: 2", "  next:     do this"]


def test_the_tree_in_the_errors_docstring_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, PipestillError):
            assert name in drawn
