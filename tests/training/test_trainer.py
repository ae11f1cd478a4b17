"""Training: gradients, accumulation, resume, determinism, offline against online."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_objective_and_params import TRAINING, student, weighted

from pipestill.data.tables import open_table, read_columns
from pipestill.errors import CacheError, ModelError, StaleCacheError
from pipestill.fingerprint import content_id
from pipestill.logit_cache import CacheLogitsParams, FeaturesParams, LogitCache
from pipestill.logit_cache.ensemble import open_member, write_ensemble
from pipestill.seeding import seed_everything
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, predict_logits
from pipestill.training.caching import cache_logits
from pipestill.training.callbacks import Callbacks
from pipestill.training.distillation import train_student
from pipestill.training.finetune import finetune_teacher
from pipestill.training.inputs import Trained, TrainingInputs
from pipestill.training.learner import Learner, loss_on
from pipestill.training.params import FinetuneTeacherParams, TrainingParams, TrainingSettings
from pipestill.training.records import EpochPoint
from pipestill.training.rows import Collator, TrainingRows
from pipestill.training.sampler import LengthBucketedSampler
from pipestill.training.signals import NoTeacher, Targets
from pipestill.training.teachers import CachedTeacher, OnlineTeacher, open_cached_teacher, open_logits
from pipestill.training.trainer import ObjectiveTrainer, last_checkpoint, training_arguments

SILENT = Callbacks(on_step=lambda step, loss, rate: None, on_epoch=lambda point: None)
pytestmark = pytest.mark.filterwarnings(
    # accelerate's and torch's own, in this process only
    "ignore:.*lr_scheduler.step.*:UserWarning",
    "ignore:.*pin_memory.*:UserWarning",
)


def inputs(scratch: str) -> TrainingInputs:
    return TrainingInputs(
        labels=LabelSet(labels=("bad", "fine", "good")),
        table=open_table(Path("data/prepared/train.parquet")),
        dev=read_columns(Path("data/prepared/dev.parquet")),
        scratch=Path(".scratch") / scratch,
    )


def fill_cache(scratch: str = "cache", mask_token: str | None = None, **features: Any) -> None:
    given = inputs(scratch)
    kept = FeaturesParams.model_validate({"sites": [], "tokens": "first", "max_bytes": 10**6} | features)
    cache_logits(
        CacheLogitsParams(batch_size=8, precision="float32", shard_rows=10, storage_dtype="float32", features=kept),
        teacher=load_classifier(Path("models/teacher")),
        teacher_folder=Path("models/teacher"),
        labels=given.labels,
        table=given.table,
        scratch=given.scratch,
        out=Path("data/logits"),
        mask_token=mask_token,
    )


def weights(trained: Trained) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in trained.classifier.model.state_dict().items()}


def assert_same_weights(one: Trained, other: Trained) -> None:
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, weights(other)[name], err_msg=name)


def distil(scratch: str, callbacks: Callbacks[EpochPoint] = SILENT, **changes: Any) -> Trained:
    params = student(rows="data/prepared/train.parquet", **changes)
    return train_student("student", params, inputs(scratch), callbacks)


def test_a_teacher_learns_what_its_labels_say(workspace: Path) -> None:
    params = FinetuneTeacherParams(
        seed=3,
        max_length=24,
        head="random",
        training=TrainingSettings(**{**TRAINING, "epochs": 30, "learning_rate": 3e-3, "dropout": 0.0}),
    )
    points: list[EpochPoint] = []
    callbacks = Callbacks(on_step=lambda step, loss, rate: None, on_epoch=points.append)
    trained = finetune_teacher("teacher", params, Path("models/base"), inputs("teacher"), callbacks)
    record = trained.record
    assert [point.epoch for point in record.epochs] == list(range(1, 31))
    assert list(record.epochs) == points
    assert record.epochs[-1].train_loss < record.epochs[0].train_loss * 0.5
    assert record.best.dev["accuracy"] == max(point.dev["accuracy"] for point in record.epochs)
    assert record.steps[-1].step == 30 * 4
    assert not trained.classifier.model.training


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_same_training_twice_gives_the_same_bytes(workspace: Path, schedule: str) -> None:
    fill_cache()
    one, two = (distil(name, training__schedule=schedule) for name in ("one", "two"))
    assert_same_weights(one, two)
    assert one.record == two.record


class Opposed(LogitCache):
    """A member that says the opposite of another."""

    def __init__(self, member: LogitCache) -> None:
        self.card, self.ids = member.card, member.ids
        self._member = member

    def lookup(self, content_ids: Sequence[str]) -> np.ndarray:
        return -self._member.lookup(content_ids)


class KilledError(Exception):
    """Stands for a kill after an optimiser step."""


def die_at(killed_at: int) -> Callable[[int, float, float], None]:
    def die(step: int, loss: float, rate: float) -> None:
        if step == killed_at:
            raise KilledError

    return die


def assert_a_kill_changes_nothing(train: Callable[..., Trained]) -> None:
    """A training killed at step 12 and started again ends with the weights and the record of one left alone.

    Args:
        train: takes the name of a scratch folder, and callbacks.
    """
    whole = train("whole")
    with pytest.raises(KilledError):
        train("killed", Callbacks(on_step=die_at(12), on_epoch=lambda point: None))
    resumed = train("killed")
    assert_same_weights(whole, resumed)
    assert whole.record == resumed.record


@pytest.mark.parametrize("killed_at", [10, 12, 20])
def test_a_killed_training_resumes_and_ends_with_the_same_weights_and_curves(workspace: Path, killed_at: int) -> None:
    fill_cache()
    long = partial(distil, training__epochs=6)  # 24 steps: checkpoints at 10, 20 and at the end of each epoch of 4
    whole = long("whole")

    with pytest.raises(KilledError):
        long("killed", Callbacks(on_step=die_at(killed_at), on_epoch=lambda point: None))
    assert list(Path(".scratch/killed/checkpoints").glob("checkpoint-*"))
    steps: list[int] = []
    resumed = long("killed", Callbacks(on_step=lambda step, loss, rate: steps.append(step), on_epoch=lambda p: None))
    assert min(steps) >= killed_at - 4
    assert_same_weights(whole, resumed)
    assert whole.record == resumed.record


@pytest.mark.parametrize("state", [None, b"", b'{"global_step": 4, "log_his', b'{"global_step": 3}'])
def test_a_checkpoint_cut_short_is_passed_over(workspace: Path, state: bytes | None) -> None:
    half = Path("checkpoints/checkpoint-4")
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    if state is not None:
        (half / "trainer_state.json").write_bytes(state)
    assert last_checkpoint(Path("checkpoints")) is None
    assert not half.exists()


def test_a_killed_training_that_accumulates_resumes_with_the_same_weights(workspace: Path) -> None:
    fill_cache()
    assert_a_kill_changes_nothing(partial(distil, training__epochs=4, training__accumulation_steps=2))


def test_some_of_the_cached_rows_will_do_and_a_row_that_is_not_cached_will_not(workspace: Path) -> None:
    fill_cache()
    given = inputs("some")
    teacher = load_classifier(Path("models/teacher"))
    some = given.table.select(range(5))
    signal = open_cached_teacher(Path("data/logits"), Path("models/teacher"), teacher, some)
    batch = Collator(0)(TrainingRows(some, teacher.tokenizer, given.scratch).__getitems__([0, 4]))
    assert signal.targets(batch).logits.shape == (2, 3)
    more = some.map(lambda row: {"content_id": content_id(row["text"] + " more"), "text": row["text"] + " more"})
    with pytest.raises(CacheError, match="5 of 5 rows have no logits"):
        open_cached_teacher(Path("data/logits"), Path("models/teacher"), teacher, more)


def test_online_a_student_that_reads_more_or_less_than_its_teacher_is_refused(workspace: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)max_length differs.*20.*24"):
        distil("other", targets="models/teacher", max_length=20)


def test_a_student_that_reads_more_than_its_initial_model_can_is_refused(workspace: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)max_length exceeds.*65.*at most 64"):
        distil("long", max_length=65)


def test_offline_and_online_distillation_give_the_same_student(workspace: Path) -> None:
    fill_cache()
    offline = distil("offline", training__dropout=0.0)
    online = distil("online", training__dropout=0.0, targets="models/teacher")
    for name, value in weights(offline).items():
        np.testing.assert_allclose(value, weights(online)[name], atol=2e-4, err_msg=name)
    assert 0 < online.teacher_seconds < online.train_seconds


def trainer_for(classifier: TorchClassifier, signal: Any, rows: TrainingRows, **changes: Any) -> ObjectiveTrainer:
    params = TrainingParams(**{**TRAINING, **changes})
    objective = student().terms
    return ObjectiveTrainer(
        loss=loss_on(signal),
        sampler=LengthBucketedSampler(rows.lengths.tolist(), params.batch_size, 0),
        model=Learner(classifier.model, objective, signal.sizes, 0),
        args=training_arguments(params, "float32", 0, Path("checkpoints")),
        train_dataset=rows,
        data_collator=Collator(classifier.tokenizer.pad_token_id),
    )


def gradients(batches: list[list[int]], signal_of: Callable[[TorchClassifier, Any], Any]) -> dict[str, torch.Tensor]:
    """The gradients of one optimiser step over some forward passes."""
    seed_everything(0)
    classifier = load_classifier(Path("models/teacher"))
    given = inputs("gradients")
    rows = TrainingRows(given.table, classifier.tokenizer, given.scratch)
    trainer = trainer_for(classifier, signal_of(load_classifier(Path("models/teacher")), given), rows)
    torch.nn.init.ones_(classifier.model.classifier.bias)  # so that student and teacher differ
    total = sum(len(batch) for batch in batches)
    classifier.model.eval()
    for batch in batches:
        collated = Collator(classifier.tokenizer.pad_token_id)(rows.__getitems__(batch))
        trainer.compute_loss(trainer.model, collated, num_items_in_batch=total).backward()
    return {name: p.grad.clone() for name, p in classifier.model.named_parameters() if p.grad is not None}


def online(teacher: TorchClassifier, given: TrainingInputs) -> OnlineTeacher:
    return OnlineTeacher(teacher, "float32")


def cached(teacher: TorchClassifier, given: TrainingInputs) -> CachedTeacher:
    return open_cached_teacher(Path("data/logits"), Path("models/teacher"), teacher, given.table)


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert any(gradient.abs().max() > 1e-4 for gradient in one.values())
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], atol=1e-5, rtol=1e-3, msg=name)


def test_a_batch_of_32_and_4_accumulated_batches_of_8_give_the_same_gradients(workspace: Path) -> None:
    whole = gradients([list(range(32))], online)
    parts = gradients([list(range(start, start + 8)) for start in range(0, 32, 8)], online)
    uneven = gradients([list(range(5)), list(range(5, 32))], online)
    assert_same_gradients(whole, parts)
    assert_same_gradients(whole, uneven)


def test_accumulation_in_the_trainer_changes_no_weight(workspace: Path) -> None:
    fill_cache()
    whole = distil("whole", training__dropout=0.0)
    parts = distil("parts", training__dropout=0.0, training__accumulation_steps=4)
    for name, value in weights(whole).items():
        np.testing.assert_allclose(value, weights(parts)[name], atol=2e-4, err_msg=name)


def test_the_cache_and_the_teacher_in_the_loop_give_the_same_gradients(workspace: Path) -> None:
    fill_cache()
    assert_same_gradients(gradients([list(range(32))], cached), gradients([list(range(32))], online))


def test_each_epoch_has_an_order_of_its_own(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_cache()
    orders: list[list[int]] = []
    original = LengthBucketedSampler.__iter__

    def recorded(sampler: LengthBucketedSampler) -> Iterator[int]:
        orders.append(list(original(sampler)))
        yield from orders[-1]

    monkeypatch.setattr(LengthBucketedSampler, "__iter__", recorded)
    distil("orders", training__epochs=3)
    assert len(orders) == 3
    assert len({tuple(sorted(order)) for order in orders}) == 1
    assert len({tuple(order) for order in orders}) == 3


def test_rows_in_another_order_have_the_same_loss_each(workspace: Path) -> None:
    fill_cache()
    teacher = load_classifier(Path("models/teacher"))
    given = inputs("order")
    shuffled = given.table.shuffle(seed=5)
    by_id: list[dict[str, np.ndarray]] = []
    for table in (given.table, shuffled):
        signal = open_cached_teacher(Path("data/logits"), Path("models/teacher"), teacher, table)
        rows = TrainingRows(table, teacher.tokenizer, given.scratch / str(len(by_id)))
        batch = Collator(0)(rows.__getitems__(list(range(32))))
        by_id.append(dict(zip(table["content_id"], signal.targets(batch).logits.numpy(), strict=True)))
    for key, value in by_id[0].items():
        np.testing.assert_array_equal(value, by_id[1][key])


def test_a_student_refuses_the_cache_of_another_teacher(workspace: Path) -> None:
    from pipestill.teacher import save_classifier

    fill_cache()
    other = load_classifier(Path("models/teacher"))
    with torch.no_grad():
        other.model.classifier.bias.add_(1.0)
    save_classifier(other, Path("models/teacher"))
    with pytest.raises(StaleCacheError, match="teacher_weights"):
        distil("stale")


def test_a_student_without_a_teacher_needs_no_cache(workspace: Path) -> None:
    trained = distil(
        "alone",
        init="models/base",
        targets="data/prepared/train.parquet",
        objective=weighted(1.0, 0.0),
    )
    assert trained.teacher_seconds == 0
    assert trained.classifier.model.config.num_hidden_layers == 2


def test_a_student_learns_what_a_ensemble_says(workspace: Path) -> None:
    """Two members that say the same make an ensemble that says it too; one that says the opposite changes it."""
    fill_cache()
    teacher = open_member(Path("data/logits"))
    for name, members in (
        ("same", {"teacher": teacher, "twin": teacher}),
        ("opposed", {"teacher": teacher, "anti": Opposed(teacher)}),
    ):
        write_ensemble(
            members=members,
            weights=dict.fromkeys(members, 1.0),
            out=Path("data/ensembles") / name,
            scratch=Path(".scratch"),
        )
    alone = distil("alone")
    same = distil("same", targets="data/ensembles/same")
    opposed = distil("opposed", targets="data/ensembles/opposed")
    assert_same_weights(alone, same)
    # the mean of opposites is 0 for every label: the loss is that of another target
    assert opposed.record.epochs[0].train_loss != alone.record.epochs[0].train_loss


def test_a_student_that_does_not_begin_as_the_teacher_reads_the_cache_and_no_teacher(workspace: Path) -> None:
    fill_cache()
    shutil.copytree("models/base", "models/mlm/student")
    shutil.move("models/teacher", "models/gone")  # models/mlm/student, rows and cache are all that its stage depends on
    trained = distil("mlm", init="models/mlm/student")
    assert trained.record.epochs[-1].train_loss < trained.record.epochs[0].train_loss
    assert trained.classifier.labels.labels == ("bad", "fine", "good")
    with pytest.raises(ModelError, match="models/teacher"):
        distil("in_the_loop", init="models/mlm/student", targets="models/teacher")


def test_a_teacher_with_another_mask_token_reads_its_own(workspace: Path) -> None:
    fill_cache(mask_token="film")
    teacher, rows = load_classifier(Path("models/teacher")), inputs("read").table
    assert any("film" in text for text in rows["text"])
    own = [text.replace("film", "[MASK]") for text in rows["text"]]
    expected = predict_logits(teacher, own, batch_size=8, precision="float32")
    found = open_member(Path("data/logits")).lookup(list(rows["content_id"]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_ensemble_of_other_labels_is_refused(workspace: Path) -> None:
    fill_cache()
    teacher = open_member(Path("data/logits"))
    out = Path("data/ensembles/all")
    write_ensemble(
        members={"a": teacher, "b": teacher}, weights={"a": 1.0, "b": 1.0}, out=out, scratch=Path(".scratch")
    )
    with pytest.raises(ModelError, match="other labels"):
        open_logits(out, LabelSet(labels=("a", "b", "c")), inputs("labels").table)


def test_embeddings_that_are_not_trained_stay_as_they_are(workspace: Path) -> None:
    fill_cache()
    before = load_classifier(Path("models/teacher")).model.get_input_embeddings().weight
    frozen = distil("frozen", training__train_embeddings=False)
    assert torch.equal(frozen.classifier.model.get_input_embeddings().weight, before)
    assert frozen.record.num_trained_parameters == frozen.record.num_parameters - before.numel()


def test_a_training_that_diverges_says_so_and_what_to_do(workspace: Path) -> None:
    fill_cache()
    with pytest.raises(ModelError, match=r"(?s)diverged.*lower learning_rate"):
        distil("diverged", training__learning_rate=1e30, training__max_grad_norm=1e30, training__epochs=8)


def test_teacher_and_data_with_other_labels_are_refused(workspace: Path) -> None:
    given = inputs("labels")
    wrong = TrainingInputs(LabelSet(labels=("a", "b", "c")), given.table, given.dev, given.scratch)
    params = student(rows="data/prepared/train.parquet")
    with pytest.raises(ModelError, match="other labels"):
        train_student("student", params, wrong, SILENT)


def test_no_teacher_has_no_logits() -> None:
    assert NoTeacher().targets({}) == Targets()
