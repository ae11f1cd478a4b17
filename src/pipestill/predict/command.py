"""`pipestill predict FOLDER`: text in, JSON lines out.

Exit codes: 0 every row was classified; 1 the artifact or an input cannot be used; 2 wrong arguments; 3 some rows could
not be used (each is reported and has an output line with `error`), the others were classified; 130 interrupted.
A reader that closes the pipe early (`| head`) ends the command quietly with 0.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

from pipestill.errors import PipestillError, PredictError
from pipestill.predict.classifier import QUANTISED, Classifier
from pipestill.predict.rows import Row, read_rows

OK, UNUSABLE, SOME_ROWS_BAD, INTERRUPTED = 0, 1, 3, 130
STANDARD_INPUT = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the module for the codes."""
    parsed = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pipestill", description="Run a pipestill artifact.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = commands.add_parser(
        "predict",
        help="classify text: lines, JSONL or CSV in, JSON lines out",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument("folder", type=Path, metavar="FOLDER", help="the artifact folder")
    predict.add_argument("inputs", nargs="*", metavar="INPUT", help="files to read; standard input where none or -")
    predict.add_argument("--file", default=QUANTISED, help="the ONNX file in the folder (default: %(default)s)")
    predict.add_argument("--input", choices=("lines", "jsonl", "csv"), default="lines", help="default: %(default)s")
    predict.add_argument("--text-column", default="text", help="key or column of the text (default: %(default)s)")
    predict.add_argument("--batch-size", type=_positive, default=1, help="rows computed at once (default: %(default)s)")
    predict.add_argument("--threads", type=_positive, default=1, help="threads of one batch (default: %(default)s)")
    predict.add_argument("--top-k", type=_positive, help="labels to give probabilities of (default: all)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _predict(parsed: argparse.Namespace, out: TextIO) -> int:
    classifier = Classifier(parsed.folder, file=parsed.file, threads=parsed.threads)
    num_bad = 0
    for name in parsed.inputs or [STANDARD_INPUT]:
        rows = _read(name, parsed)
        while batch := list(islice(rows, parsed.batch_size)):
            num_bad += _write(classifier, batch, name, parsed.top_k, out)
    if num_bad:
        print(f"{num_bad} row(s) could not be classified", file=sys.stderr)
    return SOME_ROWS_BAD if num_bad else OK


def _read(name: str, parsed: argparse.Namespace) -> Iterator[Row]:
    if name == STANDARD_INPUT:
        yield from read_rows(sys.stdin.buffer, parsed.input, parsed.text_column)
        return
    try:
        with Path(name).open("rb") as file:
            yield from read_rows(file, parsed.input, parsed.text_column)
    except OSError as error:
        raise PredictError(f"the input {name} cannot be read", found=error) from error


def _write(classifier: Classifier, rows: Sequence[Row], name: str, top_k: int | None, out: TextIO) -> int:
    """Write one line a row, in order, and return how many rows were bad."""
    good = [row.text for row in rows if row.problem is None]
    predictions = iter(classifier.predict(good, top_k=top_k, batch_size=max(1, len(good))))
    for row in rows:
        if row.problem is None:
            line = json.dumps(next(predictions)._asdict(), ensure_ascii=False)
        else:
            print(f"{name}, row {row.number}: {row.problem}", file=sys.stderr)
            line = json.dumps({"row": row.number, "error": row.problem}, ensure_ascii=False)
        out.write(f"{line}\n")
    out.flush()  # who reads the pipe sees each batch at once
    return len(rows) - len(good)
