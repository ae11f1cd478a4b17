"""`pipestill predict FOLDER`: text in, JSON lines out.

An output line holds `line` (of the input, counted from 1), `label`, `score` and `probabilities`; with more than one
INPUT also `input`. Lines come in the order of the rows, each batch as soon as it is computed.

A row that cannot be used (not UTF-8, blank, not JSON, no such key, ...) is reported with its line number on standard
error, and its output line holds `line` and `error`. With --skip-bad it has no output line and is only counted.

Exit codes: 0 every row was classified, or the others were skipped; 1 the artifact or an input cannot be used; 2 wrong
arguments; 3 some rows could not be used, the others were classified; 130 interrupted (Ctrl-C).
A reader that closes the pipe early (`| head`) ends the command quietly with 0.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from pipestill.errors import PipestillError, PredictError
from pipestill.predict.classifier import Classifier
from pipestill.predict.rows import FORMATS, Row, read_rows
from pipestill.variants import INT8

OK, UNUSABLE, SOME_ROWS_BAD, INTERRUPTED = 0, 1, 3, 130
STANDARD_INPUT = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the module for the codes."""
    parsed = _parse(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the terminal's locale
    try:
        return _predict(parsed, sys.stdout)
    except BrokenPipeError:
        # Python flushes stdout at exit and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except PipestillError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    commands = argparse.ArgumentParser(prog="pipestill", description="Run a pipestill artifact.")
    commands.add_argument("command", choices=["predict"], metavar="COMMAND", help="predict: text in, JSON lines out")
    commands.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="see `pipestill predict --help`")
    # No sub-parsers: with them, options may not stand between FOLDER and INPUT.
    return _parser().parse_intermixed_args(commands.parse_args(arguments).rest)


def _parser() -> argparse.ArgumentParser:
    predict = argparse.ArgumentParser(
        prog="pipestill predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    predict.add_argument("folder", type=Path, metavar="FOLDER", help="the artifact folder")
    predict.add_argument("inputs", nargs="*", metavar="INPUT", help="files to read; standard input where none or -")
    predict.add_argument("--file", default=INT8.file, help="the ONNX file in the folder (default: %(default)s)")
    predict.add_argument("--input", choices=FORMATS, default="lines", help="default: %(default)s")
    predict.add_argument("--text-column", default="text", help="key or column of the text (default: %(default)s)")
    predict.add_argument("--separator", type=_separator, help="between columns of csv and tsv, such as ';' or TAB")
    predict.add_argument("--batch-size", type=_positive, default=1, help="rows computed at once (default: %(default)s)")
    predict.add_argument("--threads", type=_positive, default=1, help="threads of one batch (default: %(default)s)")
    predict.add_argument("--top-k", type=_positive, help="labels to give probabilities of (default: all)")
    predict.add_argument("--skip-bad", action="store_true", help="leave rows that cannot be used out, and count them")
    return predict


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _separator(text: str) -> str:
    named = {"TAB": "\t", r"\t": "\t"}.get(text, text)
    if len(named) != 1 or named in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character, nor TAB")
    return named


def _predict(parsed: argparse.Namespace, out: TextIO) -> int:
    classifier = Classifier(parsed.folder, file=parsed.file, threads=parsed.threads)
    names = parsed.inputs or [STANDARD_INPUT]
    num_bad = 0
    for name in names:
        writer = _Writer(classifier, name, parsed, out, {"input": name} if len(names) > 1 else {})
        for batch in _batches(_read(name, parsed), parsed.batch_size):
            num_bad += writer.write(batch)
        writer.finish()
    if num_bad:
        done = "skipped" if parsed.skip_bad else "could not be classified"
        print(f"{num_bad} {'row' if num_bad == 1 else 'rows'} {done}", file=sys.stderr)
    return SOME_ROWS_BAD if num_bad and not parsed.skip_bad else OK


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Rows by the batch; where the input ends in an error, the rows before it come first."""
    batch: list[Row] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == size:
                yield batch
                batch = []
    except PipestillError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _read(name: str, parsed: argparse.Namespace) -> Iterator[Row]:
    try:
        with nullcontext(sys.stdin.buffer) if name == STANDARD_INPUT else Path(name).open("rb") as file:
            yield from read_rows(file, parsed.input, parsed.text_column, separator=parsed.separator)
    except OSError as error:
        raise PredictError(f"the input {name} cannot be read", found=error) from error
    except PredictError as error:
        raise PredictError(
            f"{name}: {error.what}", found=error.found, expected=error.expected, next_step=error.next_step
        ) from error


@dataclass
class _Writer:
    """Writes the answers to one input; `marks` is put into each output line."""

    classifier: Classifier
    name: str
    parsed: argparse.Namespace
    out: TextIO
    marks: dict[str, str]
    num_long: int = 0
    longest: tuple[int, int] = (0, 0)

    def write(self, rows: Sequence[Row]) -> int:
        """Write one line a row, in order, and return how many rows were bad."""
        good = [row.text for row in rows if row.problem is None]
        predictions = iter(self.classifier.predict(good, top_k=self.parsed.top_k, batch_size=self.parsed.batch_size))
        for row in rows:
            if row.problem is None:
                self._print(row.line, **next(predictions)._asdict())
                self._see(row)
            elif not self.parsed.skip_bad:
                print(f"{self.name}, line {row.line}: {row.problem}", file=sys.stderr)
                self._print(row.line, error=row.problem)
        self.out.flush()  # who reads the pipe sees each batch at once
        return len(rows) - len(good)

    def finish(self) -> None:
        """Say on standard error which texts of a csv took several lines: a quote too many swallows rows."""
        if self.num_long:
            length, line = self.longest
            print(
                f"{self.name}: {self.num_long} text(s) have line ends; the longest, on line {-line}, takes {length} "
                "lines. If that is more than one text, its quotes do not match",
                file=sys.stderr,
            )

    def _see(self, row: Row) -> None:
        if self.parsed.input == "csv" and "\n" in row.text:
            self.num_long += 1
            self.longest = max(self.longest, (row.text.count("\n") + 1, -row.line))

    def _print(self, line: int, **values: object) -> None:
        print(json.dumps({**self.marks, "line": line, **values}, ensure_ascii=False), file=self.out)
