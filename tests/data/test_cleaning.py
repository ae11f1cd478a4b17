"""Cleaning: what it changes it names; what is clean it leaves."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipestill.data.cleaning import _CONTROLS, CleaningRules, clean_label, clean_text, normalise
from pipestill.data.split import split_of, split_position, text_key
from pipestill.predict.texts import is_blank

RULES = CleaningRules(unescape_html=False, max_chars=50, over_long="cut")


@given(st.text(max_size=80))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    first = clean_text(text, RULES)
    if first.text is None:
        assert first.reason == "blank_text"
        return
    assert clean_text(first.text, RULES) == (first.text, (), None)
    assert 0 < len(first.text) <= 50
    assert first.text.isascii() or unicodedata.is_normalized("NFC", first.text)
    assert (first.text == text) == (not first.repairs)
    first.text.encode("utf-8")


def test_entities_stay_where_params_say_so() -> None:
    assert clean_text("a &amp; b", RULES) == ("a &amp; b", (), None)
    mended = clean_text("a &amp;\u00a0b &#x1F600;", RULES.model_copy(update={"unescape_html": True}))
    assert mended == ("a & b \U0001f600", ("html_entities", "white_space"), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go to ?a=1&region=us&sect=2&copy=2", "go to ?a=1&region=us&sect=2&copy=2"),
        ("R&D is not&able, &notable; &nosuch; &; &#; &#x;", "R&D is not&able, &notable; &nosuch; &; &#; &#x;"),
        ("&lt;b&gt; &eacute;&#233;&#xE9;&#XE9; &frac12;", "<b> éééé ½"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_only_whole_entities_are_resolved_and_only_once(text: str, expected: str) -> None:
    cleaned = clean_text(text, RULES.model_copy(update={"unescape_html": True}))
    assert cleaned.text == expected
    assert cleaned.repairs == (() if text == expected else ("html_entities",))


def test_joiners_inside_emoji_stay() -> None:
    assert clean_text("\U0001f469\u200d\U0001f680", RULES).repairs == ()


def test_a_label_keeps_its_case_and_digits() -> None:
    assert clean_label(" 01 Spam\t&amp;\0 ") == "01 Spam &amp;"


def test_normalised_texts_differ_in_case_width_and_space_only() -> None:
    assert normalise("  \uff26\uff35\uff2c\uff2c  Width ﬁ\u00a0x") == normalise("full width fi X")
    assert normalise("good :)") != normalise("good :(")


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(-(2**31), 2**31))
def test_a_position_is_a_fraction_that_depends_on_text_and_seed(text: str, seed: int) -> None:
    position = split_position(text_key(text), seed)
    assert 0 <= position < 1
    assert position == split_position(text_key(f" {text} "), seed)
    assert split_of(position, dev_fraction=0, test_fraction=0) == "train"


def test_a_text_is_blank_by_the_rule_by_which_data_are_prepared() -> None:
    """predict shares no code with data/, so the two rules are compared character by character."""
    rules = CleaningRules(unescape_html=False, max_chars=10, over_long="cut")
    others = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000
        and (clean_text(chr(code), rules).text is None) != is_blank(chr(code))
        and not _CONTROLS.match(chr(code))  # preparing takes these out before it looks
    ]
    assert others == []
