"""What every registered student architecture owes, whoever adds it."""

import importlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto
from pydantic import TypeAdapter
from transformers import PreTrainedModel

import tiny
from contracts.every_student import (
    KINDS,
    LABELS,
    MAX_LENGTH,
    RATES,
    SETTINGS,
    VOCABULARY,
    build_on_rows,
    random_bert,
    spec_of,
)
from exporters.exporter_models import FURTHER, further, int8, kind_of
from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter, open_table, read_columns
from pipestill.errors import ModelError
from pipestill.exporters._base import FurtherExporter
from pipestill.exporters.artifact import shape_of, torch_logits
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.parity import measure_parity
from pipestill.exporters.quantised_share import measure_share
from pipestill.exporters.session import compute_logits, open_session, pad
from pipestill.exporters.trace import trace
from pipestill.fingerprint import content_id
from pipestill.losses.params import CrossEntropySpec, Term
from pipestill.sites import Site
from pipestill.students.params import StudentKind
from pipestill.tasks import CLASSES
from pipestill.teacher import TorchClassifier, load_classifier, save_classifier
from pipestill.text.tokenizer import load_tokenizer
from pipestill.training.callbacks import Callbacks
from pipestill.training.classifier import train_classifier
from pipestill.training.inputs import TrainingInputs
from pipestill.training.params import TrainingSettings
from pipestill.training.recorder import Recorder
from pipestill.training.signals import NoTeacher

ROWS = [list(np.random.default_rng(length).integers(4, VOCABULARY, length)) for length in (9, 3, 12, 5, 16, 2, 7, 8)]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TorchClassifier:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.save_tokenizer(folder)
    return TorchClassifier(random_bert(), load_tokenizer(folder, MAX_LENGTH), LABELS, "")


def build(kind: str, teacher: TorchClassifier) -> PreTrainedModel:
    return build_on_rows(spec_of(kind), teacher.model).model.eval()


