"""The linear probe: the head fitted on the frozen base, in every family, and fine-tuning from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from test_objective_and_params import TRAINING
from test_trainer import SILENT, assert_a_kill_changes_nothing, inputs, weights

import tiny
from pipestill.data.tables import Rows
from pipestill.metrics.quality import accuracy, nll_nats
from pipestill.seeding import seed_everything
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, predict_logits
from pipestill.teacher.from_base import new_classifier, output_layer
from pipestill.training.callbacks import Callbacks
from pipestill.training.finetune import finetune_teacher
from pipestill.training.head import ABSENT_LABEL_NATS, fit_head, fit_linear, read_features
from pipestill.training.params import FinetuneTeacherParams, TrainingSettings
from pipestill.training.records import EpochPoint

pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*pin_memory.*:UserWarning")
LABELS = LabelSet(labels=("bad", "fine", "good"))
HEADS = {"roberta": "classifier.out_proj", "xlm-roberta": "classifier.out_proj", "electra": "classifier.out_proj"}
"""The last linear layer of each family's head, where it is not `classifier`."""


def rows_told_by_a_word(num_rows: int, seed: int) -> Rows:
    draw = np.random.default_rng(seed)
    label_ids = draw.integers(0, 3, num_rows)
    texts = [
        " ".join([("awful", "dull", "great")[label], *draw.choice(tiny.WORDS[:8], 1 + row % 5)])
        for row, label in enumerate(label_ids)
    ]
    return Rows([str(row) for row in range(num_rows)], texts, label_ids)


def fit(classifier: TorchClassifier, train: Rows, dev: Rows) -> Any:
    return fit_head(classifier, train, dev, batch_size=16, precision="float32", name="teacher")


@pytest.mark.parametrize("family", tiny.SIZES)
def test_a_fitted_head_gives_the_regression_s_logits_in_every_family(family: str, tmp_path: Path) -> None:
    classifier = new_classifier(tiny.save_base(tmp_path, family), labels=LABELS, max_length=24, dropout=0.1)
    place = output_layer(classifier.model)
    assert place == HEADS.get(family, "classifier")
    train, dev = rows_told_by_a_word(200, 0), rows_told_by_a_word(60, 1)
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    features = read_features(classifier, place, train.texts, batch_size=16, precision="float32", show="features")
    random = predict_logits(classifier, train.texts, batch_size=16, precision="float32")
    fitted = fit(classifier, train, dev)
    changed = {name for name, value in classifier.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"{place}.weight", f"{place}.bias"}
    logits = predict_logits(classifier, train.texts, batch_size=16, precision="float32")
    assert fitted.start.train_loss == pytest.approx(nll_nats(logits, train.label_ids), abs=1e-3)
    dev_logits = predict_logits(classifier, dev.texts, batch_size=16, precision="float32")
    assert fitted.start.dev["nll_nats"] == pytest.approx(nll_nats(dev_logits, dev.label_ids), abs=1e-3)
    assert fitted.start.dev["accuracy"] == accuracy(dev_logits, dev.label_ids)
    assert fitted.start.train_loss < nll_nats(random, train.label_ids) - 0.05
    layer = classifier.model.get_submodule(place)
    by_hand = features @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(by_hand, logits, atol=5e-3)  # of logits that small differences of features make
    assert (fitted.choice.asked, fitted.choice.used) == ("probe", "probe")


@pytest.mark.parametrize("num_labels", [2, 3])
def test_folding_the_scale_into_the_weights_keeps_the_regression_s_probabilities(num_labels: int) -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(3.0, [1.0, 10.0, 0.5], (300, 3)).astype(np.float32)
    label_ids = ((features - features.mean(axis=0)) / features.std(axis=0)).argmax(axis=1) % num_labels
    head = fit_linear(features, label_ids, num_labels, 1.0, with_bias=True)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = LogisticRegression(C=1.0, max_iter=1000).fit(scaled, label_ids).predict_proba(scaled)
    assert head.bias is not None
    logits = features @ head.weight.T + head.bias
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(shifted / shifted.sum(axis=1, keepdims=True), expected, atol=0.02)


def test_a_label_without_a_row_is_never_preferred_and_a_head_without_bias_gets_none() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(0.0, 1.0, (50, 4)).astype(np.float32)
    label_ids = np.where(features[:, 0] > 0, 3, 1)
    head = fit_linear(features, label_ids, 5, 1.0, with_bias=True)
    assert head.bias is not None
    assert set(np.unique((features @ head.weight.T + head.bias).argmax(axis=1))) == {1, 3}
    assert head.bias[[0, 2, 4]] == pytest.approx(head.bias[[1, 3]].min() - ABSENT_LABEL_NATS)
    assert fit_linear(features, label_ids, 5, 1.0, with_bias=False).bias is None


def test_one_label_alone_keeps_the_random_head_and_says_why(base: Path) -> None:
    classifier = new_classifier(base, labels=LABELS, max_length=24, dropout=0.1)
    train = rows_told_by_a_word(20, 0)
    fitted = fit(classifier, Rows(train.content_ids, train.texts, np.zeros(20, dtype=np.int64)), train)
    assert (fitted.choice.used, fitted.start) == ("random", None)
    assert "one label" in fitted.choice.reason


def tune(scratch: str, callbacks: Callbacks[EpochPoint] = SILENT, **changes: Any) -> Any:
    training = TrainingSettings(**{**TRAINING, "epochs": 6, **changes})
    params = FinetuneTeacherParams(seed=3, max_length=24, head="probe", training=training)
    return finetune_teacher("teacher", params, Path("models/base"), inputs(scratch), callbacks)


def test_the_fitted_head_is_epoch_0_and_is_kept_where_fine_tuning_makes_it_worse(workspace: Path) -> None:
    points = []
    callbacks = Callbacks(on_step=lambda step, loss, rate: None, on_epoch=points.append)
    spoiled = tune("spoiled", callbacks, learning_rate=1.0, selection_metric="nll_nats")
    assert [point.epoch for point in points] == list(range(7))
    record = spoiled.record
    assert record.frozen_base == points[0] == record.best
    assert record.best_epoch == 0
    seed_everything(0)  # the kept weights are those of the base
    fresh = new_classifier(Path("models/base"), labels=LABELS, max_length=24, dropout=0.1)
    encoder = {name for name in fresh.model.state_dict() if not name.startswith("classifier")}
    kept = weights(spoiled)
    for name in encoder:
        if "pooler" not in name:  # tiny bases are saved without one
            np.testing.assert_array_equal(kept[name], fresh.model.state_dict()[name].numpy(), err_msg=name)
    dev = inputs("dev").dev
    logits = predict_logits(spoiled.classifier, dev.texts, batch_size=8, precision="float32")
    assert accuracy(logits, dev.label_ids) == record.best.dev["accuracy"]
    assert [choice.setting for choice in record.choices] == ["head", "precision"]


def test_a_killed_training_resumes_with_its_fitted_head(workspace: Path) -> None:
    assert_a_kill_changes_nothing(tune)
