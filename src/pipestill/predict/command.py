"""`pipestill predict FOLDER`: text in, JSON lines out.

An output line holds `line` (of the input, counted from 1), `label`, `score` and `probabilities`; with more than one
INPUT also `input`. Lines come in the order of the rows, each batch as soon as it is computed.

A row that cannot be used (not UTF-8, blank, not JSON, no such key, longer than 16 MiB, ...) or whose logits are not
finite numbers is reported with its line number on standard error, and its output line holds `line` and `error`. With
--skip-bad it has no output line and is only counted.

Exit codes: 0 every row was classified, or the others were skipped; 1 the artifact, an input or the output cannot be
used; 2 wrong arguments; 3 some rows could not be used, the others were classified; 130 interrupted (Ctrl-C).
A reader that closes the pipe early (`| head`) ends the command quietly with 0.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from pipestill.errors import PipestillError, PredictError
from pipestill.predict.bounds import MOST_ROWS_AT_ONCE, MOST_THREADS
from pipestill.predict.rows import FORMATS, Row, read_rows
from pipestill.variants import INT8

if TYPE_CHECKING:
    from pipestill.predict.classifier import Classifier

OK, UNUSABLE, SOME_ROWS_BAD, INTERRUPTED = 0, 1, 3, 130
STANDARD_INPUT = "-"
NOT_FINITE = "the model's logits are not finite numbers"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the module for the codes."""
    try:
        parsed = _parse(arguments)
        out = _standard_output()
        with _ending_at_ctrl_c():
            classifier = _open(parsed)
        return _predict(parsed, classifier, out)
    except BrokenPipeError:
        _drop(sys.stdout)
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except PipestillError as error:
        _report(f"error: {error}")
        return UNUSABLE


@contextmanager
def _ending_at_ctrl_c() -> Iterator[None]:
    """End the process at Ctrl-C at once, while nothing is written yet.

    A KeyboardInterrupt inside the import of onnxruntime becomes an ImportError with a traceback.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # ignored in the background, or the caller's own
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _standard_output() -> TextIO:
    if not sys.stdout:
        raise PredictError("standard output is closed", expected="an open one, for the answers")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the terminal's locale
    return sys.stdout


def _standard_input() -> BinaryIO:
    if not sys.stdin:
        raise PredictError("standard input is closed", next_step="name a file to read, or pipe the texts in")
    return sys.stdin.buffer


def _drop(stream: TextIO) -> None:
    """Send what a stream has not written yet nowhere: Python writes it at exit, and would complain and end in 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _report(line: str) -> None:
    """Write a line to standard error, if it can be written: a lost message must not cost the answers.

    With a closed one, `print` would write the line among the answers.
    """
    if sys.stderr:
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:
            _drop(sys.stderr)


@contextmanager
def _writing() -> Iterator[None]:
    """Turn an error of writing answers into a PredictError; a closed pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop(sys.stdout)
        raise PredictError(
            "the answers cannot be written", found=error, next_step="free some space, or write them elsewhere"
        ) from error


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
    predict.add_argument(
        "--batch-size", type=_up_to(MOST_ROWS_AT_ONCE), default=1, help="rows computed at once (default: %(default)s)"
    )
    predict.add_argument(
        "--threads", type=_up_to(MOST_THREADS), default=1, help="threads of one batch (default: %(default)s)"
    )
    predict.add_argument("--top-k", type=_up_to(None), help="labels to give probabilities of (default: all)")
    predict.add_argument("--skip-bad", action="store_true", help="leave rows that cannot be used out, and count them")
    return predict


def _up_to(most: int | None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = 0
        if value < 1 or (most is not None and value > most):
            limits = "at least 1" if most is None else f"from 1 to {most}"
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number, {limits}")
        return value

    return parse


def _separator(text: str) -> str:
    named = {"TAB": "\t", r"\t": "\t"}.get(text, text)
    if len(named) != 1 or named in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character, nor TAB")
    return named


def _open(parsed: argparse.Namespace) -> "Classifier":
    from pipestill.predict.classifier import Classifier

    return Classifier(parsed.folder, file=parsed.file, threads=parsed.threads)


def _predict(parsed: argparse.Namespace, classifier: "Classifier", out: TextIO) -> int:
    names = parsed.inputs or [STANDARD_INPUT]
    num_bad = 0
    for name in names:
        writer = _Writer(classifier, name, parsed, out, {"input": _printable(name)} if len(names) > 1 else {})
        for batch in _batches(writer.take(_read(name, parsed)), parsed.batch_size):
            num_bad += writer.write(batch)
        writer.finish()
    if num_bad:
        done = "skipped" if parsed.skip_bad else "could not be classified"
        _report(f"{num_bad} {'row' if num_bad == 1 else 'rows'} {done}")
    return SOME_ROWS_BAD if num_bad and not parsed.skip_bad else OK


def _printable(name: str) -> str:
    """Return a file's name as UTF-8 can write it: file systems allow any bytes."""
    return name.encode("utf-8", errors="backslashreplace").decode()


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
        with nullcontext(_standard_input()) if name == STANDARD_INPUT else Path(name).open("rb") as file:
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

    classifier: "Classifier"
    name: str
    parsed: argparse.Namespace
    out: TextIO
    marks: dict[str, str]
    num_long: int = 0
    longest: tuple[int, int] = (0, 0)

    def take(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Shorten the texts that are read, so that a batch of long ones fits into memory."""
        for row in rows:
            if row.problem is None:
                self._see(row)
                yield row._replace(text=self.classifier.shorten(row.text))
            else:
                yield row

    def write(self, rows: Sequence[Row]) -> int:
        """Write one line a row, in order, and return how many rows were bad."""
        good = [row.text for row in rows if row.problem is None]
        predictions = iter(self.classifier.classify(good, top_k=self.parsed.top_k))
        num_bad = 0
        with _writing():
            for row in rows:
                prediction = next(predictions) if row.problem is None else None
                if prediction is not None:
                    self._print(row.line, **prediction._asdict())
                else:
                    num_bad += 1
                    self._refuse(row.line, row.problem or NOT_FINITE)
            self.out.flush()  # who reads the pipe sees each batch at once
        return num_bad

    def finish(self) -> None:
        """Say on standard error which texts of a csv took several lines: a quote too many swallows rows."""
        if self.num_long:
            length, line = self.longest
            _report(
                f"{self.name}: {self.num_long} text(s) have line ends; the longest, on line {-line}, takes {length} "
                "lines. If that is more than one text, its quotes do not match"
            )

    def _see(self, row: Row) -> None:
        if self.parsed.input == "csv" and "\n" in row.text:
            self.num_long += 1
            self.longest = max(self.longest, (row.text.count("\n") + 1, -row.line))

    def _refuse(self, line: int, problem: str) -> None:
        if not self.parsed.skip_bad:
            _report(f"{self.name}, line {line}: {problem}")
            self._print(line, error=problem)

    def _print(self, line: int, **values: object) -> None:
        print(json.dumps({**self.marks, "line": line, **values}, ensure_ascii=False, allow_nan=False), file=self.out)
