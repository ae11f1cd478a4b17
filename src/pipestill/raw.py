"""The interface between fetch and prepare: the raw files, and the settings for reading their rows.

Both packages import it, so that an edit to sources/ cannot rerun prepare, nor one to data/ fetch.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipestill.records import Record

RAW = Path("data/raw")
"""Folder of the raw files and their manifest."""
MANIFEST = RAW / "source.json"

Role = Literal["train", "dev", "test", "all", "unlabelled"]
"""Purpose of a raw file; `all` is one pool from which train, dev and test are cut."""
Format = Literal["csv", "tsv", "jsonl", "parquet", "tab"]
"""Format of a raw file; `tab` is Orange's: tab-separated, the first of three header lines names the columns."""
Column = str | Annotated[int, Field(ge=0)]
"""A column by its name, or counted from 0."""
LabelRule = Literal["as_is", "sign"]
"""Rule for labels. `as_is`: the value of the column. `sign`: the sign of a rating, where exactly 0 has no label."""
MAX_ROW_BYTES = 64 << 20
"""Longest row of a file, in bytes. A longer one is not a text, and would fill the memory."""
DELIMITED = ("csv", "tsv")
"""Formats with a separator between columns, and with optional quotes around fields."""


def _one_separator(value: str) -> str:
    if not re.fullmatch(r'[^\w\s"]|[ \t]', value):
        raise ValueError('one character between columns, such as ";" or, in double quotes, "\\t"')
    return value


Separator = Annotated[str, AfterValidator(_one_separator)]
"""The one character between columns."""


class Reader(Record):
    """The settings for reading the rows of the raw files.

    A column is named, or counted from 0 where the file has no header.

    Attributes:
        format: format of every file; a file may be compressed by gzip as well.
        text_column: column of the text.
        label_column: column of the label.
        header: csv and tsv: whether the first line names the columns.
        separator: csv and tsv: the character between columns; None for the format's own.
        quoted: csv and tsv: whether double quotes enclose a field; None for the format's own rule.
        label_rule: rule for making a label from its column.
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
        """Character between columns: a comma in csv, a tab in the others, unless `separator` names another."""
        return self.separator or ("," if self.format == "csv" else "\t")

    @property
    def quotes_enclose(self) -> bool:
        """True if double quotes enclose a field: `quoted`, or by default true in csv and false in tsv."""
        return self.format in DELIMITED and (self.format == "csv" if self.quoted is None else self.quoted)


class RawFile(Record):
    """One raw file; its path is relative to the manifest's folder."""

    path: str
    sha256: str
    size_bytes: int
    role: Role


class RawManifest(Record):
    """The record of the fetched files: origin, licence, and the settings for reading them."""

    kind: Literal["package", "hub", "local"]
    name: str
    origin: str
    licence: str
    files: tuple[RawFile, ...]
    reader: Reader
