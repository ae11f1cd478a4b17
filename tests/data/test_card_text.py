"""The data card as Markdown, with labels that are full of its signs."""

import itertools

from markdown_it import MarkdownIt

from pipestill.data.card import Contradiction, DataCard, SplitCard
from pipestill.data.card_text import card_markdown

LABELS = ("$0-$50", "a|b", "[bold]o[/bold]", "<i>j</i>", "*k*", "`l`", "m\nn", "1. first", "体育")
PARSER = MarkdownIt("commonmark").enable("table")


def a_card(*labels: str) -> DataCard:
    split = SplitCard(
        num_rows=len(labels),
        num_rows_by_label=dict.fromkeys(labels, 1),
        length_chars={"mean": 3.0, "p50": 3.0, "p95": 4.0, "max": 5.0},
    )
    return DataCard(
        name="a *data* set",
        kind="local",
        origin="data/local/_x_.csv",
        licence="<none>",
        num_rows_read={"train": len(labels)},
        num_repaired={},
        num_dropped={},
        num_contradictory_texts=1,
        contradictions=(Contradiction(text="# a | text\n<b>", labels=labels[:2]),),
        rare_labels=dict.fromkeys(labels, 1),
        rare_label_rows=2,
        look_alike_labels=(),
        notes=("the label *k* is odd",),
        labels_without_dev_rows=(),
        labels_without_test_rows=labels[:1],
        splits=dict.fromkeys(("train", "dev", "test", "unlabelled"), split),
    )


def test_a_reader_sees_each_label_as_it_is() -> None:
    tokens = PARSER.parse(card_markdown(a_card(*LABELS)))
    cells = [after.content for token, after in itertools.pairwise(tokens) if token.type == "td_open"]
    inline = [token for token in tokens if token.type == "inline"]
    kinds = {child.type for token in inline for child in token.children or ()}
    shown = ["".join(child.content for child in token.children or ()) for token in inline]
    assert kinds == {"text"}, "no label became markup"
    assert len(cells) == 4 * 7 + 4 * len(LABELS)
    for label in LABELS:
        assert label.replace("\n", "\\x0a") in shown
    assert "Data card: a *data* set" in shown
    assert "From data/local/_x_.csv (local). Licence: <none>." in shown
    assert r"$0-$50, a|b: # a | text <b>" in shown
