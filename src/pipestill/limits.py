"""Rounding of figures that miss a limit, so that the rounded figure misses it too."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def rounded_past(found: float, limit: float, step: str) -> str:
    """Round a figure away from the limit that it misses: 0.01003 above 0.01 reads 0.0101 and not 0.0100.

    Args:
        found: figure below a lower limit or above an upper one.
        limit: limit that the figure misses.
        step: unit of the last decimal, such as "0.001".
    """
    direction = ROUND_FLOOR if found < limit else ROUND_CEILING
    return str(Decimal(str(found)).quantize(Decimal(step), direction))
