"""Building a new classifier on a pretrained encoder of any origin, with or without added tokens.

Differences between bases beyond the encoder are resolved here, for every later stage:

    head          a base that is a classifier itself loses its head; the new one is random
    token table   gets a row for every id of the tokenizer; a new row is the mean of the pretrained ones
    padding       the tokenizer's id, in the config too: classifiers on decoders look for the last token before it
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipestill.errors import ModelError
from pipestill.tasks.targets import LabelSet
from pipestill.teacher.classifier import (
    UNREADABLE,
    TorchClassifier,
    check_length,
    num_token_ids,
    num_token_rows,
    position_padding,
    quiet_transformers,
    read_notice,
    readable_length,
    set_dropout,
    set_problem,
)
from pipestill.teacher.forward import relative_difference
from pipestill.text.batching import collate
from pipestill.text.standalone import differences, shorten, shorten_ids, standalone
from pipestill.text.tokenizer import encode, load_tokenizer

PADDING_TOLERANCE = 1e-3
"""Largest change of a logit by padding, as a fraction of the largest logit; rounding makes it 1e-6."""
PADDED_BY = 8
CHECKED_LENGTH = 512
"""Length in tokens at which to check a tokenizer whose longest input is chosen later."""
_OTHER_BASE = "choose another base under fetch.base in params.yaml, such as BERT, RoBERTa, ELECTRA or ModernBERT"


class _Loaded(NamedTuple):
    """A model with the labels of the data, and the number of labels of its base's own head; None without a head."""

    model: PreTrainedModel
    num_own_labels: int | None


def new_classifier(base: Path, *, labels: LabelSet, max_length: int | None, dropout: float) -> TorchClassifier:
    """Put a new classification head on a pretrained encoder.

    The head's weights are random: seed torch first.

    Args:
        base: folder of the pretrained encoder.
        labels: label names, written into the model's config.
        max_length: the longest input in tokens, special tokens included; None where it is chosen afterwards.
        dropout: probability of every dropout in the model.

    Raises:
        ModelError: the folder cannot be loaded, lacks encoder weights, has fewer positions than `max_length`, cannot
            use its tokenizer's padding, or its logits change where a text is padded.
    """
    quiet_transformers()
    config = _read_config(base)
    tokenizer = load_tokenizer(base, max_length)
    model, num_own_labels = _load(base, config, labels, tokenizer)
    if num_own_labels is not None:
        plural = "" if num_own_labels == 1 else "s"
        print(f"the base's own classification head ({num_own_labels} label{plural}) is replaced", flush=True)
        model = _with_new_head(model)
    _grow_token_table(base, model, tokenizer)
    if max_length is None:
        tokenizer.model_max_length = min(readable_length(model) or CHECKED_LENGTH, CHECKED_LENGTH)
    else:
        check_length(model, max_length)
    set_problem(model, labels.task)
    set_dropout(model, dropout)
    _check_tokenizer(base, tokenizer)
    classifier = TorchClassifier(model=model, tokenizer=tokenizer, labels=labels, notice=read_notice(base))
    _check_padding(classifier)
    return classifier


def _read_config(base: Path) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    except UNREADABLE as error:
        raise _not_loadable(base, error) from error
    vars(config).pop("auto_map", None)  # else every model made from it would name code that no folder holds
    return config


def _not_loadable(base: Path, error: Exception) -> ModelError:
    if "trust_remote_code" in str(error):
        return ModelError(
            f"{base} can only be loaded by running code that comes with it",
            found="`auto_map` in config.json, for an architecture that transformers lacks",
            expected="an architecture of transformers; a base's own code is never run",
            next_step=_OTHER_BASE,
        )
    return ModelError(
        f"{base} does not hold a pretrained encoder that can be loaded",
        found=error,
        expected="config.json and model.safetensors of an encoder that transformers can classify with",
        next_step="take the whole model: with transformers, from_pretrained and then save_pretrained",
    )


def _load(base: Path, config: PreTrainedConfig, labels: LabelSet, tokenizer: PreTrainedTokenizerBase) -> _Loaded:
    base_padding = getattr(config, "pad_token_id", None)
    names = dict(enumerate(labels.labels))
    config.id2label, config.label2id = names, {name: label_id for label_id, name in names.items()}
    if tokenizer.pad_token_id < getattr(config, "vocab_size", 0):  # else once the table has grown
        config.pad_token_id = tokenizer.pad_token_id
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            base,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
        )
    except UNREADABLE as error:
        raise _not_loadable(base, error) from error
    _check_encoder(base, model, report)
    _check_positions(base, model, base_padding, tokenizer)
    layer = output_layer(model)
    if layer is None or f"{layer}.weight" in report["missing_keys"]:
        return _Loaded(model, None)
    other_sizes = {key: int(shape[0]) for key, shape, _ in report["mismatched_keys"]}
    return _Loaded(model, other_sizes.get(f"{layer}.weight", labels.num_labels))


