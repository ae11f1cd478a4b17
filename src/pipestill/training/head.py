"""Linear probing: fit a new classification head on the frozen base before fine-tuning (arXiv:2202.10054).

While a random head is learned, its large gradients distort the pretrained features of the base. The head's last linear
layer is replaced by a multinomial logistic regression on the features that it reads, so that fine-tuning starts at the
quality of the frozen base.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import nn

from pipestill.choices import Choice
from pipestill.data.tables import Rows
from pipestill.metrics.measures import scores
from pipestill.metrics.quality import nll_nats
from pipestill.precision import Precision
from pipestill.progress import shown
from pipestill.teacher import TorchClassifier, compute_outputs, fastest_device
from pipestill.teacher.from_base import output_layer
from pipestill.training.records import EpochPoint

MIN_ROWS, ROWS_PER_LABEL = 2_000, 200
"""Rows to fit the head on: more do not improve the start, and each costs a forward pass."""
INVERSE_REGULARISATIONS = (0.01, 0.1, 1.0)
"""Values of C that are tried; the lowest dev nll is kept."""
MAX_ITERATIONS = 200
TOLERANCE = 1e-3
"""Tolerance of the gradient: a rough optimum is enough, since fine-tuning continues from here."""
MIN_SPREAD = 0.05
"""Least spread, as a share of the features' root mean square: a near-constant feature would get a huge weight."""
ABSENT_LABEL_NATS = 5.0
"""Bias of a label without rows, in nats below the lowest other bias."""


@dataclass(frozen=True)
class Head:
    """The weights of a linear layer: `[label, hidden]`, and `[label]` or None where the layer has no bias."""

    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class FittedHead:
    """The start of a head: fitted or random.

    Attributes:
        choice: setting that was used, with the reason; None where params.yaml asks for a random head.
        start: scores on dev as epoch 0, with the loss on the rows it was fitted on; None where the head is random.
    """

    choice: Choice | None
    start: EpochPoint | None


def fit_head(
    classifier: TorchClassifier, train: Rows, dev: Rows, *, batch_size: int, precision: Precision, name: str
) -> FittedHead:
    """Fit the head of a classifier on its frozen base, in place.

    Args:
        classifier: model whose last layer is replaced; all other weights stay.
        train: rows to fit on.
        dev: rows that choose the regularisation.
        batch_size: rows in one forward pass.
        precision: arithmetic of the base's matrix products.
        name: name of the model in the progress display.

    Returns:
        The head's start: `probe`, or `random` with the reason for keeping the random weights.
    """
    place = output_layer(classifier.model)
    if place is None:
        return _kept_random(f"{type(classifier.model).__name__} does not end in a linear layer")
    if len(np.unique(train.label_ids)) < 2:  # noqa: PLR2004
        return _kept_random("the train rows have one label")
    layer = classifier.model.get_submodule(place)
    assert isinstance(layer, nn.Linear)
    features, dev_features = (
        read_features(classifier, place, rows.texts, batch_size=batch_size, precision=precision, show=f"{name}: {what}")
        for rows, what in ((train, "frozen base, train"), (dev, "frozen base, dev"))
    )
    num_labels = classifier.labels.num_labels
    with_bias = layer.bias is not None
    best: tuple[float, float, Head] | None = None
    for strength in shown(INVERSE_REGULARISATIONS, f"{name}: linear head", "fits"):
        head = fit_linear(features, train.label_ids, num_labels, strength, with_bias=with_bias)
        nll = nll_nats(_logits(head, dev_features), dev.label_ids)
        if best is None or nll < best[0]:
            best = (nll, strength, head)
    assert best is not None, "INVERSE_REGULARISATIONS is not empty"
    _, strength, head = best
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        if head.bias is not None:
            layer.bias.copy_(torch.from_numpy(head.bias))
    reason = f"logistic regression on the frozen base, {len(train.texts):,} rows, C {strength:g}"
    choice = Choice(setting="head", asked="probe", used="probe", reason=reason)
    start = EpochPoint(
        epoch=0,
        step=0,
        train_loss=nll_nats(_logits(head, features), train.label_ids),
        dev=scores(classifier.labels.task.by_epoch, _logits(head, dev_features), dev.label_ids),
    )
    return FittedHead(choice, start)


def _kept_random(reason: str) -> FittedHead:
    return FittedHead(Choice(setting="head", asked="probe", used="random", reason=reason), None)


def num_rows_to_fit(num_labels: int) -> int:
    """Count the rows to fit a head on: the first of the train table, which is sorted by a hash of the text."""
    return MIN_ROWS + ROWS_PER_LABEL * num_labels


def read_features(
    classifier: TorchClassifier, place: str, texts: list[str], *, batch_size: int, precision: Precision, show: str
) -> Float[np.ndarray, "row hidden"]:
    """Run the base over texts and return the features that its head reads, float32 `[row, hidden]`.

    The head's last layer is replaced by the identity, so that the model's output is that layer's input, for the token
    that the architecture itself pools.
    """
    model = classifier.model
    layer = model.get_submodule(place)
    assert isinstance(layer, nn.Linear)
    width = layer.in_features
    device = next(model.parameters()).device
    model.set_submodule(place, nn.Identity())
    try:
        model.to(fastest_device())
        return compute_outputs(classifier, texts, width, batch_size=batch_size, precision=precision, show=show)
    finally:
        model.set_submodule(place, layer)
        model.to(device)


def fit_linear(
    features: Float[np.ndarray, "row hidden"],
    label_ids: npt.NDArray[np.int64],
    num_labels: int,
    inverse_regularisation: float,
    *,
    with_bias: bool,
) -> Head:
    """Fit a multinomial logistic regression on standardised features, and fold the scaling into its weights.

    Args:
        features: float32 `[row, hidden]`.
        label_ids: label ids `[row]`, of two labels or more.
        num_labels: rows of the weights; a label without rows gets zero weights and a low bias.
        inverse_regularisation: inverse strength of the L2 penalty, scikit-learn's C.
        with_bias: False fits no bias, and moves no feature to a mean of 0, which only a bias could undo.
    """
    mean = features.mean(axis=0) if with_bias else np.zeros(features.shape[1], dtype=np.float32)
    spread = features.std(axis=0)
    spread = np.maximum(spread, MIN_SPREAD * np.sqrt(np.square(features).mean())) + 1e-12
    model = LogisticRegression(
        C=inverse_regularisation, max_iter=MAX_ITERATIONS, tol=TOLERANCE, fit_intercept=with_bias
    ).fit((features - mean) / spread, label_ids)
    coefficients, intercepts = model.coef_.astype(np.float64), np.asarray(model.intercept_, dtype=np.float64)
    if len(model.classes_) == 2:  # noqa: PLR2004 (scikit-learn then gives the second label's margin alone)
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    weight = np.zeros((num_labels, features.shape[1]))
    weight[model.classes_] = coefficients / spread
    if not with_bias:
        return Head(weight, None)
    folded = intercepts - weight[model.classes_] @ mean
    bias = np.full(num_labels, folded.min() - ABSENT_LABEL_NATS)
    bias[model.classes_] = folded
    return Head(weight, bias)


def _logits(head: Head, features: Float[np.ndarray, "row hidden"]) -> Float[np.ndarray, "row label"]:
    logits = features @ head.weight.T
    return (logits if head.bias is None else logits + head.bias).astype(np.float32)
