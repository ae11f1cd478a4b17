"""Choosing layers by number or by preset."""

import pytest

from pipestill.errors import ModelError, ParamsError
from pipestill.params import Section, parse_section
from pipestill.surgery.layers import LayerChoice, LayerPreset, chosen_layers


@pytest.mark.parametrize(
    ("preset", "num_layers", "available", "expected"),
    [
        ("uniform", 3, 6, (0, 2, 5)),
        ("uniform", 6, 12, (0, 2, 4, 6, 8, 11)),
        ("uniform", 1, 6, (0,)),
        ("uniform", 6, 6, (0, 1, 2, 3, 4, 5)),
        ("first", 2, 6, (0, 1)),
        ("last", 2, 6, (4, 5)),
        ("last", 6, 6, (0, 1, 2, 3, 4, 5)),
    ],
)
def test_a_preset_names_as_many_layers_as_asked_for(
    preset: str, num_layers: int, available: int, expected: tuple[int, ...]
) -> None:
    choice = LayerPreset.model_validate({"preset": preset, "num_layers": num_layers})
    assert chosen_layers(choice, available) == expected


@pytest.mark.parametrize("preset", ["uniform", "first", "last"])
def test_more_layers_than_there_are_is_an_error(preset: str) -> None:
    choice = LayerPreset.model_validate({"preset": preset, "num_layers": 7})
    with pytest.raises(ModelError, match=r"(?s)num_layers=7.*layers 0 to 5"):
        chosen_layers(choice, 6)


def test_a_list_is_kept_in_its_order() -> None:
    assert chosen_layers((3, 0, 3), 4) == (3, 0, 3)


class _Chooser(Section):
    layers: LayerChoice


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], r"s\.layers \(found \[\]\): at least one layer is needed"),
        ({"preset": "middle", "num_layers": 2}, r"s\.layers\.preset \(found 'middle'\).*'uniform', 'first' or 'last'"),
        ({"preset": "first", "num_layers": 0}, r"s\.layers\.num_layers \(found 0\)"),
        ([1.5], r"s\.layers\.0 \(found 1\.5\)"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_by_name(layers: object, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        parse_section({"s": {"layers": layers}}, "s", _Chooser)
