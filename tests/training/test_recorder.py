"""Features of every encoder family, against what the encoder itself says where it says it."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tiny
from pipestill.errors import ModelError
from pipestill.losses._features import Features
from pipestill.losses._products import scaled_products
from pipestill.sites import Part, Site
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier
from pipestill.teacher.from_base import new_classifier
from pipestill.text.batching import collate
from pipestill.training.recorder import Recorder, sizes_of

FAMILIES = sorted(tiny.SIZES)
ATTENTION: tuple[Part, ...] = ("query", "key", "value")
EVERYTHING = [
    *(Site("hidden", layer) for layer in range(tiny.LAYERS + 1)),
    *(Site(part, layer) for part in ATTENTION for layer in range(1, tiny.LAYERS + 1)),
]


@pytest.fixture(params=FAMILIES)
def classifier(request: pytest.FixtureRequest, tmp_path: Path, labels: LabelSet) -> TorchClassifier:
    made = new_classifier(tiny.save_base(tmp_path, request.param), labels=labels, max_length=24, dropout=0.0)
    made.model.eval()
    return made


def batch() -> tuple[Tensor, Tensor]:
    rows = [[2, *range(5, 5 + count), 3] for count in (3, 9, 6)]
    collated = collate(rows, 0)
    return collated["input_ids"], collated["attention_mask"]


def record(classifier: TorchClassifier, sites: list[Site]) -> tuple[Tensor, Features]:
    logits, features = Recorder(classifier.model, sites).run(*batch())
    assert features is not None
    return logits, features


def test_sizes_are_read_from_every_family_s_config(classifier: TorchClassifier) -> None:
    sizes = sizes_of(classifier.model)
    assert (sizes.num_layers, sizes.num_heads) == (tiny.LAYERS, tiny.HEADS)
    assert sizes.hidden_size == classifier.model.config.hidden_size


def test_hidden_states_are_those_of_the_encoder(classifier: TorchClassifier) -> None:
    ids, mask = batch()
    with torch.no_grad():
        _, features = record(classifier, EVERYTHING)
        encoder = classifier.model.base_model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    torch.testing.assert_close(features.tensors[Site("hidden", tiny.LAYERS)], encoder.last_hidden_state)
    states = [features.tensors[Site("hidden", layer)] for layer in range(tiny.LAYERS + 1)]
    for one, other in pairwise(states):
        assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_from_queries_and_keys_is_what_the_encoder_attends_to(
    classifier: TorchClassifier, attention: str
) -> None:
    """Asked for its attentions the fast implementation gives none; queries and keys are there with both."""
    ids, mask = batch()
    classifier.model.set_attn_implementation(attention)
    with torch.no_grad():
        _, features = record(classifier, EVERYTHING)
        classifier.model.set_attn_implementation("eager")
        told = classifier.model(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
    assert len(told) == tiny.LAYERS
    for layer, expected in enumerate(told, start=1):
        query, key = features.tensors[Site("query", layer)], features.tensors[Site("key", layer)]
        scores = scaled_products(query, key, features.sizes.num_heads)
        found = scores.masked_fill(~mask[:, None, None, :].bool(), -1e9).softmax(dim=-1)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_layers_that_share_their_weights_are_told_apart(classifier: TorchClassifier) -> None:
    _, features = record(classifier, EVERYTHING)
    assert features.tensors.keys() == set(EVERYTHING)
    for part in ATTENTION:
        tensors = [features.tensors[Site(part, layer)] for layer in range(1, tiny.LAYERS + 1)]
        for one, other in pairwise(tensors):
            assert (one - other).abs().max() > 1e-4


def test_recording_changes_no_logit_and_leaves_no_hook(classifier: TorchClassifier) -> None:
    with torch.no_grad():
        plain, nothing = Recorder(classifier.model, []).run(*batch())
        logits, features = record(classifier, [Site("query", 2)])
    assert nothing is None
    assert torch.equal(plain, logits)
    assert features.tensors.keys() == {Site("query", 2)}
    names = {"query", "key", "value", "q_lin", "k_lin", "v_lin"}
    for name, module in classifier.model.named_modules():
        if name.rpartition(".")[2] in names:
            assert not module._forward_hooks


def test_a_feature_has_a_gradient_to_the_weights_before_it(classifier: TorchClassifier) -> None:
    _, features = record(classifier, [Site("key", 2)])
    features.tensors[Site("key", 2)].square().sum().backward()
    gradient = classifier.model.get_input_embeddings().weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_padding_changes_no_feature_of_a_real_token(classifier: TorchClassifier) -> None:
    ids, mask = batch()
    longer = torch.nn.functional.pad(ids, (0, 20), value=7)
    more = torch.nn.functional.pad(mask, (0, 20))
    with torch.no_grad():
        logits, features = Recorder(classifier.model, EVERYTHING).run(ids, mask)
        other_logits, others = Recorder(classifier.model, EVERYTHING).run(longer, more)
    assert features is not None
    assert others is not None
    torch.testing.assert_close(logits, other_logits, atol=1e-5, rtol=1e-4)
    for site in EVERYTHING:
        short, long = features.tensors[site], others.tensors[site][:, : ids.shape[1]]
        torch.testing.assert_close(short[mask.bool()], long[mask.bool()], atol=1e-5, rtol=1e-4, msg=str(site))


def test_a_model_that_does_not_show_its_attention_is_refused(classifier: TorchClassifier) -> None:
    for module in [*classifier.model.modules()]:
        for name in ("query", "q_lin"):
            if hasattr(module, name):
                hidden = getattr(module, name)
                delattr(module, name)
                setattr(module, name, torch.nn.Sequential(hidden))
    with pytest.raises(ModelError, match=r"(?s)does not show a query for each.*0 for 4 layers"):
        Recorder(classifier.model, [Site("query", 1)]).run(*batch())
