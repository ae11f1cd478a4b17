"""The seam between fetch and prepare: which raw files there are, and how their rows are read.

It lies below both rooms, so that an edit to sources/ cannot rerun prepare, nor one to data/ fetch.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipestill.records import Record

RAW = Path("data/raw")
"""Where fetch puts the raw files, and the manifest beside them."""
MANIFEST = RAW / "source.json"

Role = Literal["train", "dev", "test", "all", "unlabelled"]
"""What a raw file is for; `all` is one pool from which train, dev and test are cut."""
Format = Literal["csv", "tsv", "jsonl", "parquet", "tab"]
"""`tab` is Orange's: tab-separated, the first of three header lines names the columns."""
Column = str | Annotated[int, Field(ge=0)]
"""A column by its name, or counted from 0."""
LabelRule = Literal["as_is", "sign"]
"""`as_is`: the label is what the column says. `sign`: of a rating; exactly 0 has no label."""


class Reader(Record):
    """How the rows of the raw files are read.

    A column is named, or counted from 0 where the file has no header. `quoted` is about csv and tsv only.
    """

    format: Format
    text_column: Column
    label_column: Column
    header: bool = True
    quoted: bool = True
    label_rule: LabelRule = "as_is"


class RawFile(Record):
    """One raw file; its path is relative to the manifest's folder."""

    path: str
    sha256: str
    size_bytes: int
    role: Role


class RawManifest(Record):
    """What fetch fetched: where it comes from, under which licence, and how to read it."""

    kind: Literal["package", "hub", "local"]
    name: str
    origin: str
    licence: str
    files: tuple[RawFile, ...]
    reader: Reader
