"""Paths of students' settings."""

import pytest

from pipestill.student_files import is_settings_file, settings_file


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (settings_file("bert_pruned").as_posix(), True),
        ("data/ablation/students/static.json", True),
        ("models/students/bert_pruned", False),
        ("data/code/distill-bert_pruned.json", False),
        ("data/prepared/labels.json", False),
    ],
)
def test_a_students_settings_are_known_by_their_folder(path: str, *, expected: bool) -> None:
    assert is_settings_file(path) == expected
