"""The longest input of a model: `max_length: auto` fits the train texts, the base's positions and the time limit.

Only long texts pay for a large maximum, since a batch is padded to its own longest row. Where the passes that a recipe
asks for would take longer than `max_minutes`, inputs are shortened before passes are dropped: the first tokens of a
long text mostly suffice to predict its label.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from pipestill.choices import Choice
from pipestill.records import read_record, write_json
from pipestill.teacher import TorchClassifier, choose_device_precision, fastest_device, readable_length
from pipestill.text.batching import collate
from pipestill.text.tokenizer import count_tokens, encode
from pipestill.training.duration import Steps, seconds_per_epoch
from pipestill.training.params import TrainingParams, TrainingSettings
from pipestill.training.recipe import Traits, choose_recipe

QUANTILE = 0.99
MULTIPLE = 64
SHORTENED_TO = 128
"""Shortest input that the time limit may cause; beyond it, passes are dropped instead."""
SAMPLE_ROWS = 20_000
"""Rows whose lengths are measured: the first of a table that is sorted by a hash of the text."""


def fit_texts_and_limit(
    classifier: TorchClassifier, table: Dataset, settings: TrainingSettings, num_labels: int, file: Path
) -> Choice:
    """Set the longest input of a classifier to fit the texts of a table and the time limit of its training.

    Args:
        classifier: model whose tokenizer will truncate at the chosen length; no weight changes.
        table: rows to train on.
        settings: passes, batch size and time limit.
        num_labels: labels of the data, which the passes depend on.
        file: file that keeps the choice, so that a killed training resumes with the same length.
    """
    if file.is_file():
        choice = read_record(file, Choice)
        classifier.tokenizer.model_max_length = int(choice.used)
        return choice
    texts = table[:SAMPLE_ROWS]["text"]
    lengths = count_tokens(classifier.tokenizer, texts)
    choice = choose_max_length(lengths, readable_length(classifier.model))
    classifier.tokenizer.model_max_length = int(choice.used)
    if settings.max_minutes and classifier.max_length > SHORTENED_TO:
        traits = Traits.of(
            classifier.model.config,
            classifier.labels.task,
            label_counts=np.zeros(num_labels, dtype=np.int64),  # they choose the selection metric only
            num_rows=len(table),
            longest_row=min(max(lengths), classifier.max_length),
            device=fastest_device().type,
        )
        params = choose_recipe(settings, traits).params
        minutes = params.epochs * _seconds_per_epoch(classifier, texts, lengths, params) * len(table) / len(texts) / 60
        choice = shorten(choice, lengths, minutes=minutes, max_minutes=settings.max_minutes)
        classifier.tokenizer.model_max_length = int(choice.used)
    write_json(file, choice)
    return choice


def choose_max_length(lengths: Sequence[int], readable: int | None) -> Choice:
    """Choose the 99th percentile of the lengths, up to the next multiple of 64, within the model's positions.

    Args:
        lengths: tokens of some train texts, special tokens included, none of them cut.
        readable: number of positions of the model; None without a limit.
    """
    most = math.ceil(np.quantile(lengths, QUANTILE))
    wanted = math.ceil(most / MULTIPLE) * MULTIPLE
    used = wanted if readable is None else min(wanted, readable)
    reason = f"99% of the train texts have up to {most:,} tokens"
    if used < most:
        reason += f", the base reads {used:,}: {_cut(lengths, used)}"
    return Choice(setting="max_length", asked="auto", used=str(used), reason=reason)


def shorten(choice: Choice, lengths: Sequence[int], *, minutes: float, max_minutes: float) -> Choice:
    """Halve the longest input until the training fits its time limit, to no less than 128 tokens.

    Args:
        choice: length that fits the texts.
        lengths: tokens of some train texts, none of them cut.
        minutes: estimated duration of the training at that length; it falls with the number of tokens.
        max_minutes: time limit of the training.
    """
    tokens = np.asarray(lengths)
    used = int(choice.used)
    whole = np.minimum(tokens, used).sum()
    while used > SHORTENED_TO and minutes * np.minimum(tokens, used).sum() / whole > max_minutes:
        used = max(used // 2, SHORTENED_TO)
    if used == int(choice.used):
        return choice
    reason = f"{choice.used} would take about {minutes:.0f} min, max_minutes is {max_minutes:g}: {_cut(lengths, used)}"
    return choice.model_copy(update={"used": str(used), "reason": reason})


def _cut(lengths: Sequence[int], max_length: int) -> str:
    return f"{float(np.mean(np.asarray(lengths) > max_length)):.1%} of the texts are cut"


def _seconds_per_epoch(
    classifier: TorchClassifier, texts: Sequence[str], lengths: Sequence[int], params: TrainingParams
) -> float:
    """Time a few training steps at the classifier's present longest input; see `seconds_per_epoch`."""
    tokenizer = classifier.tokenizer

    def loss(batch: dict[str, Tensor]) -> Tensor:
        logits: Tensor = classifier.model(**batch).logits
        label_ids = torch.zeros(len(logits), dtype=torch.long, device=logits.device)  # any value: only timed
        return torch.nn.functional.cross_entropy(logits.float(), label_ids)

    steps = Steps(
        model=classifier.model,
        loss=loss,
        collate=lambda rows: collate(encode(tokenizer, [texts[row] for row in rows]), tokenizer.pad_token_id),
        precision=choose_device_precision(params.precision).used,
    )
    cut = np.minimum(lengths, classifier.max_length).tolist()
    return seconds_per_epoch(steps, cut, params.batch_size // params.accumulation_steps)