def size_of(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_lies_in_the_file_of_its_name(kind: str) -> None:
    module = importlib.import_module(f"pipestill.students.{kind}")
    assert callable(module.build)
    assert len(module.__doc__ or "") > 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_is_smaller_than_its_teacher_and_says_the_same_after_saving(
    kind: str, teacher: TorchClassifier, tmp_path: Path
) -> None:
    model = build(kind, teacher)
    assert size_of(model) < size_of(teacher.model)
    save_classifier(TorchClassifier(model, teacher.tokenizer, teacher.labels, ""), tmp_path)
    again = load_classifier(tmp_path)
    assert again.labels == teacher.labels
    assert type(again.model) is type(model)
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    with torch.no_grad():
        torch.testing.assert_close(again.model(ids).logits, model(ids).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_is_built_the_same_twice_and_leaves_the_teacher_alone(kind: str, teacher: TorchClassifier) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    built = [build(kind, teacher) for _ in range(2)]
    for one, two in zip(built[0].parameters(), built[1].parameters(), strict=True):
        assert torch.equal(one, two)
    with torch.no_grad():
        for parameter in built[0].parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_s_facts_have_names_of_their_own_and_fractions_are_fractions(
    kind: str, teacher: TorchClassifier
) -> None:
    diagnostics = build_on_rows(spec_of(kind), teacher.model).diagnostics
    assert len({diagnostic.name for diagnostic in diagnostics}) == len(diagnostics)
    assert all(0 <= diagnostic.value <= 1 for diagnostic in diagnostics if diagnostic.unit == "fraction")
    assert all(diagnostic.name.endswith(diagnostic.unit) for diagnostic in diagnostics)


@pytest.mark.parametrize("kind", KINDS)
def test_the_check_of_params_knows_who_has_no_layer_to_read(kind: str, teacher: TorchClassifier) -> None:
    recorder = Recorder(build(kind, teacher), {Site("hidden", 1)})
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    if not spec_of(kind).has_layers:
        with pytest.raises(ModelError, match="0 for 0 layers"):
            recorder.run(ids, torch.ones_like(ids))
    else:
        _, features = recorder.run(ids, torch.ones_like(ids))
        assert features is not None


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_at_padded_positions_changes_no_logit(kind: str, teacher: TorchClassifier) -> None:
    model = build(kind, teacher)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
    with torch.no_grad():
        padded = model(torch.tensor([[2, 7, 8, 3, 0, 0, 0], [2, 7, 8, 9, 9, 9, 3]]), attention_mask=mask).logits
        garbage = model(torch.tensor([[2, 7, 8, 3, 9, 10, 11], [2, 7, 8, 9, 9, 9, 3]]), attention_mask=mask).logits
        short = model(torch.tensor([[2, 7, 8, 3]])).logits
    torch.testing.assert_close(padded, garbage, atol=1e-5, rtol=0)
    torch.testing.assert_close(padded[:1], short, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_hidden_states_come_when_asked_for_whatever_the_attention(
    kind: str, attention: str, teacher: TorchClassifier
) -> None:
    model = build(kind, teacher)
    model.set_attn_implementation(attention)
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    with torch.no_grad():
        states = model(ids, attention_mask=(ids != 0).long(), output_hidden_states=True).hidden_states
        assert model(ids).hidden_states is None
    assert len(states) == getattr(model.config, "num_hidden_layers", 0) + 1
    assert all(state.shape[:2] == (2, 4) and state.isfinite().all() for state in states)
    assert states[-1].shape[-1] == model.config.hidden_size


def rows_to_train_on(folder: Path) -> Path:
    """32 rows whose label is told by a word."""
    draw = np.random.default_rng(0)
    path = folder / "train.parquet"
    rows = []
    for row in range(32):
        words = [*draw.choice(tiny.WORDS[:8], 3), ("bad", "fine", "good")[row % 3], *draw.choice(tiny.WORDS[:8], row)]
        text = " ".join(words)
        rows.append({"content_id": content_id(text), "text": text, "label_id": row % 3})
    with TableWriter(path, LABELLED) as writer:
        writer.write(sorted(rows, key=lambda row: str(row["content_id"])))
    return path


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*pin_memory.*:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss(kind: str, precision: str, teacher: TorchClassifier, tmp_path: Path) -> None:
    path = rows_to_train_on(tmp_path)
    table = open_table(path)
    student = TorchClassifier(build(kind, teacher), teacher.tokenizer, LABELS, "")
    settings = {
        "epochs": 4,
        "batch_size": 8,
        "accumulation_steps": 1,
        "learning_rate": RATES.get(kind, 2e-3),
        "warmup_fraction": 0.0,
        "schedule": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "dropout": 0.0,
        "train_embeddings": True,
        "precision": precision,
        "selection_metric": "nll_nats",
        "checkpoint_steps": 100,
    }
    record = train_classifier(
        name=kind,
        classifier=student,
        inputs=TrainingInputs(labels=LABELS, table=table, dev=read_columns(path), scratch=tmp_path / "scratch"),
        objective=(Term(1.0, CrossEntropySpec(kind="cross_entropy")),),
        signal=NoTeacher(),
        settings=TrainingSettings.model_validate(settings),
        seed=1,
        callbacks=Callbacks(on_step=lambda step, loss, rate: None, on_epoch=lambda point: None),
    )
    assert record.epochs[-1].train_loss < 0.9 * record.epochs[0].train_loss
    assert record.num_trained_parameters == record.num_parameters == size_of(student.model)


def fp32_graph(model: PreTrainedModel, *, fuse: bool = True) -> ModelProto:
    return OnnxFp32(kind="onnx_fp32", fuse=fuse).optimise(trace(model), shape_of(model)).model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fuse", [True, False])
def test_the_fp32_file_computes_what_pytorch_computes_and_is_equal_bytes_twice(
    kind: str, fuse: bool, teacher: TorchClassifier
) -> None:
    model = build(kind, teacher)
    graph = fp32_graph(model, fuse=fuse)
    onnx.checker.check_model(graph)
    session = open_session(graph)
    record = measure_parity(
        CLASSES,
        torch_logits(model),
        lambda batch: compute_logits(session, batch),
        ROWS,
        max_length=MAX_LENGTH,
        pad_id=0,
        tolerance=1e-4,
    )
    assert record.agreement_fraction == 1
    alone = compute_logits(session, pad(ROWS[:1], pad_id=0))
    np.testing.assert_allclose(alone, compute_logits(session, pad(ROWS[:1], pad_id=0, length=40)), atol=1e-5)
    again = fp32_graph(build(kind, teacher), fuse=fuse)
    assert graph.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_int8_file_is_smaller_near_and_quantised_as_far_as_it_can_be(kind: str, teacher: TorchClassifier) -> None:
    graph = fp32_graph(build(kind, teacher))
    quantised, again = (int8().convert(graph) for _ in range(2))
    onnx.checker.check_model(quantised)
    assert quantised.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    # In models of real proportions it is 0.95 and more: small tables, which stay float, weigh most here.
    assert measure_share(graph, quantised).quantised_fraction >= 0.9
    assert len(quantised.SerializeToString()) < len(graph.SerializeToString())
    exact, session = open_session(graph), open_session(quantised)
    alone = [pad([row], pad_id=0) for row in ROWS]
    for batches in (alone, [pad(ROWS, pad_id=0)], [pad(ROWS, pad_id=0, length=32)]):
        expected, found = (
            np.concatenate([compute_logits(opened, batch) for batch in batches]) for opened in (exact, session)
        )
        # Root mean squares: one row of a random model may sit where a small step moves it far.
        assert np.sqrt(np.square(expected - found).mean()) < 0.35 * np.sqrt(np.square(expected).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exporter", FURTHER, ids=kind_of)
def test_a_further_file_computes_what_pytorch_computes_and_is_smaller(
    exporter: type[FurtherExporter], kind: str, teacher: TorchClassifier
) -> None:
    model = build(kind, teacher)
    graph = fp32_graph(model)
    converted = further(exporter).convert(graph)
    onnx.checker.check_model(converted)
    assert len(converted.SerializeToString()) < 0.9 * len(graph.SerializeToString())
    session, expected = open_session(converted), torch_logits(model)
    for batch in (pad(ROWS, pad_id=0), pad(ROWS[:1], pad_id=0, length=40)):
        difference = compute_logits(session, batch) - expected(batch)
        assert np.sqrt(np.square(difference).mean()) < 0.35 * np.sqrt(np.square(expected(batch)).mean())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "layers" in SETTINGS[kind]])
def test_an_architecture_that_does_not_fit_is_a_model_error(kind: str, teacher: TorchClassifier) -> None:
    spec = TypeAdapter(StudentKind).validate_python({"kind": kind, **SETTINGS[kind], "layers": [9]})
    with pytest.raises(ModelError):
        build_on_rows(spec, teacher.model)
