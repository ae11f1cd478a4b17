"""Numbers that change over a training."""

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from pipestill.schedules import Schedule, Temperature, Weight, extremes, number_at


def schedule(kind: str, start: float, end: float) -> Schedule:
    return Schedule.model_validate({"kind": kind, "start": start, "end": end})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("linear", [4.0, 3.25, 2.5, 1.0]),
        ("cosine", [4.0, 1 + 3 * (1 + math.sqrt(0.5)) / 2, 2.5, 1.0]),
    ],
)
def test_a_schedule_goes_from_start_to_end_as_its_kind_says(kind: str, values: list[float]) -> None:
    found = [number_at(schedule(kind, 4.0, 1.0), progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx(values)


@pytest.mark.parametrize("number", [0.3, schedule("constant", 0.3, 0.3)])
def test_a_number_stays_what_it_is(number: float | Schedule) -> None:
    assert [number_at(number, progress) for progress in (0.0, 0.7, 1.0)] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_no_value_lies_outside_the_extremes(kind: str) -> None:
    number = schedule(kind, 0.2, 3.0)
    low, high = extremes(number)
    assert (low, high) == (0.2, 3.0)
    assert all(low <= number_at(number, step / 50) <= high for step in range(51))


@pytest.mark.parametrize("value", [-0.1, {"kind": "linear", "start": 1.0, "end": -0.1}, True, "1"])
def test_a_weight_below_zero_or_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Weight).validate_python(value, strict=True)


def test_a_weight_may_be_zero_and_a_temperature_may_not() -> None:
    falling = {"kind": "cosine", "start": 1.0, "end": 0.0}
    assert extremes(TypeAdapter(Weight).validate_python(falling)) == (0.0, 1.0)
    with pytest.raises(ValidationError, match="greater than 0"):
        TypeAdapter(Temperature).validate_python(falling)
