"""What a log and a terminal show of long work."""

import sys

import pytest

from pipestill import progress
from pipestill.progress import LINE_S, advancing, shown


class Clock:
    """A clock that goes on by `step_s` seconds whenever it is read."""

    def __init__(self, step_s: float) -> None:
        self._now_s = 0.0
        self._step_s = step_s

    def monotonic(self) -> float:
        self._now_s += self._step_s
        return self._now_s


def test_short_work_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(shown("abc", "letters", "rows")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_long_work_says_in_a_log_how_much_of_how_much_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "time", Clock(LINE_S / 2))
    assert list(shown(range(4), "gate", "batches")) == [0, 1, 2, 3]
    assert capsys.readouterr().out == "gate: 1 of 4 batches\ngate: 3 of 4 batches\n"


def test_work_of_unknown_length_says_how_much_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "time", Clock(LINE_S))
    assert list(shown(iter("ab"), "reviews.csv", "rows")) == ["a", "b"]
    assert capsys.readouterr().out == "reviews.csv: 0 rows\nreviews.csv: 1 rows\n"


def test_a_terminal_gets_a_bar_instead_of_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(shown(range(3), "gate", "batches")) == [0, 1, 2]
    said = capsys.readouterr()
    assert said.out == ""
    assert "gate" in said.err
    assert "0/3" in said.err


def test_work_in_pieces_says_in_a_log_what_is_done_with_every_piece(capsys: pytest.CaptureFixture[str]) -> None:
    with advancing(7, "cache_logits", "rows") as advance:
        advance(4)
        advance(3)
    assert capsys.readouterr() == ("cache_logits: 4 of 7 rows\ncache_logits: 7 of 7 rows\n", "")


def test_work_in_pieces_moves_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with advancing(7, "cache_logits", "rows") as advance:
        advance(4)
        advance(3)
    said = capsys.readouterr()
    assert said.out == ""
    assert "7/7" in said.err
