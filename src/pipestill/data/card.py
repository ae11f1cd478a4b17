"""The data card: what is in the data, what was dropped or repaired, and why."""

from pipestill.records import Record

REASONS = {
    "blank_text": "nothing was left of the text",
    "blank_label": "no label was given",
    "no_sign": "a rating of exactly 0 is neither positive nor negative",
    "over_long": "longer than max_chars",
    "exact_duplicate": "the same text with the same label stays once",
    "normalised_duplicate": "the same text but for case, width or white space stays once",
    "contradictory_label": "a text that has different labels",
    "in_test_already": "a test row has the text",
    "in_dev_already": "a dev row has the text",
    "in_pool_already": "a labelled row has the text",
    "unseen_label": "no train row has this label",
}
"""Every reason for which a row can go."""
REPAIRS = {
    "byte_order_mark": "a byte order mark at the start of a file was removed (files)",
    "crlf_line_ends": "CRLF was read as a line end (lines)",
    "blank_lines": "a line without anything was skipped (lines)",
    "html_entities": "entities such as &amp; were resolved",
    "lone_surrogates": "half of a surrogate pair became U+FFFD",
    "control_characters": "control characters such as NUL were removed",
    "unicode_nfc": "the text was brought to Unicode NFC",
    "white_space": "white space was squeezed to single spaces",
    "cut_over_long": "the text was cut at max_chars",
    "label": "white space or control characters of a label were mended",
}
"""Every repair; of rows where nothing else is said."""


class SplitCard(Record):
    """One table: rows, rows by label, and lengths in characters."""

    num_rows: int
    num_rows_by_label: dict[str, int]
    length_chars: dict[str, float]


class Contradiction(Record):
    """A text that was given several labels, in one file or across splits."""

    text: str
    labels: tuple[str, ...]


class DataCard(Record):
    """The data card."""

    name: str
    kind: str
    origin: str
    licence: str
    num_rows_read: dict[str, int]
    num_repaired: dict[str, int]
    num_dropped: dict[str, dict[str, int]]
    num_contradictory_texts: int
    contradictions: tuple[Contradiction, ...]
    rare_labels: dict[str, int]
    labels_without_dev_rows: tuple[str, ...]
    labels_without_test_rows: tuple[str, ...]
    splits: dict[str, SplitCard]


def card_markdown(card: DataCard) -> str:
    """The card as Markdown, for people."""
    lines = [f"# Data card: {card.name}", "", f"From {card.origin} ({card.kind}). Licence: {card.licence}.", ""]
    lines += ["| split | rows | labels | mean chars | median | 95% | longest |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, split in card.splits.items():
        length = split.length_chars
        numbers = [split.num_rows, len(split.num_rows_by_label)]
        numbers += [round(length[key]) for key in ("mean", "p50", "p95", "max")] if length else [0, 0, 0, 0]
        lines.append("| " + " | ".join([name, *(f"{number:,}" for number in numbers)]) + " |")
    lines += ["", "## Labels", "", "| label | train | dev | test |", "|---|--:|--:|--:|"]
    for label in card.splits["train"].num_rows_by_label:
        counts = [card.splits[name].num_rows_by_label.get(label, 0) for name in ("train", "dev", "test")]
        lines.append(f"| {_cell(label)} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    lines += ["", "## Rows read, dropped and repaired", ""]
    lines += [f"- read as {role}: {count:,}" for role, count in card.num_rows_read.items()]
    for place, reasons in card.num_dropped.items():
        lines += [f"- dropped from {place}: {count:,} ({REASONS[reason]})" for reason, count in reasons.items()]
    lines += [f"- repaired: {count:,} ({REPAIRS[repair]})" for repair, count in card.num_repaired.items()]
    if card.rare_labels:
        lines.append(f"- rare labels, kept whole in train: {_cell(', '.join(card.rare_labels))}")
    lines += [f"- no dev row has the label {_cell(label)}" for label in card.labels_without_dev_rows]
    lines += [f"- no test row has the label {_cell(label)}" for label in card.labels_without_test_rows]
    if card.num_contradictory_texts:
        lines += ["", f"## Contradictions: {card.num_contradictory_texts:,} text(s) with several labels, such as", ""]
        lines += [f"- {_cell(', '.join(item.labels))}: {_cell(item.text)}" for item in card.contradictions]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
