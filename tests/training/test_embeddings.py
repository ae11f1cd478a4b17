"""Embedding tables made smaller: rows of some tokens, and two narrow matrices for one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from exporters.exporter_models import bert, int8
from pipestill.errors import ModelError
from pipestill.exporters._base import Shape
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.quantised_share import measure_share
from pipestill.exporters.session import compute_logits, open_session
from pipestill.exporters.trace import trace
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, save_classifier
from pipestill.teacher.embeddings import FactorisedEmbedding
from pipestill.teacher.from_base import new_classifier
from pipestill.training.embeddings import factorise_embedding, pick_tokens

FAMILIES = ["bert", "roberta", "electra", "xlm-roberta", "albert", "distilbert"]
KEPT = [0, 1, 2, 3, 4, 7, 9, 20, 46]


def classifier_of(family: str, folder: Path, labels: LabelSet) -> TorchClassifier:
    torch.manual_seed(3)
    return new_classifier(tiny.save_base(folder, family), labels=labels, max_length=16, dropout=0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_says_the_same_of_the_kept_tokens_under_their_new_ids(
    family: str, tmp_path: Path, labels: LabelSet
) -> None:
    model = classifier_of(family, tmp_path, labels).model.eval()
    old = torch.tensor([[2, 7, 20, 46, 3, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
    with torch.no_grad():
        before = model(old, attention_mask=mask).logits
        rows, width = model.get_input_embeddings().weight.shape
        saved = pick_tokens(model, KEPT)
        new = torch.tensor([[KEPT.index(index) for index in row] for row in old.tolist()])
        torch.testing.assert_close(model(new, attention_mask=mask).logits, before)
    assert saved == (rows - len(KEPT)) * width * 4
    assert model.config.vocab_size == len(KEPT)
    assert model.config.pad_token_id == 0
    assert model.get_input_embeddings().padding_idx == 0


def test_the_ids_that_a_config_names_follow_their_tokens(teacher: TorchClassifier) -> None:
    config = teacher.model.config
    config.bos_token_id, config.eos_token_id, config.sep_token_id = 20, 21, None
    pick_tokens(teacher.model, KEPT)
    assert (config.bos_token_id, config.eos_token_id, config.sep_token_id) == (KEPT.index(20), None, None)


def test_a_model_that_counts_positions_from_its_padding_id_is_refused_when_that_would_change(
    tmp_path: Path, labels: LabelSet
) -> None:
    model = classifier_of("roberta", tmp_path, labels).model
    model.get_input_embeddings().padding_idx = 4
    with pytest.raises(ModelError, match=r"(?s)counts positions.*4 would become 1.*kind: full"):
        pick_tokens(model, [0, 4, 5])


def test_a_token_without_an_embedding_is_refused(teacher: TorchClassifier) -> None:
    with pytest.raises(ModelError, match=r"(?s)without an embedding.*id 1000"):
        pick_tokens(teacher.model, [0, 1000])


def test_two_thin_matrices_are_the_truncated_svd_of_the_table(teacher: TorchClassifier) -> None:
    weight = teacher.model.get_input_embeddings().weight.detach().clone()
    left, values, right = np.linalg.svd(weight.double().numpy(), full_matrices=False)
    energy = factorise_embedding(teacher.model, 5)
    embedding = teacher.model.get_input_embeddings()
    found = embedding(torch.arange(len(weight))[None])[0].detach().numpy()
    np.testing.assert_allclose(found, (left[:, :5] * values[:5]) @ right[:5], atol=1e-5)
    assert energy == pytest.approx((values[:5] ** 2).sum() / (values**2).sum())
    numbers = sum(parameter.numel() for parameter in embedding.parameters())
    assert numbers == len(weight) * 5 + 5 * weight.shape[1]


def test_more_energy_is_kept_by_a_wider_table(teacher_folder: Path) -> None:
    energies = [factorise_embedding(load_classifier(teacher_folder).model, size) for size in (1, 4, 8, 11)]
    assert energies == sorted(energies)
    assert 0 < energies[0] < energies[-1] < 1


def test_a_factorised_embedding_that_would_not_be_smaller_is_refused(teacher: TorchClassifier) -> None:
    with pytest.raises(ModelError, match=r"(?s)would not be smaller.*size 12 for 47 tokens of width 16.*at most 11"):
        factorise_embedding(teacher.model, 12)
    factorise_embedding(teacher.model, 11)
    with pytest.raises(ModelError, match=r"(?s)cannot be made smaller.*FactorisedEmbedding"):
        factorise_embedding(teacher.model, 5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_factorised_classifier_says_the_same_after_saving(family: str, tmp_path: Path, labels: LabelSet) -> None:
    classifier = classifier_of(family, tmp_path / "base", labels)
    factorise_embedding(classifier.model, 3)
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    with torch.no_grad():
        before = classifier.model.eval()(ids).logits
        save_classifier(classifier, tmp_path / "saved")
        again = load_classifier(tmp_path / "saved")
        torch.testing.assert_close(again.model(ids).logits, before)
    assert isinstance(again.model.get_input_embeddings(), FactorisedEmbedding)
    assert again.labels == labels
    assert not again.model.training


def test_a_factorised_classifier_that_lacks_weights_is_refused(teacher: TorchClassifier, tmp_path: Path) -> None:
    factorise_embedding(teacher.model, 3)
    save_classifier(teacher, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("bert.embeddings.word_embeddings.projection.weight")
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"(?s)lacks weights.*projection"):
        load_classifier(tmp_path)


def test_the_row_of_padding_is_not_trained(teacher: TorchClassifier) -> None:
    factorise_embedding(teacher.model, 3)
    teacher.model(torch.tensor([[2, 7, 3, 0, 0]])).logits.sum().backward()
    gradient = teacher.model.get_input_embeddings().table.weight.grad
    assert gradient[0].abs().max() == 0
    assert gradient[7].abs().max() > 0


def test_both_matrices_are_in_the_int8_file_as_8_bits(tmp_path: Path, labels: LabelSet) -> None:
    torch.manual_seed(0)
    model = bert().eval()
    factorise_embedding(model, 8)  # 600 tokens: a table above the size from which tables are quantised
    shape = Shape(model.config.num_attention_heads, model.config.hidden_size)
    fp32 = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(trace(model), shape).model
    quantised = int8().convert(fp32)
    share = measure_share(fp32, quantised)
    assert share.eligible_bytes - share.float_bytes >= (600 * 8 + 8 * 32) * 4
    table = [tensor for tensor in quantised.graph.initializer if list(tensor.dims) == [600, 8]]
    assert [tensor.data_type for tensor in table] == [3]  # int8
    assert not [t for t in quantised.graph.initializer if sorted(t.dims) == [8, 32] and t.data_type == 1]
    path = tmp_path / "model.onnx"
    path.write_bytes(fp32.SerializeToString())
    ids = np.array([[2, 7, 8, 3]])
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    with torch.no_grad():
        expected = model(**{name: torch.from_numpy(value) for name, value in batch.items()}).logits.numpy()
    np.testing.assert_allclose(compute_logits(open_session(path), batch), expected, atol=1e-4)
