"""Students with a pruned vocabulary and a factorised embedding, from params to a trained classifier."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from pipestill.choices import Choice
from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter, open_table, read_columns
from pipestill.errors import ParamsError
from pipestill.fingerprint import content_id
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import load_classifier, predict_logits, save_classifier
from pipestill.teacher.embeddings import FactorisedEmbedding
from pipestill.text.batching import collate
from pipestill.text.tokenizer import encode
from pipestill.training.callbacks import Callbacks
from pipestill.training.distillation import build_student, train_student
from pipestill.training.inputs import TrainingInputs
from pipestill.training.reporting import log_trained
from pipestill.training.teachers import OnlineTeacher
from training.test_objective_and_params import student

SILENT = Callbacks(on_step=lambda step, loss, rate: None, on_epoch=lambda point: None)
PRUNED = {"kind": "pruned", "min_count": 1}
pytestmark = pytest.mark.filterwarnings(
    # accelerate's and torch's own, in this process only
    "ignore:.*lr_scheduler.step.*:UserWarning",
    "ignore:.*pin_memory.*:UserWarning",
)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], teacher_folder: Path) -> TrainingInputs:
    """Training rows of few words, dev rows of all, in a folder with a teacher."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(teacher_folder, "models/teacher")
    few = [" ".join(word for word in text.split() if word in tiny.WORDS[15:35]) or "slow" for text in texts]
    for name, part in (("train", sorted(set(few))), ("dev", texts)):
        rows = sorted((content_id(text), text, len(text) % 3) for text in part)
        with TableWriter(Path(f"data/prepared/{name}.parquet"), LABELLED) as writer:
            writer.write([{"content_id": i, "text": text, "label_id": label} for i, text, label in rows])
    return TrainingInputs(
        labels=LabelSet(labels=("bad", "fine", "good")),
        table=open_table(Path("data/prepared/train.parquet")),
        dev=read_columns(Path("data/prepared/dev.parquet")),
        scratch=Path(".scratch/one"),
    )


def params(**changes: Any) -> Any:
    return student(rows="data/prepared/train.parquet", **{"targets": "models/teacher", **changes})


def test_a_pruned_student_knows_the_words_of_its_rows_and_no_others(inputs: TrainingInputs) -> None:
    built = build_student(params(vocabulary=PRUNED), inputs)
    seen = {word for text in inputs.table["text"] for word in text.split()}
    kept = built.classifier.tokenizer.get_vocab()
    assert set(kept) == {*seen, *tiny.SPECIAL, "a", "i"}
    assert built.classifier.model.config.vocab_size == len(kept)
    assert built.classifier.max_length == 24
    teacher = load_classifier(Path("models/teacher"))
    old = teacher.tokenizer.get_vocab()
    assert built.old_ids == [old[token] for token, _ in sorted(kept.items(), key=lambda item: item[1])]
    picked = built.classifier.model.get_input_embeddings().weight
    assert torch.equal(picked, teacher.model.get_input_embeddings().weight[torch.tensor(built.old_ids)])


def test_a_pruned_student_says_of_its_rows_what_the_whole_one_says(inputs: TrainingInputs) -> None:
    whole, small = (build_student(params(vocabulary=spec), inputs) for spec in ({"kind": "full"}, PRUNED))
    rows = list(inputs.table["text"])
    logits = [predict_logits(built.classifier, rows, batch_size=8, precision="float32") for built in (whole, small)]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-5)
    assert whole.old_ids is None
    assert whole.diagnostics == ()


