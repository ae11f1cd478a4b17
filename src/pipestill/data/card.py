"""The data card: counts of rows by split and label, of dropped rows by reason, and of repairs."""

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
"""Every reason for which a row can be dropped."""
REPAIRS = {
    "byte_order_mark": "a byte order mark at the start of a file was removed (files)",
    "crlf_line_ends": "CRLF was read as a line end (lines)",
    "blank_lines": "an empty line was skipped (lines)",
    "html_entities": "entities such as &amp; were resolved",
    "lone_surrogates": "half of a surrogate pair became U+FFFD",
    "control_characters": "control characters such as NUL were removed",
    "unicode_nfc": "the text was brought to Unicode NFC",
    "white_space": "white space was squeezed to single spaces",
    "utf_16": "UTF-16 was decoded (files)",
    "separator_line": "a first line such as `sep=;`, as Excel writes it, was taken as the separator (files)",
    "line_ends_in_quotes": "a quoted field has line ends in it",
    "cut_over_long": "the text was cut at max_chars",
    "label": "white space or control characters of a label were repaired",
}
"""Every repair; its unit is rows unless the text names another."""


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
    rare_label_rows: int
    look_alike_labels: tuple[dict[str, int], ...]
    notes: tuple[str, ...]
    labels_without_dev_rows: tuple[str, ...]
    labels_without_test_rows: tuple[str, ...]
    splits: dict[str, SplitCard]
