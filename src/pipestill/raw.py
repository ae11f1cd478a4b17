"""The seam between fetch and prepare: which raw files there are, and how their rows are read.

It lies below both rooms, so that an edit to sources/ cannot rerun prepare, nor one to data/ fetch.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

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
DELIMITED = ("csv", "tsv")
"""The formats that a separator parts into columns, and that may quote a field."""


def _one_separator(value: str) -> str:
    if not re.fullmatch(r'[^\w\s"]|[ \t]', value):
        raise ValueError('one character between columns, such as ";" or, in double quotes, "\\t"')
    return value


Separator = Annotated[str, AfterValidator(_one_separator)]
"""The one character between columns."""


class Reader(Record):
    """How the rows of the raw files are read.

    A column is named, or counted from 0 where the file has no header.

    Attributes:
        format: of every file; a file may be compressed by gzip as well.
        text_column: the column of the text.
        label_column: the column of the label.
        header: csv and tsv: whether the first line names the columns.
        separator: csv and tsv: the character between columns; None for the format's own.
        quoted: csv and tsv: whether double quotes enclose a field; None for the format's own rule.
        label_rule: how a label is made of its column.
        label_names: names that whole numbers stand for, counted from 0; empty where the column holds the names.
    """

    format: Format
    text_column: Column
    label_column: Column
    header: bool = True
    separator: Separator | None = None
    quoted: bool | None = None
    label_rule: LabelRule = "as_is"
    label_names: tuple[str, ...] = ()

    @property
    def column_separator(self) -> str:
        """The character between columns: a comma in csv, a tab in the others, unless `separator` names another."""
        return self.separator or ("," if self.format == "csv" else "\t")

    @property
    def quotes_enclose(self) -> bool:
        """Whether double quotes enclose a field: `quoted`, or where it is left out yes in csv and no in tsv."""
        return self.format in DELIMITED and (self.format == "csv" if self.quoted is None else self.quoted)


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