def test_what_pruning_saves_and_costs_is_told_in_the_record_and_to_the_run(inputs: TrainingInputs) -> None:
    trained = train_student(
        "small", params(vocabulary=PRUNED, embedding={"kind": "factorised", "size": 3}), inputs, SILENT
    )
    diagnostics = {diagnostic.name: diagnostic.value for diagnostic in trained.record.diagnostics}
    kept = trained.classifier.model.config.vocab_size
    assert diagnostics["vocabulary_kept_tokens"] == kept
    assert diagnostics["vocabulary_whole_tokens"] == len(tiny.SPECIAL) + len(tiny.WORDS)
    assert diagnostics["vocabulary_saved_bytes"] == (diagnostics["vocabulary_whole_tokens"] - kept) * tiny.HIDDEN * 4
    known = set(trained.classifier.tokenizer.get_vocab())
    words = [word for text in inputs.dev.texts for word in text.split()]
    assert diagnostics["vocabulary_dev_unknown_fraction"] == pytest.approx(
        np.mean([word not in known for word in words])
    )
    assert diagnostics["vocabulary_dev_unknown_fraction"] > diagnostics["vocabulary_whole_dev_unknown_fraction"] == 0
    assert diagnostics["vocabulary_dev_token_growth_fraction"] == 0
    assert 0 < diagnostics["embedding_energy_fraction"] < 1
    logged: dict[str, float] = {}
    chosen: list[Choice] = []

    class Run:
        def log_metrics(self, metrics: dict[str, float], *, step: int | None = None) -> None:
            logged.update(metrics)

        def log_choices(self, choices: Sequence[Choice]) -> None:
            chosen.extend(choices)

    log_trained(Run(), trained)
    assert logged["architecture.vocabulary_kept_tokens"] == kept
    assert [(choice.setting, choice.used) for choice in chosen] == [("precision", "float32")]


def test_in_the_loop_the_teacher_reads_its_own_ids(inputs: TrainingInputs) -> None:
    built = build_student(params(vocabulary=PRUNED), inputs)
    teacher = load_classifier(Path("models/teacher"))
    torch.nn.init.normal_(teacher.model.get_input_embeddings().weight)  # so that other words are other logits
    rows = list(inputs.table["text"][:8])
    batch = collate(encode(built.classifier.tokenizer, rows), built.classifier.tokenizer.pad_token_id)
    told = OnlineTeacher(teacher, "float32", old_ids=built.old_ids).targets(batch).logits
    expected = predict_logits(teacher, rows, batch_size=8, precision="float32")
    np.testing.assert_allclose(told.numpy(), expected, atol=1e-5)
    astray = OnlineTeacher(teacher, "float32").targets(batch).logits
    assert np.abs(astray.numpy() - expected).max() > 1e-3


@pytest.mark.parametrize("train_embeddings", [True, False])
def test_a_pruned_and_factorised_student_trains_and_is_the_same_after_saving(
    inputs: TrainingInputs, train_embeddings: bool
) -> None:
    asked = params(
        vocabulary={"kind": "pruned", "min_count": 2},
        embedding={"kind": "factorised", "size": 4},
        training__train_embeddings=train_embeddings,
    )
    before = build_student(asked, inputs).classifier.model.get_input_embeddings().state_dict()
    trained = train_student("small", asked, inputs, SILENT)
    save_classifier(trained.classifier, Path("saved"))
    again = load_classifier(Path("saved"))
    texts = inputs.dev.texts[:9]
    logits = [predict_logits(c, texts, batch_size=4, precision="float32") for c in (trained.classifier, again)]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-6)
    embedding = again.model.get_input_embeddings()
    assert isinstance(embedding, FactorisedEmbedding)
    for name, tensor in embedding.state_dict().items():
        assert torch.equal(tensor, before[name]) is not train_embeddings
    frozen = 0 if train_embeddings else sum(tensor.numel() for tensor in before.values())
    assert trained.record.num_trained_parameters == trained.record.num_parameters - frozen


def test_a_pruning_killed_and_run_again_is_the_same(inputs: TrainingInputs) -> None:
    one, two = (build_student(params(vocabulary=PRUNED), inputs).classifier for _ in range(2))
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, two.model.state_dict()[name])
    assert one.tokenizer.backend_tokenizer.to_str() == two.tokenizer.backend_tokenizer.to_str()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocabulary": {"kind": "pruned"}}, r"vocabulary.min_count: Field required"),
        ({"vocabulary": {"kind": "pruned", "min_count": 0}}, r"vocabulary.min_count \(found 0\)"),
        ({"embedding": {"kind": "thin"}}, r"embedding.*'full', 'factorised'"),
        ({"embedding": {"kind": "factorised", "size": 0}}, r"embedding.size \(found 0\)"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        student(**changes)
