"""Small prepared folders for the transfer set."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prepared_sets import write_prepared


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Path]:
    numbers = iter(range(100))
    return lambda **texts: write_prepared(tmp_path / f"prepared{next(numbers)}", **texts)
