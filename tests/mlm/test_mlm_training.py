"""The masked-language-model teacher: whose head, what learns, the same again, resumed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from mlm.tiny_mlm import BASE, HEAD, OPTIMISER, SILENT, TEACHER, TEACHER_PARAMS, rows_of, teach
from pipestill.errors import ModelError
from pipestill.mlm.model import load_masked_lm, predict_masked, save_masked_lm
from pipestill.mlm.objective import HARD_ONLY
from pipestill.mlm.params import MlmTeacherParams
from pipestill.mlm.records import MlmEpoch, MlmTrainingRecord
from pipestill.mlm.rows import MaskedCollator, MaskedRows
from pipestill.mlm.teacher import make_teacher
from pipestill.mlm.training import train_masked_lm
from pipestill.seeding import seed_everything
from pipestill.training.callbacks import Callbacks
from pipestill.training.params import OptimiserParams

pytestmark = pytest.mark.filterwarnings(
    # accelerate's and torch's own, in this process only
    "ignore:.*lr_scheduler.step.*:UserWarning",
    "ignore:.*pin_memory.*:UserWarning",
)
NO_ADAPTATION = {"adaptation": {"kind": "none"}}


class KilledError(Exception):
    """Stands for a kill."""


def encoder(folder: Path) -> dict[str, np.ndarray]:
    weights = load_file(folder / "model.safetensors")
    return {name.removeprefix("bert."): value for name, value in weights.items() if not name.startswith("cls.")}


def train(
    scratch: str, callbacks: Callbacks[MlmEpoch] = SILENT, **changes: Any
) -> tuple[MlmTrainingRecord, dict[str, Any]]:
    """Train the base with a new head; its record and its weights."""
    seed_everything(0)
    lm = load_masked_lm(BASE).lm
    params = OptimiserParams.model_validate(OPTIMISER | changes)
    rows, dev = MaskedRows(rows_of("train")), MaskedRows(rows_of("dev"))
    record = train_masked_lm(
        name="m",
        lm=lm,
        rows=rows,
        dev=dev,
        weights=HARD_ONLY,
        params=params,
        seed=1,
        scratch=Path(scratch),
        callbacks=callbacks,
    )
    return record, {name: tensor.detach().numpy() for name, tensor in lm.model.named_parameters()}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_a_base_without_a_head_learns_one_first_and_is_then_adapted(masked: Path) -> None:
    record = teach(new_head=HEAD | {"epochs": 4}).record
    assert not record.has_head
    assert record.new_head is not None
    assert record.adaptation is not None
    assert record.new_head.before == record.before
    assert record.adaptation.before.mlm_nll_nats == pytest.approx(record.new_head.after.mlm_nll_nats, abs=1e-5)
    assert record.after == record.adaptation.after
    assert record.before.mlm_nll_nats > record.new_head.after.mlm_nll_nats
    assert record.new_head.num_trained_parameters < record.adaptation.num_trained_parameters
    lm, has_head = load_masked_lm(TEACHER)
    assert has_head
    assert lm.model.get_output_embeddings().weight is lm.model.get_input_embeddings().weight


def test_a_new_head_leaves_the_encoder_as_it_is(masked: Path) -> None:
    record = teach(**NO_ADAPTATION).record
    assert record.adaptation is None
    assert record.new_head is not None
    assert record.after == record.new_head.after
    before, after = encoder(BASE), encoder(TEACHER)
    assert_same({name: before[name] for name in after}, after)


def test_a_base_with_a_head_is_used_with_it(masked: Path) -> None:
    teach()
    shutil.rmtree(BASE)
    shutil.copytree(TEACHER, BASE)
    made = teach(**NO_ADAPTATION)
    assert made.record.has_head
    assert made.record.new_head is None
    assert made.record.before == made.record.after
    assert_same(load_file(BASE / "model.safetensors"), load_file(TEACHER / "model.safetensors"))


def test_a_base_that_cannot_read_the_rows_is_refused(masked: Path) -> None:
    lm = load_masked_lm(BASE).lm
    lm.model.config.max_position_embeddings = 4
    table = lm.model.bert.embeddings.position_embeddings
    table.weight = torch.nn.Parameter(table.weight[:4].clone())
    save_masked_lm(lm, BASE)
    with pytest.raises(ModelError, match="max_length"):
        make_teacher(
            MlmTeacherParams.model_validate(TEACHER_PARAMS),
            BASE,
            rows_of("train"),
            rows_of("dev"),
            Path("s"),
            lambda _: SILENT,
        )


def test_twice_gives_the_same_weights_and_so_does_a_killed_and_resumed_training(masked: Path) -> None:
    def kill(step: int, loss: float, rate: float) -> None:
        if step >= 20:
            raise KilledError

    settings: dict[str, Any] = {"epochs": 3, "batch_size": 2, "dropout": 0.1}
    record, weights = train("whole", **settings)
    with pytest.raises(KilledError):
        train("killed", Callbacks(on_step=kill, on_epoch=lambda point: None), **settings)
    assert [*Path("killed/checkpoints").glob("checkpoint-*")] != []
    resumed, same = train("killed", **settings)
    assert_same(weights, same)
    assert resumed == record
    assert [point.epoch for point in record.epochs] == [1, 2, 3]


@pytest.mark.parametrize("killed_at", [2, 3])
def test_an_epoch_whose_scoring_is_killed_is_scored_after_the_resume(masked: Path, killed_at: int) -> None:
    """Each epoch here ends at a step of a checkpoint, which must wait for the scores: epoch 3 is the last."""

    def kill(point: MlmEpoch) -> None:
        if point.epoch == killed_at:
            raise KilledError

    settings: dict[str, Any] = {"epochs": 3, "batch_size": 2}
    whole, weights = train("whole", **settings)
    assert [point.step for point in whole.epochs] == [10, 20, 30]
    with pytest.raises(KilledError):
        train("killed", Callbacks(on_step=lambda step, loss, rate: None, on_epoch=kill), **settings)
    resumed, same = train("killed", **settings)
    assert_same(weights, same)
    assert resumed == whole


def test_accumulation_changes_no_gradient(masked: Path) -> None:
    _, whole = train("whole", batch_size=8)
    _, parts = train("parts", batch_size=8, accumulation_steps=4)
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, atol=2e-5, err_msg=name)


def test_a_token_table_that_is_not_trained_stays(masked: Path) -> None:
    before = load_masked_lm(BASE).lm.model.get_input_embeddings().weight.detach().numpy()
    _, weights = train("frozen", train_embeddings=False)
    np.testing.assert_array_equal(weights["bert.embeddings.word_embeddings.weight"], before)


def test_scores_are_the_mean_over_masked_positions_by_hand(masked: Path) -> None:
    record, _ = train("whole")
    seed_everything(0)
    lm = load_masked_lm(BASE).lm
    rows = MaskedRows(rows_of("dev"))
    losses, hits = [], []
    for number in range(len(rows)):
        batch = MaskedCollator(0)(rows.__getitems__([number]))
        logits = predict_masked(lm.model, batch["input_ids"], batch["attention_mask"], batch["places"]).logits
        losses += (-logits.log_softmax(-1)[range(len(logits)), batch["label_id"]]).tolist()
        hits += (logits.argmax(-1) == batch["label_id"]).tolist()
    assert record.before.mlm_nll_nats == pytest.approx(np.mean(losses), abs=1e-5)
    assert record.before.masked_accuracy_fraction == pytest.approx(np.mean(hits))
    assert record.before.num_masked_tokens == len(losses)
