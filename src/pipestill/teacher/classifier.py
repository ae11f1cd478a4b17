"""A classifier as the stages pass it on: model, tokenizer and label names, in the layout of `save_pretrained`."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
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
        ModelError: the folder is missing, is no classifier, or lacks weights that a classifier needs.
    """
    quiet_transformers()
    _register_architecture(folder)
    try:
        model, missing = _read_model(folder)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} holds no classifier that can be loaded", found=error) from error
    if missing:
        raise ModelError(
            f"{folder} lacks weights of a trained classifier",
            found=f"missing: {sorted(missing)}",
            next_step="run `dvc repro` to train it anew",
        )
    labels = LabelSet(labels=tuple(model.config.id2label[label_id] for label_id in range(model.config.num_labels)))
    return Classifier(model=model.eval(), tokenizer=load_tokenizer(folder), labels=labels, notice=_read_notice(folder))


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


def new_classifier(base: Path, *, labels: LabelSet, max_length: int, dropout: float) -> Classifier:
    """Put a new classification head on a pretrained encoder.

    The head's weights are random: seed torch first.

    Args:
        base: the folder of the pretrained encoder.
        labels: the label names, written into the model's config.
        max_length: the longest input in tokens, special tokens included.
        dropout: probability of every dropout in the model.

    Raises:
        ModelError: the folder cannot be loaded, lacks encoder weights, or has fewer positions than `max_length`.
    """
    quiet_transformers()
    names = dict(enumerate(labels.labels))
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            base,
            local_files_only=True,
            num_labels=labels.num_labels,
            id2label=names,
            label2id={name: label_id for label_id, name in names.items()},
            output_loading_info=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{base} holds no pretrained encoder that can be loaded", found=error) from error
    prefix = f"{model.base_model_prefix}."
    missing = sorted(key for key in report["missing_keys"] if key.startswith(prefix) and ".pooler." not in key)
    if missing:
        raise ModelError(f"the base {base} lacks pretrained weights", found=f"missing: {missing[:5]}")
    check_length(model, max_length)
    set_dropout(model, dropout)
    tokenizer = load_tokenizer(base, max_length)
    return Classifier(model=model, tokenizer=tokenizer, labels=labels, notice=_read_notice(base))


def readable_length(model: PreTrainedModel) -> int | None:
    """The longest input that a model has positions for, in tokens; None where it has no limit."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None:
        return None
    table = next((module for name, module in model.named_modules() if name.endswith(".position_embeddings")), None)
    padding = getattr(table, "padding_idx", None)
    return int(positions if padding is None else positions - padding - 1)  # RoBERTa counts from behind its padding


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
            expected=f"at most {readable} tokens for a {type(model).__name__}",
            next_step="lower max_length in params.yaml",
        )


def save_classifier(classifier: Classifier, folder: Path) -> None:
    """Write model, tokenizer and labels to a folder that `load_classifier` and every Hugging Face tool reads."""
    folder.mkdir(parents=True, exist_ok=True)
    classifier.model.config.name_or_path = ""  # where the base lay is no part of what was learned
    classifier.model.save_pretrained(folder)
    classifier.tokenizer.name_or_path = ""
    classifier.tokenizer.save_pretrained(folder)
    if classifier.notice:
        (folder / NOTICE_FILE).write_text(classifier.notice, encoding="utf-8")


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


def _read_notice(folder: Path) -> str:
    path = folder / NOTICE_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def quiet_transformers() -> None:
    """Keep transformers' own progress bars and reports off the terminal: what they say, our errors say."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
