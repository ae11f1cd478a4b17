import torch
from exporter_models import model_of
from transformers import PreTrainedModel

from pipestill.exporters._graph import count_operators
from pipestill.exporters.trace import input_names, trace


def test_a_model_in_train_mode_is_written_without_dropout_and_left_in_eval_mode(tiny_bert: PreTrainedModel) -> None:
    expected = trace(tiny_bert).SerializeToString(deterministic=True)
    tiny_bert.train()
    graph = trace(tiny_bert)
    assert count_operators(graph.graph)["Dropout"] == 0
    assert not any(module.training for module in tiny_bert.modules())
    assert graph.SerializeToString(deterministic=True) == expected


def test_the_attention_that_was_set_is_set_again(tiny_bert: PreTrainedModel) -> None:
    before = tiny_bert.config._attn_implementation
    trace(tiny_bert)
    assert tiny_bert.config._attn_implementation == before


def test_segment_ids_are_an_input_only_of_models_that_tell_segments_apart(family: str) -> None:
    model = model_of(family)
    takes = getattr(model.config, "type_vocab_size", 1) > 1
    assert ("token_type_ids" in input_names(model)) == takes


def test_tracing_draws_no_random_numbers(tiny_bert: PreTrainedModel) -> None:
    state = torch.random.get_rng_state()
    trace(tiny_bert)
    assert torch.equal(torch.random.get_rng_state(), state)
