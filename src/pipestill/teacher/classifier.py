"""A classifier as the stages pass it on: model, tokenizer and label names, in the layout of `save_pretrained`."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_NAME
from transformers.utils import logging as transformers_logging

from pipestill.data.schema import LabelSet
from pipestill.errors import ModelError
from pipestill.records import read_json
from pipestill.teacher.embeddings import FACTOR_FIELD, insert_factorised_embedding
from pipestill.text.tokenizer import load_tokenizer

NOTICE_FILE = "NOTICE.txt"
ARCHITECTURES = "pipestill.architectures"
"""Where modules of our own lie, each in a file named like its `model_type`; a student's own dependency, not ours."""

UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError, StrictDataclassError)
"""What transformers raises where a folder's config or weights are missing, cut short or do not fit each other."""

PROBLEM_TYPE = "single_label_classification"
"""Clients read from config.json how to make probabilities of logits; a base may have left another answer there."""
OTHER_ANSWERS = ("function_to_apply", "task_specific_params")
"""Further fields by which a config overrides what clients make of logits."""

DROPOUT_FIELDS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout_prob",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
)
"""The names that encoders' configs give to a dropout probability."""


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier with what is needed to run it on text.

    Attributes:
        model: maps `input_ids` and `attention_mask` `[batch, token]` to logits `[batch, label]`.
        tokenizer: truncates at `max_length`.
        labels: the label names, by label_id.
        notice: origin and licence of the pretrained weights; it travels with what is made of them.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: LabelSet
    notice: str

    @property
    def max_length(self) -> int:
        """The longest input in tokens, special tokens included."""
        return int(self.tokenizer.model_max_length)


def load_classifier(folder: Path) -> Classifier:
    """Load a trained classifier, in evaluation mode.

    Raises:
        ModelError: the folder is missing, is no classifier, or lacks weights that a classifier needs; or its tokenizer
            has tokens that the model has no embedding of.
    """
    quiet_transformers()
    _register_architecture(folder)
    try:
        model, missing = _read_model(folder)
    except UNREADABLE as error:
        raise ModelError(
            f"{folder} holds no classifier that can be loaded",
            found=error,
            expected="config.json and model.safetensors, as the training stages write them",
            next_step="run `dvc repro` to train it, or `dvc pull` it",
        ) from error
    if missing:
        raise ModelError(
            f"{folder} lacks weights of a trained classifier",
            found=f"missing: {sorted(missing)}",
            next_step="run `dvc repro` to train it anew",
        )
    tokenizer = load_tokenizer(folder)
    check_token_table(folder, model, tokenizer)
    labels = LabelSet(labels=tuple(model.config.id2label[label_id] for label_id in range(model.config.num_labels)))
    return Classifier(model=model.eval(), tokenizer=tokenizer, labels=labels, notice=read_notice(folder))


def _read_model(folder: Path) -> tuple[PreTrainedModel, list[str]]:
    """The model in a folder, and the weights it lacks."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if getattr(config, FACTOR_FIELD, None) is None:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
        return model, list(report["missing_keys"])
    model = AutoModelForSequenceClassification.from_config(config)
    insert_factorised_embedding(model)
    found = model.load_state_dict(load_file(folder / SAFE_WEIGHTS_NAME), strict=False)
    return model, list(found.missing_keys)


def readable_length(model: PreTrainedModel) -> int | None:
    """The longest input in tokens that a model has positions for; None where there is no limit."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or positions < 0:  # XLNet's positions are relative, which its config writes as -1
        return None
    padding = position_padding(model)
    return int(positions if padding is None else positions - padding - 1)


def position_padding(model: PreTrainedModel) -> int | None:
    """The padding id that a model counts positions from, as RoBERTa does; None where it counts from 0."""
    table = next((module for name, module in model.named_modules() if name.endswith(".position_embeddings")), None)
    padding = getattr(table, "padding_idx", None)
    return None if padding is None else int(padding)


def check_length(model: PreTrainedModel, max_length: int) -> None:
    """Refuse inputs longer than a model has positions for.

    Raises:
        ModelError: `max_length` is more than the model can read.
    """
    readable = readable_length(model)
    if readable is not None and max_length > readable:
        raise ModelError(
            "max_length is more than the model can read",
            found=max_length,
            expected=f"at most {readable} tokens for a {type(model).__name__} with "
            f"{model.config.max_position_embeddings} positions",
            next_step="lower max_length in params.yaml",
        )


def num_token_ids(tokenizer: PreTrainedTokenizerBase) -> int:
    """One more than the largest id that a tokenizer can give, added tokens and padding included."""
    return max(tokenizer.get_vocab().values()) + 1


def num_token_rows(model: PreTrainedModel) -> int | None:
    """The rows of a model's token embedding; None for models without such a table."""
    try:
        table = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):  # CANINE hashes characters
        return None
    return int(table.num_embeddings if hasattr(table, "num_embeddings") else table.weight.shape[0])


def check_token_table(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a model whose embedding table lacks rows for some of its tokenizer's ids.

    Args:
        folder: where both lie.
        model: any transformers model.
        tokenizer: the tokenizer beside it.

    Raises:
        ModelError: a text could hold a token that the model has no embedding of.
    """
    rows, num_ids = num_token_rows(model), num_token_ids(tokenizer)
    if rows is not None and num_ids > rows:
        token = tokenizer.convert_ids_to_tokens(num_ids - 1)
        raise ModelError(
            f"the tokenizer of {folder} has tokens that its model has no embedding of",
            found=f"ids up to {num_ids - 1} ({token!r})",
            expected=f"ids below {rows}, the rows of the embedding table",
            next_step="call model.resize_token_embeddings(len(tokenizer)) and save both anew",
        )


def save_classifier(classifier: Classifier, folder: Path) -> None:
    """Write model, tokenizer and labels to a folder that `load_classifier` and every Hugging Face tool reads."""
    folder.mkdir(parents=True, exist_ok=True)
    set_problem(classifier.model)
    classifier.model.config.name_or_path = ""  # where the base lay is no part of what was learned
    classifier.model.save_pretrained(folder)
    classifier.tokenizer.name_or_path = ""
    classifier.tokenizer.save_pretrained(folder)
    if classifier.notice:
        (folder / NOTICE_FILE).write_text(classifier.notice, encoding="utf-8")


def set_problem(model: PreTrainedModel) -> None:
    """Write into a model's config that exactly one label is right: clients then take a softmax over the labels."""
    model.config.problem_type = PROBLEM_TYPE
    for name in OTHER_ANSWERS:
        if hasattr(model.config, name):
            delattr(model.config, name)


def set_dropout(model: PreTrainedModel, probability: float) -> None:
    """Set every dropout of a model, in its config and in its modules."""
    for name in DROPOUT_FIELDS:
        if isinstance(getattr(model.config, name, None), float | int):
            setattr(model.config, name, probability)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


def _register_architecture(folder: Path) -> None:
    """Import the module of our own that a saved model names, if it is one: the others stay unread."""
    config = folder / "config.json"
    model_type = str(read_json(config).get("model_type")) if config.is_file() else ""
    module = f"{ARCHITECTURES}.{model_type}"
    if model_type.isidentifier() and importlib.util.find_spec(module):
        importlib.import_module(module)


def read_notice(folder: Path) -> str:
    """The origin and licence of a model's pretrained weights; empty where its folder names none."""
    path = folder / NOTICE_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def quiet_transformers() -> None:
    """Keep transformers' own progress bars and reports off the terminal: what they say, our errors say."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
