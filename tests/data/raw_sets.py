"""Raw rows and rules for the tests of this room."""

from typing import Any

from pipestill.raw import Reader

RULES: dict[str, Any] = {
    "cleaning": {"unescape_html": True, "max_chars": 2000, "over_long": "cut"},
    "split": {"seed": 0, "dev_fraction": 0.2, "test_fraction": 0.2, "rare_label_rows": 3},
    "contradictions": "drop",
    "unseen_labels": "error",
}
CSV = Reader(format="csv", text_column="text", label_column="label")


def good_rows(count: int = 60) -> list[tuple[str, str]]:
    """Distinct texts with the labels `no` and `yes` in turn."""
    return [(f"sentence number {index} of a small set", ("no", "yes")[index % 2]) for index in range(count)]


def csv_bytes(rows: list[tuple[str, str]]) -> bytes:
    return "".join(["text,label\n", *(f'"{text}","{label}"\n' for text, label in rows)]).encode()
