"""Long texts are cut before they are tokenised: whatever the text, the kept ids are those of the whole text."""

import random
import string
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from pipestill import truncation
from pipestill.text.standalone import encode_alone, standalone
from pipestill.text.tokenizer import encode
from pipestill.truncation import Shortener, boundary_of
from text.pretrained_tokenizers import CORPUS, KINDS

LENGTH = 7
WORDS = [*CORPUS, *["\u4e2d\u56fd\u4eba \u4e2d\u56fd \u4eba\u4e2d \u0416\u0438\u0437\u043d\u044c"] * 50]
"""Chinese characters that make words with each other, so that a cut between them would show."""


def trained(model: str, normalizer: Any, pre_tokenizer: Any) -> Tokenizer:
    """A tokenizer of the made-up words that truncates at LENGTH tokens, two of them special."""
    made = {
        "WordPiece": (models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=9), trainers.WordPieceTrainer),
        "BPE": (models.BPE(unk_token="[UNK]", fuse_unk=True), trainers.BpeTrainer),
        "Unigram": (models.Unigram(), trainers.UnigramTrainer),
    }
    empty, trainer = made[model]
    tokenizer = Tokenizer(empty)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    extra: dict[str, Any] = {"unk_token": "[UNK]"} if model == "Unigram" else {}
    if model == "BPE":
        extra = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
    special = ["[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(WORDS, trainer(vocab_size=500, special_tokens=special, show_progress=False, **extra))
    tokenizer.add_tokens(
        [AddedToken("ss"), AddedToken("<m>", lstrip=True, rstrip=True), AddedToken("a", single_word=True)]
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_truncation(LENGTH)
    return tokenizer


SPACES = normalizers.Replace(Regex(" {2,}"), " ")
QUOTES = normalizers.Replace("``", '"')
CUTTABLE: dict[str, Callable[[], Tokenizer]] = {
    "BERT": lambda: trained("WordPiece", normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "BERT, cased": lambda: trained(
        "WordPiece", normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    ),
    "byte level": lambda: trained("BPE", None, pre_tokenizers.ByteLevel()),
    "digits, then byte level": lambda: trained(
        "BPE",
        normalizers.NFC(),
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel()]),
    ),
    "ALBERT": lambda: trained(
        "Unigram",
        normalizers.Sequence([QUOTES, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), SPACES]),
        pre_tokenizers.Metaspace(),
    ),
    "white space, then metaspace": lambda: trained(
        "Unigram",
        normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(), SPACES]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    ),
    "words and signs": lambda: trained("BPE", normalizers.NFKC(), pre_tokenizers.Whitespace()),
    "Chinese before metaspace": lambda: trained(
        "Unigram", normalizers.Sequence([normalizers.BertNormalizer(), SPACES]), pre_tokenizers.Metaspace()
    ),
}


def dropping_out() -> Tokenizer:
    tokenizer = trained("BPE", None, pre_tokenizers.WhitespaceSplit())
    tokenizer.model.dropout = 0.5
    return tokenizer


def with_token(content: str) -> Tokenizer:
    tokenizer = trained("WordPiece", normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer())
    tokenizer.add_tokens([AddedToken(content)])
    return tokenizer


