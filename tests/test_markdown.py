"""Texts of users in Markdown, read back by a parser of CommonMark with GitHub's tables."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from pipestill.markdown import escaped

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = [
    "a|b", r"i\j", r"a\|b", "`code`", "a `` b", "*bold*", "**bold**", "_italics_", "__bold__", "bert_l3_hard", "~~gone~~",
    "<b>bold</b>", "<script>", "&lt;", "R&D", "[link](place)", "![image](place)", "[bold]o[/bold]", "{p}", 'g "h"',
    "$0-$50", r"$\frac$", "# heading", "- item", "+ item", "> quoted", "1. first", "12) twelfth", "===", "体育", "😀",
]  # fmt: skip


def shown(markdown: str, tag: str) -> list[str]:
    """What a reader sees in the elements of one kind; any element inside stays visible as its tag."""
    return [
        html.unescape(text) for text in re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", PARSER.render(markdown), re.DOTALL)
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_reads_as_it_is_in_a_paragraph_a_list_and_a_table(text: str) -> None:
    written = escaped(text)
    assert shown(written, "p") == [text]
    assert shown(f"- {written}", "li") == [text]
    assert shown(f"- the text {written}", "li") == [f"the text {text}"]
    assert shown(f"| head |\n|---|\n| {written} |", "td") == [text]


def test_line_ends_become_spaces() -> None:
    assert escaped("m\nn\r\no\n") == "m n o"


def test_a_name_with_underscores_inside_stays_as_it_is() -> None:
    assert escaped("bert_l3_hard") == "bert_l3_hard"


def test_a_dollar_never_opens_a_formula() -> None:
    assert escaped("$0-$50") == r"\$0-\$50"