def _check_encoder(base: Path, model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Refuse a base that lacks some of the encoder's weights."""
    prefix = f"{model.base_model_prefix}."
    missing = sorted(key for key in report["missing_keys"] if key.startswith(prefix) and ".pooler." not in key)
    if missing:
        raise ModelError(
            f"the base {base} lacks pretrained weights",
            found=f"missing: {missing[:5]}",
            expected=f"every weight of the encoder of a {type(model).__name__}",
            next_step="take the whole model: with transformers, from_pretrained and then save_pretrained",
        )
    other = sorted((key, tuple(found), tuple(wanted)) for key, found, wanted in report["mismatched_keys"])
    if other := [entry for entry in other if entry[0].startswith(prefix)]:
        key, found, wanted = other[0]
        raise ModelError(
            f"config.json and weights of the base {base} do not fit each other",
            found=f"{len(other)} weights of another shape, such as {key}: {found}",
            expected=f"{wanted}, after config.json",
            next_step="take config.json and model.safetensors from the same place, at the same commit",
        )


def output_layer(model: PreTrainedModel) -> str | None:
    """Find the name of the linear layer that makes the logits: the last outside the encoder with a row per label."""
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == model.config.num_labels
        and not name.startswith(f"{model.base_model_prefix}.")
    ]
    return names[-1] if names else None


def _with_new_head(model: PreTrainedModel) -> PreTrainedModel:
    """Return the same encoder with a head whose weights are all random."""
    new: PreTrainedModel = AutoModelForSequenceClassification.from_config(
        model.config, trust_remote_code=False, dtype=torch.float32
    )
    new.base_model.load_state_dict(model.base_model.state_dict())
    return new.eval()


def _check_positions(
    base: Path, model: PreTrainedModel, base_padding: int | None, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Refuse another padding id where positions are counted from it: all of them would be shifted."""
    if position_padding(model) is not None and base_padding not in {None, tokenizer.pad_token_id}:
        raise ModelError(
            f"the padding ids in config and tokenizer of {base} differ",
            found=f"{base_padding} in config.json, {tokenizer.pad_token_id} ({tokenizer.pad_token}) in the tokenizer",
            expected=f"equal ids, since a {type(model).__name__} counts positions from the padding id",
            next_step="set pad_token in the base's tokenizer_config.json to the token that it was pretrained with",
        )


def _grow_token_table(base: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give every id of the tokenizer a row, and the config the tokenizer's padding.

    A text can hold tokens that were added to the tokenizer only and lack a row. Initialising such a row with the mean
    of the pretrained rows disturbs a trained model least (Hewitt 2021, "Initializing new word embeddings").
    """
    rows, num_ids = num_token_rows(model), num_token_ids(tokenizer)
    if rows is not None and num_ids > rows:
        _add_rows(base, model, rows, num_ids)
        print(
            f"the base's tokenizer has {num_ids} ids, its embedding table {rows} rows: {num_ids - rows} added, "
            "each the mean of the others",
            flush=True,
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    if rows is not None and getattr(model.get_input_embeddings(), "padding_idx", None) is not None:
        model.get_input_embeddings().padding_idx = tokenizer.pad_token_id


def _add_rows(base: Path, model: PreTrainedModel, rows: int, num_ids: int) -> None:
    try:
        model.resize_token_embeddings(num_ids, mean_resizing=False)
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise ModelError(
            f"the tokenizer of {base} has tokens without an embedding in its model",
            found=f"{num_ids} ids for {rows} rows, in a {type(model).__name__}, whose table cannot grow",
            expected=f"ids below {rows}",
            next_step="remove the added tokens from the base's tokenizer",
        ) from error
    weight = model.get_input_embeddings().weight
    with torch.no_grad():
        weight[rows:] = weight[:rows].mean(dim=0)


def _check_tokenizer(base: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer whose tokenizer.json encodes differently: the export stage would refuse it after training."""
    found = differences(tokenizer, standalone(tokenizer), ())
    if found:
        raise ModelError(
            f"the tokenizer of {base} does not encode like its tokenizer.json, the only part that an artifact holds",
            found=f"{shorten_ids(found[0].expected)} for {shorten(found[0].text)}",
            expected=f"{shorten_ids(found[0].found)}, as by tokenizer.json",
            next_step="remove settings that tokenizer.json cannot hold from its tokenizer_config.json, such as "
            "split_special_tokens",
        )


def _check_padding(classifier: TorchClassifier) -> None:
    """Refuse a model whose logits change where a text is padded on the right, as in batches here."""
    row = encode(classifier.tokenizer, ["good"])[0]
    num_added = min(PADDED_BY, classifier.max_length - len(row))
    alone = collate([row], classifier.tokenizer.pad_token_id)
    padded = {
        "input_ids": nn.functional.pad(alone["input_ids"], (0, num_added), value=classifier.tokenizer.pad_token_id),
        "attention_mask": nn.functional.pad(alone["attention_mask"], (0, num_added)),
    }
    model = classifier.model.eval()
    kind = type(model).__name__
    try:
        with torch.no_grad():
            expected, found = model(**alone).logits, model(**padded).logits
    except (ValueError, RuntimeError, IndexError) as error:
        raise ModelError(
            f"a {kind} cannot be used as a base",
            found=f"it cannot be run on `good`, which its tokenizer turns into the ids {row}: {error}",
            expected="logits from input_ids and attention_mask alone",
            next_step=_OTHER_BASE,
        ) from error
    change = relative_difference(found, expected)
    if not change <= PADDING_TOLERANCE:
        raise ModelError(
            f"a {kind} cannot be used as a base",
            found=f"its logits for a text change by {change:.1%} with {num_added} tokens of padding behind it",
            expected=f"at most {PADDING_TOLERANCE:.1%}: texts are padded on the right in batches, but not one by one",
            next_step=_OTHER_BASE,
        )
