"""Every model family through every registered export format."""

import numpy as np
import onnx
import pytest
from exporter_models import (
    EXPORTERS,
    MAX_LENGTH,
    VOCABULARY,
    graph_in,
    graph_of,
    int8,
    int8_graph_of,
    model_of,
    saturates,
)
from transformers import PreTrainedModel

from pipestill.errors import ExportError
from pipestill.exporters._base import Exporter, Shape
from pipestill.exporters._graph import count_operators
from pipestill.exporters.artifact import torch_logits
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.params import ExportParams
from pipestill.exporters.parity import measure_parity
from pipestill.exporters.session import compute_logits, open_session, pad
from pipestill.exporters.trace import trace
from pipestill.tasks import CLASSES

ROWS = [
    list(np.random.default_rng(length).integers(4, VOCABULARY, length)) for length in (9, 3, 12, 5, 16, 2, 7, 8, 11)
]


@pytest.mark.parametrize("fuse", [True, False])
def test_the_fp32_graph_computes_what_pytorch_computes_at_every_shape(family: str, fuse: bool) -> None:
    session = open_session(graph_of(family, fuse=fuse).model)
    record = measure_parity(
        CLASSES,
        torch_logits(model_of(family)),
        lambda batch: compute_logits(session, batch),
        ROWS,
        max_length=MAX_LENGTH,
        pad_id=0,
        tolerance=1e-4,
    )
    assert {(case.length, case.batch_size) for case in record.cases} == {
        (length, size) for length in ("1", "2", "as it is", "max") for size in (1, 3, 32)
    }
    assert record.agreement_fraction == 1


def test_every_family_is_fused_and_computes_its_last_layer_for_the_first_token_only(family: str) -> None:
    graph = graph_of(family)
    assert graph.fused_operators["Attention"] >= 1
    assert graph.first_token_only
    operators = count_operators(graph.model.graph)
    assert operators["SkipLayerNormalization"] == operators["BiasGelu"] == operators["EmbedLayerNormalization"] == 0


@pytest.mark.parametrize("fuse", [True, False])
def test_the_fp32_format_leaves_the_graph_it_is_given_alone_and_gives_equal_bytes_twice(
    tiny_bert: PreTrainedModel, fuse: bool
) -> None:
    traced = trace(tiny_bert)
    before = traced.SerializeToString(deterministic=True)
    fp32 = OnnxFp32(kind="onnx_fp32", fuse=fuse)
    first, second = (fp32.optimise(traced, Shape(4, 32)).model.SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
    assert traced.SerializeToString(deterministic=True) == before


def test_the_int8_format_leaves_the_graph_it_is_given_alone_and_gives_equal_bytes_twice() -> None:
    graph = graph_of("bert").model
    before = graph.SerializeToString(deterministic=True)
    first, second = (int8().convert(graph).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
    assert graph.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_format_is_a_valid_graph_with_free_batch_and_length(family: str, exporter: type[Exporter]) -> None:
    graph = graph_in(exporter, family)
    onnx.checker.check_model(graph)
    for value in graph.graph.input:
        assert [axis.dim_param for axis in value.type.tensor_type.shape.dim] == ["batch", "token"]
    assert [value.name for value in graph.graph.output] == ["logits"]
    session = open_session(graph)
    for size, length in ((1, 1), (2, 5), (5, 2)):
        assert compute_logits(session, pad([[4] * length] * size, pad_id=0)).shape == (size, 3)


@pytest.mark.parametrize("exporter", [exporter for exporter in EXPORTERS if exporter.variant.computes_in_floats])
def test_logits_of_a_format_that_computes_in_floats_do_not_move_with_padding(
    family: str, exporter: type[Exporter]
) -> None:
    session = open_session(graph_in(exporter, family))
    alone = compute_logits(session, pad([ROWS[0]], pad_id=0))
    padded = compute_logits(session, pad([ROWS[0]], pad_id=0, length=40))
    np.testing.assert_allclose(alone, padded, atol=1e-5)


@pytest.mark.parametrize("reduce_range", [False, True])
def test_int8_logits_stay_near_fp32_alone_and_padded(family: str, reduce_range: bool) -> None:
    if not reduce_range and saturates():
        pytest.skip("8-bit weights saturate on this CPU, which has no VNNI: `reduce_range: true` is for it")
    exact = open_session(graph_of(family).model)
    session = open_session(int8_graph_of(family, reduce_range=reduce_range))
    for batch in (pad(ROWS[:1], pad_id=0), pad(ROWS, pad_id=0), pad(ROWS, pad_id=0, length=32)):
        expected, found = compute_logits(exact, batch), compute_logits(session, batch)
        # Root mean squares: one row of a random model may sit where a small step moves it far.
        assert np.sqrt(np.square(expected - found).mean()) < 0.35 * np.sqrt(np.square(expected).mean())


def test_parity_that_fails_names_the_setting_to_try() -> None:
    logits = torch_logits(model_of("bert"))
    with pytest.raises(ExportError, match="differ from those of the PyTorch model") as caught:
        measure_parity(
            CLASSES, logits, lambda batch: logits(batch) + 1, ROWS, max_length=MAX_LENGTH, pad_id=0, tolerance=1e-4
        )
    key = str(caught.value.next_step).partition("`")[2].partition(":")[0]
    assert key == "export.fp32.fuse"
    section, name = key.split(".")[1:]
    assert name in ExportParams.model_fields[section].annotation.model_fields
