"""Training with losses of features: gradients, projections, resume, refusals."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_objective_and_params import TRAINING, student
from test_trainer import (
    SILENT,
    KilledError,
    assert_same_weights,
    die_at,
    distil,
    fill_cache,
    inputs,
    weights,
)
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from pipestill.errors import CacheError, CorruptCacheError, ModelError
from pipestill.fingerprint import sha256_files
from pipestill.seeding import derive_seed, seed_everything
from pipestill.teacher import TorchClassifier, load_classifier, save_classifier
from pipestill.text.tokenizer import encode
from pipestill.training import caching
from pipestill.training.callbacks import Callbacks
from pipestill.training.classifier import train_classifier
from pipestill.training.distillation import signal_for
from pipestill.training.inputs import Trained
from pipestill.training.learner import Learner
from pipestill.training.params import TrainingSettings
from pipestill.training.records import EpochPoint
from pipestill.training.rows import Collator, TrainingRows

pytestmark = pytest.mark.filterwarnings(
    # accelerate's and torch's own, in this process only
    "ignore:.*lr_scheduler.step.*:UserWarning",
    "ignore:.*pin_memory.*:UserWarning",
)
PAIRS = [[1, 2], [-1, -1]]
LOSSES: dict[str, dict[str, Any]] = {
    "last_hidden_cosine": {},
    "hidden_mse": {"layers": [[0, 0], *PAIRS]},
    "patient_kd": {"layers": PAIRS},
    "attention_scores_mse": {"layers": PAIRS},
    "attention_kl": {"layers": "uniform"},
    "minilm_relations": {
        "parts": ["query", "key", "value"],
        "relation_heads": 4,
        "student_layer": -1,
        "teacher_layer": 3,
    },
}
WIDER = ("last_hidden_cosine", "hidden_mse", "patient_kd")
"""Losses that learn a projection where the widths differ."""


@pytest.fixture(autouse=True)
def _workspace_of_a_loud_teacher(workspace: Path) -> None:
    """New weights are so small that attention is all but even: losses of it would be all but 0."""
    teacher = load_classifier(Path("models/teacher"))
    with torch.no_grad():
        for name, parameter in teacher.model.base_model.named_parameters():
            if parameter.dim() == 2 and "embeddings" not in name:
                parameter.mul_(12.0)
    save_classifier(teacher, Path("models/teacher"))


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """The same gradients, but for the rounding of the largest."""
    assert one.keys() == other.keys()
    largest = max(gradient.abs().max().item() for gradient in one.values())
    assert largest > 1e-3
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], atol=1e-5 * largest, rtol=1e-3, msg=name)


def objective(*kinds: str) -> list[dict[str, Any]]:
    return [{"weight": 1.0, "loss": {"kind": kind, **LOSSES[kind]}} for kind in kinds]


def narrow(width: int = 8) -> TorchClassifier:
    """A student of two layers, narrower than its teacher."""
    teacher = load_classifier(Path("models/teacher"))
    config = copy.deepcopy(teacher.model.config)
    config.hidden_size, config.num_hidden_layers = width, 2
    torch.manual_seed(4)
    model = AutoModelForSequenceClassification.from_config(config)
    return TorchClassifier(model=model, tokenizer=teacher.tokenizer, labels=teacher.labels, notice="")


def gradients(targets: str, kind: str, width: int, rows: list[int]) -> dict[str, Tensor]:
    """The gradients of one optimiser step, of the student and of what is learned beside it."""
    seed_everything(0)
    classifier = narrow(width)
    params = student(rows="data/prepared/train.parquet", targets=targets, objective=objective(kind))
    given = inputs(f"{targets.replace('/', '-')}-{kind}")
    signal = signal_for(params, classifier, given)
    learner = Learner(classifier.model, params.terms, signal.sizes, 0).eval()
    batch = Collator(0)(TrainingRows(given.table, classifier.tokenizer, given.scratch).__getitems__(rows))
    learner(batch=batch, targets=signal.targets(batch), progress=0.0).backward()
    return {name: value.grad.clone() for name, value in learner.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("width", [16, 8])
@pytest.mark.parametrize("kind", LOSSES)
def test_features_from_the_loop_beside_cached_logits_give_the_gradients_of_online_distillation(
    kind: str, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_cache()
    online = gradients("models/teacher", kind, width, list(range(32)))
    assert "in the loop" not in capsys.readouterr().out
    assert_same(gradients("data/logits", kind, width, list(range(32))), online)
    assert "the teacher runs in the loop for features" in capsys.readouterr().out
    assert ("projections.0.weight" in online) == (width == 8 and kind in WIDER)


EVERYTHING = ["hidden:0", *(f"{part}:{layer}" for part in ("hidden", "query", "key", "value") for layer in range(1, 5))]


@pytest.mark.parametrize("width", [16, 8])
@pytest.mark.parametrize("kind", LOSSES)
def test_cached_features_give_the_gradients_of_online_distillation(
    kind: str, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_cache(sites=EVERYTHING, tokens="all")
    online = gradients("models/teacher", kind, width, list(range(32)))
    assert_same(gradients("data/logits", kind, width, list(range(32))), online)
    assert_same(gradients("data/logits", kind, width, [9, 3, 30]), gradients("models/teacher", kind, width, [9, 3, 30]))
    assert "in the loop" not in capsys.readouterr().out


def test_first_tokens_are_enough_for_losses_of_first_tokens_and_for_no_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_cache(sites=EVERYTHING)
    for kind in ("patient_kd", "hidden_mse"):
        assert_same(gradients("data/logits", kind, 8, [5, 1]), gradients("models/teacher", kind, 8, [5, 1]))
        assert ("in the loop" in capsys.readouterr().out) == (kind == "hidden_mse")


def test_the_size_of_features_is_told_and_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokens = sum(map(len, encode(load_classifier(Path("models/teacher")).tokenizer, inputs("size").table["text"])))
    size = tokens * 16 * 4 * 2
    with pytest.raises(CacheError, match=rf"(?s){size} bytes.*at most features.max_bytes, {size - 1}"):
        fill_cache(sites=["hidden:4", "key:2"], tokens="all", max_bytes=size - 1)
    assert f"of {tokens} tokens will take" in capsys.readouterr().out
    assert not Path("data/logits").exists()
    fill_cache(sites=["hidden:4", "key:2"], tokens="all", max_bytes=size)
    written = [np.load(path) for name in ("hidden-4", "key-2") for path in Path("data/logits").glob(f"*.{name}.npy")]
    assert sum(array.nbytes for array in written) == size


def test_features_that_a_teacher_does_not_have_are_refused() -> None:
    with pytest.raises(CacheError, match=r"(?s)a layer that the teacher does not have.*value:5.*up to 4"):
        fill_cache(sites=["hidden:4", "value:5"])


def test_a_killed_cache_of_features_resumes_and_ends_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    fill_cache("whole", sites=["hidden:4", "key:2"], tokens="all")
    whole = sha256_files(Path("data/logits"))
    assert sum(name.endswith((".hidden-4.npy", ".key-2.npy", ".tokens.npy")) for name in whole) == 12
    real, asked = caching.capture, []

    def dying(*arguments: Any, **named: Any) -> Any:
        asked.append(1)
        if len(asked) == 3:
            raise KilledError
        return real(*arguments, **named)

    monkeypatch.setattr(caching, "capture", dying)
    with pytest.raises(KilledError):
        fill_cache("killed", sites=["hidden:4", "key:2"], tokens="all")
    shards = Path(".scratch/killed/shards")
    (shards / "00001.key-2.npy").write_bytes(b"half")  # as a kill in the middle of a write would leave it
    fill_cache("killed", sites=["hidden:4", "key:2"], tokens="all")
    assert len(asked) == 3 + 3, "only the first shard was whole"
    assert sha256_files(Path("data/logits")) == whole


def test_damaged_features_are_refused() -> None:
    fill_cache(sites=["hidden:4"], tokens="all")
    path = Path("data/logits/00002.hidden-4.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptCacheError, match=r"00002.hidden-4.npy was changed after it was written"):
        gradients("data/logits", "last_hidden_cosine", 8, [1])


@pytest.mark.parametrize("kind", LOSSES)
def test_parts_of_a_batch_with_other_padding_have_the_gradients_of_the_whole(kind: str) -> None:
    whole = gradients("models/teacher", kind, 8, list(range(32)))
    parts = [gradients("models/teacher", kind, 8, part) for part in ([*range(5)], [*range(5, 32)])]
    assert_same(whole, {name: parts[0][name] + parts[1][name] for name in whole})


@pytest.mark.parametrize("kind", LOSSES)
def test_a_student_comes_closer_to_its_teacher_by_every_loss(kind: str) -> None:
    trained = distil(
        kind,
        targets="models/teacher",
        objective=objective(kind),
        training__epochs=8,
        training__dropout=0.0,
        training__learning_rate=1e-2,
    )
    losses = [point.train_loss for point in trained.record.epochs]
    assert losses[-1] < 0.8 * losses[0]


def train_narrow(name: str, callbacks: Callbacks[EpochPoint] = SILENT, **changes: Any) -> Trained:
    classifier, given = narrow(), inputs(name)
    terms = objective("last_hidden_cosine", "minilm_relations", "hidden_mse")
    params = student(rows="data/prepared/train.parquet", targets="models/teacher", objective=terms)
    record = train_classifier(
        name=name,
        classifier=classifier,
        inputs=given,
        objective=params.terms,
        signal=signal_for(params, classifier, given),
        settings=TrainingSettings(**{**TRAINING, "epochs": 5, **changes}),
        seed=derive_seed(params.seed, "training"),
        callbacks=callbacks,
    )
    return Trained(classifier, record, 0.0, 0.0)


def test_a_killed_training_resumes_with_its_projections() -> None:
    whole = train_narrow("whole")
    with pytest.raises(KilledError):
        train_narrow("killed", Callbacks(on_step=die_at(12), on_epoch=lambda point: None))
    (checkpoint,) = Path(".scratch/killed/checkpoints").glob("checkpoint-*")
    saved = load_file(checkpoint / "model.safetensors")
    assert {name: tuple(value.shape) for name, value in saved.items() if name.startswith("projections")} == {
        "projections.0.weight": (16, 8),
        "projections.2.weight": (16, 8),
    }
    resumed = train_narrow("killed")
    assert_same_weights(whole, resumed)
    assert (whole.record.steps, whole.record.epochs) == (resumed.record.steps, resumed.record.epochs)


def test_projections_are_trained_and_are_no_part_of_the_student() -> None:
    trained = train_narrow("student", checkpoint_steps=20)
    best = load_file(next(Path(".scratch/student/best").glob("*.safetensors")))
    assert best.keys() == weights(trained).keys() == narrow().model.state_dict().keys()
    seed = derive_seed(derive_seed(1, "training"), "projections")
    params = student(objective=objective("last_hidden_cosine"))
    teacher = signal_for(params.model_copy(update={"targets": "models/teacher"}), narrow(), inputs("sizes")).sizes
    first = Learner(narrow().model, params.terms, teacher, seed).state_dict()["projections.0.weight"]
    (checkpoint,) = Path(".scratch/student/checkpoints").glob("checkpoint-*")
    last = load_file(checkpoint / "model.safetensors")["projections.0.weight"]
    assert 1e-3 < (first - last).abs().max().item() < 0.5


def test_features_are_recorded_in_bfloat16_training_too() -> None:
    full, half = (
        distil(
            precision,
            targets="models/teacher",
            objective=objective("minilm_relations", "hidden_mse"),
            training__precision=precision,
            training__dropout=0.0,
        )
        for precision in ("float32", "bfloat16")
    )
    for one, other in zip(full.record.epochs, half.record.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.05)
    assert any(not np.array_equal(value, weights(half)[name]) for name, value in weights(full).items())


def test_a_student_that_does_not_fit_a_loss_is_refused_before_training() -> None:
    terms = [{"weight": 1.0, "loss": {"kind": "attention_kl", "layers": [[3, 1]]}}]
    with pytest.raises(ModelError, match=r"(?s)names a layer that is not there.*student layers 1 to 2"):
        distil("refused", targets="models/teacher", objective=terms)
    assert not Path(".scratch/refused").exists()


def test_with_the_teacher_in_the_loop_for_features_both_read_the_same_length() -> None:
    fill_cache()
    with pytest.raises(ModelError, match=r"(?s)max_length differs.*20.*24"):
        distil("other", objective=objective("hidden_mse"), max_length=20)
