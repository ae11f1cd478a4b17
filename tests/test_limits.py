"""Figures that miss a limit, as a message shows them."""

import pytest

from pipestill.limits import rounded_past


@pytest.mark.parametrize(
    ("found", "limit", "step", "shown"),
    [
        (0.01003, 0.01, "0.0001", "0.0101"),
        (0.96996, 0.97, "0.001", "0.969"),
        (1.2999, 1.3, "0.01", "1.29"),
        (0.5, 0.3, "0.0001", "0.5000"),
        (-0.00001, 0.0, "0.0001", "-0.0001"),
        (1e-9, 0.0, "0.0001", "0.0001"),
    ],
)
def test_a_figure_that_misses_a_limit_never_reads_as_the_limit(
    found: float, limit: float, step: str, shown: str
) -> None:
    assert rounded_past(found, limit, step) == shown
    assert (float(shown) < limit) == (found < limit)
    assert float(shown) != limit
