"""The check before training that a base can be exported after it."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

import tiny
from pipestill.errors import ModelError
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier
from pipestill.teacher.from_base import new_classifier
from pipestill.teacher.tracing import check_exportable, input_names


def build(folder: Path, family: str, labels: LabelSet) -> TorchClassifier:
    torch.manual_seed(5)
    return new_classifier(tiny.save_base(folder, family), labels=labels, max_length=24, dropout=0.1)


@pytest.mark.parametrize("family", [*tiny.SIZES, "gpt2"])
def test_families_that_export_pass_and_stay_as_they_are(family: str, tmp_path: Path, labels: LabelSet) -> None:
    classifier = build(tmp_path, family, labels)
    before = {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}
    state, attention = torch.random.get_rng_state(), classifier.model.config._attn_implementation
    check_exportable(classifier.model, classifier.tokenizer)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert classifier.model.config._attn_implementation == attention
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.model.state_dict().items())


def test_longformer_loads_and_is_refused_because_its_trace_fits_one_length(tmp_path: Path, labels: LabelSet) -> None:
    classifier = build(tmp_path, "longformer", labels)
    with pytest.raises(ModelError, match=r"(?s)a LongformerForSequenceClassification cannot be exported.*one length"):
        check_exportable(classifier.model, classifier.tokenizer)


class Counted(nn.Module):
    """Scales by the number of tokens, computed in Python: right in PyTorch, a constant in a trace."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier
        self.num_tokens = 1

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.classifier(hidden) * self.num_tokens


def test_logits_that_a_trace_computes_for_one_length_are_refused(teacher: TorchClassifier) -> None:
    model = teacher.model
    model.classifier = counted = Counted(model.classifier)
    model.get_input_embeddings().register_forward_pre_hook(
        lambda _, inputs: setattr(counted, "num_tokens", int(inputs[0].shape[1]))
    )
    with pytest.raises(ModelError, match=r"(?s)cannot be exported.*differ by .*% on inputs of other lengths"):
        check_exportable(model, teacher.tokenizer)


class Transformed(nn.Module):
    """Uses an operation that ONNX lacks."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.fft.fft(hidden).real)


def test_an_operation_that_onnx_lacks_is_named(teacher: TorchClassifier, capfd: pytest.CaptureFixture[str]) -> None:
    teacher.model.classifier = Transformed(teacher.model.classifier)
    with pytest.raises(ModelError, match=r"(?s)its trace cannot be written.*fft"):
        check_exportable(teacher.model, teacher.tokenizer)


def test_segments_are_no_input_of_a_model_whose_config_names_no_number_of_them(
    tmp_path: Path, labels: LabelSet
) -> None:
    model: PreTrainedModel = build(tmp_path, "gpt2", labels).model
    assert input_names(model) == ("input_ids", "attention_mask")
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        invented = model(input_ids=ids, token_type_ids=torch.zeros_like(ids)).logits
        assert not torch.allclose(invented, model(input_ids=ids).logits, atol=1e-3)  # GPT-2 adds the token 0 to each
