"""Texts and prepared folders for the tests of this room."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.data.schema import LABELLED, UNLABELLED_ROWS
from pipestill.data.tables import TableWriter
from pipestill.fingerprint import content_id

TEXT = "the plot of this film is slow but the actors play well and music carries every scene to its end"
WORDS = TEXT.split()


def sentences(prefix: str, count: int) -> list[str]:
    """Distinct texts of 4 to 13 words."""
    return [f"{prefix}{index} {' '.join(WORDS[index % 7 : index % 7 + 3 + index % 10])}" for index in range(count)]


def write_prepared(folder: Path, **texts: Sequence[str]) -> Path:
    """Write the four prepared tables; every label_id is the length of the text modulo 2."""
    for name in ("train", "dev", "test", "unlabelled"):
        ordered = sorted((content_id(text), text) for text in texts.get(name, ()))
        with TableWriter(folder / f"{name}.parquet", UNLABELLED_ROWS if name == "unlabelled" else LABELLED) as writer:
            writer.write({"content_id": key, "text": text, "label_id": len(text) % 2} for key, text in ordered)
    return folder
