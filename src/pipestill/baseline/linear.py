"""TF-IDF and multinomial logistic regression: fit on train rows, choose the regularisation on dev rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from pipestill.baseline.params import BaselineParams
from pipestill.errors import DataError
from pipestill.metrics.measures import score
from pipestill.progress import shown
from pipestill.tasks.targets import LabelSet

ABSENT_LABEL_NATS = 20.0
"""Distance below a row's lowest logit for labels without train rows: e^-20, about 2e-9 as likely."""

Logits = npt.NDArray[np.float32]
LabelIds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LinearScores:
    """The baseline's logits by split, and the chosen regularisation.

    Attributes:
        logits: logits by split, `[batch, label]`.
        inverse_regularisation: value of C that was best on dev.
        num_features: words and n-grams in use.
        size_bytes: size that the weights would have on disk: one float32 for each feature and label.
    """

    logits: dict[str, Logits]
    inverse_regularisation: float
    num_features: int
    size_bytes: int


def fit_and_score(
    train: tuple[Sequence[str], LabelIds],
    dev: tuple[Sequence[str], LabelIds],
    test_texts: Sequence[str],
    labels: LabelSet,
    params: BaselineParams,
) -> LinearScores:
    """Fit on train, choose the regularisation by quality on dev (the first of the best), score dev and test.

    Args:
        train: texts and label_ids to fit on.
        dev: texts and label_ids that choose the regularisation.
        test_texts: texts to score, not used for choices.
        labels: labels of the data, the columns of the logits; one without a train row gets the lowest logit.
        params: features and regularisation.

    Raises:
        DataError: the train rows hold fewer than two labels, or no countable feature.
    """
    texts, label_ids = train
    if len(np.unique(label_ids)) < 2:  # noqa: PLR2004
        raise DataError("the baseline cannot be fitted", found="one label in the train rows", expected="at least two")
    vectorizer, features = _count(texts, params)
    dev_features, test_features = vectorizer.transform(dev[0]), vectorizer.transform(test_texts)
    best: tuple[float, float, Logits, LogisticRegression] | None = None
    for strength in shown(params.inverse_regularisation, "baseline", "fits"):
        model = LogisticRegression(C=strength, max_iter=params.max_iterations).fit(features, label_ids)
        logits = _logits(model, dev_features, labels.num_labels)
        quality = score(labels.task.primary, logits, dev[1])
        if best is None or quality > best[0]:
            best = (quality, strength, logits, model)
    assert best is not None, "the specification asks for at least one regularisation"
    _, strength, dev_logits, model = best
    return LinearScores(
        logits={"dev": dev_logits, "test": _logits(model, test_features, labels.num_labels)},
        inverse_regularisation=strength,
        num_features=features.shape[1],
        size_bytes=4 * (model.coef_.size + model.intercept_.size),
    )


def _count(texts: Sequence[str], params: BaselineParams) -> tuple[TfidfVectorizer, npt.NDArray[np.float64]]:
    vectorizer = TfidfVectorizer(
        analyzer=params.analyzer,
        ngram_range=(1, params.max_ngram),
        min_df=params.min_rows,
        max_features=params.max_features,
        sublinear_tf=True,
        # scikit-learn's own pattern leaves out words of one letter, and so "I", "a" and most Chinese words
        token_pattern=r"(?u)\b\w+\b" if params.analyzer == "word" else None,
    )
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError as error:
        raise DataError(
            "the train rows hold no feature for the baseline",
            found=error,
            expected=f"{params.analyzer} features in at least {params.min_rows} rows",
            next_step="lower baseline.min_rows or set baseline.analyzer to char_wb in params.yaml",
        ) from error


def _logits(model: LogisticRegression, features: object, num_labels: int) -> Logits:
    """Convert log-odds to logits over all labels, `[batch, label]`, which give the model's probabilities."""
    margins = model.decision_function(features)
    if margins.ndim == 1:  # two labels: the margin is the logit of the second when the first's is 0
        margins = np.stack([np.zeros_like(margins), margins], axis=1)
    logits = np.repeat(margins.min(axis=1, keepdims=True) - ABSENT_LABEL_NATS, num_labels, axis=1)
    logits[:, model.classes_] = margins
    return logits.astype(np.float32)
