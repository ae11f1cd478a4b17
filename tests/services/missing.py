"""What becomes of a test whose program is not installed: it fails, or where that was asked for it is skipped by name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from programs import MissingProgramError

VARIABLE = "MISSING"


@contextmanager
def skipped_where_missing() -> Iterator[None]:
    """Turn a missing program into a skip with its name if MISSING=skip; else let the error through."""
    try:
        yield
    except MissingProgramError as error:
        if os.environ.get(VARIABLE) == "skip":
            pytest.skip(str(error))
        raise