WHOLE: dict[str, Callable[[], Tokenizer]] = {
    "no pre-tokenizer": lambda: trained("Unigram", None, None),
    "metaspace that does not split": lambda: trained("Unigram", None, pre_tokenizers.Metaspace(split=False)),
    "byte level without its pattern": lambda: trained("BPE", None, pre_tokenizers.ByteLevel(use_regex=False)),
    "a pattern": lambda: trained("BPE", None, pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated")),
    "punctuation alone": lambda: trained("BPE", None, pre_tokenizers.Punctuation()),
    "a replaced space": lambda: trained("BPE", normalizers.Replace(" ", "_"), pre_tokenizers.WhitespaceSplit()),
    "a replaced letter": lambda: trained("BPE", normalizers.Replace("a", " "), pre_tokenizers.WhitespaceSplit()),
    "another pattern": lambda: trained(
        "BPE", normalizers.Replace(Regex(r"\s+\w"), "-"), pre_tokenizers.WhitespaceSplit()
    ),
    "dropout": dropping_out,
    "an added token of two words": lambda: with_token("a e"),
    "an added token that is normalised to two": lambda: with_token("a\u4e2d"),
}


@cache
def made(kind: str) -> Tokenizer:
    return {**CUTTABLE, **WHOLE}[kind]()


def shortener(tokenizer: Tokenizer) -> Shortener:
    return Shortener(tokenizer, lambda text: bool(tokenizer.encode(text).overflowing), keeps_first=True)


PIECES = [
    *string.ascii_letters,
    *string.digits,
    *("a ", " e", "n o", "  ", " ", " ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2003", "\u2028"),
    *(
        "\u0301",
        "\u0308",
        "\u3099",
        "\u200d",
        "\u200b",
        "\u00ad",
        "\ufeff",
        "\0",
        "\x7f",
        "\ufffd",
        "\ufe0f",
    ),  # dropped, or marks
    *("\u00e9", "e\u0301", "\u0130", "\u00df", "\u0149", "\u037a", "\ufdfa", "\ufc5e", "\u00b4", "\u2026", "\u00bd"),
    *("\u0600", "\u06dd", "\u0d4e", "\U000110bd"),  # join the grapheme of what follows
    *(
        "\u4e2d",
        "\u56fd",
        "\u4eba",
        "\u3042",
        "\u30ab",
        "\uff9e",
        "\uac00",
        "\u1100",
        "\u1161",
        "\u0e01",
        "\u0905",
        "\u0645",
    ),
    *("\U0001f600", "\U0001f468\u200d\U0001f469", "\u0416", "\u0439", "\u03a3", "\u03c2", "\u05d0"),
    *("ss", "<m>", " <m> ", "[SEP]", "``", "''", "'s", "'ll", "_", "\u2581", "-", ".", "!?", "@", "\u3002", "[", "]"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=90).map("".join)


@pytest.fixture(autouse=True)
def early_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of a few characters count as long."""
    monkeypatch.setattr(truncation, "FIRST_CHARS", 2)


def check_each_kind(text: str) -> None:
    for kind in CUTTABLE:
        tokenizer = made(kind)
        shorter = shortener(tokenizer)(text)
        assert text.startswith(shorter)
        assert tokenizer.encode(shorter).ids == tokenizer.encode(text).ids, (kind, text, shorter)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_the_kept_ids_of_a_shortened_text_are_those_of_the_whole(text: str) -> None:
    check_each_kind(text)


@pytest.mark.parametrize("seed", range(4))
def test_words_beside_hostile_characters_keep_their_ids(seed: int) -> None:
    """Words of the vocabulary, so that the cut falls inside the text, with a hostile piece here and there."""
    draw = random.Random(seed)
    for _ in range(100):
        words = [draw.choice(CORPUS[draw.randrange(len(CORPUS))].split()) for _ in range(30)]
        for _ in range(draw.randrange(12)):
            at = draw.randrange(len(words))
            words[at] += draw.choice(PIECES)
        check_each_kind(draw.choice(["", " ", "\n"]) + " ".join(words))


@pytest.mark.parametrize("kind", CUTTABLE)
def test_a_long_text_is_cut_behind_the_kept_tokens(kind: str) -> None:
    shorten = shortener(made(kind))
    assert len(shorten("a e n o " * 10_000)) < 200
    assert shorten("ae") == "ae"


@pytest.mark.parametrize("kind", WHOLE)
def test_a_tokenizer_that_may_read_across_every_cut_gets_the_whole_text(kind: str) -> None:
    text = "a e n o " * 100
    assert boundary_of(made(kind)) is None
    assert shortener(made(kind))(text) == text


def test_chinese_without_spaces_is_cut_for_bert() -> None:
    assert len(shortener(made("BERT"))("\u4e2d\u56fd" * 1000)) < 100
    text = "\u4e2d\u56fd" * 1000
    assert shortener(made("byte level"))(text) == text


def test_a_text_without_a_boundary_stays_whole() -> None:
    for text in ("x" * 5000, "\u0301 " * 5000, ". " * 5000):
        assert shortener(made("BERT"))(text) == text


def test_texts_whose_last_tokens_are_kept_stay_whole() -> None:
    text = "a e n o " * 100
    assert Shortener(made("BERT"), lambda _: True, keeps_first=False)(text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_training_and_applications_keep_the_ids_of_the_whole_text(kind: str) -> None:
    tokenizer = KINDS[kind]()
    tokenizer.model_max_length = LENGTH
    shipped = standalone(tokenizer)
    draw = random.Random(0)
    texts = [" ".join(draw.choices(CORPUS, k=9)) for _ in range(20)]
    assert encode(tokenizer, texts) == encode_alone(shipped, texts)


@pytest.mark.parametrize("side", ["right", "left"])
def test_training_tokenises_a_long_text_no_further_than_it_keeps(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = KINDS["WordPiece"]()
    tokenizer.model_max_length = LENGTH
    tokenizer.truncation_side = side
    seen: list[int] = []
    call = type(tokenizer).__call__

    def watched(self: Any, text: Any, **settings: Any) -> Any:
        seen.extend(map(len, [text] if isinstance(text, str) else text))
        return call(self, text, **settings)

    monkeypatch.setattr(type(tokenizer), "__call__", watched)
    text = "a e n o " * 1000
    ids = encode(tokenizer, [text])
    assert (max(seen) < 200) == (side == "right")
    monkeypatch.undo()
    assert ids == encode_alone(standalone(tokenizer), [text])
