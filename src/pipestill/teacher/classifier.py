"""A classifier: model, tokenizer and label names, saved in the layout of `save_pretrained`."""

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

from pipestill.errors import ModelError
from pipestill.records import read_json
from pipestill.tasks import Task
from pipestill.tasks.targets import LabelSet
from pipestill.teacher.embeddings import FACTOR_FIELD, insert_factorised_embedding
from pipestill.text.tokenizer import load_tokenizer

NOTICE_FILE = "NOTICE.txt"
ARCHITECTURES = "pipestill.architectures"
"""The folder of our own architectures, each in a file named like its `model_type`. A student's stage depends on its
file; this module does not."""

UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError, StrictDataclassError)
"""Exceptions of transformers for a folder whose config or weights are missing, truncated or do not fit each other."""

OTHER_ANSWERS = ("function_to_apply", "task_specific_params")
"""Further fields by which a config changes the clients' conversion of logits."""

DROPOUT_FIELDS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout_prob",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
)
"""Names of dropout probabilities in the encoders' configs."""


@dataclass(frozen=True)
class TorchClassifier:
    """A sequence classifier with its tokenizer and label names.

    Attributes:
        model: module that maps `input_ids` and `attention_mask` `[batch, token]` to logits `[batch, label]`.
        tokenizer: tokenizer that truncates at `max_length`.
        labels: label names by label_id.
        notice: origin and licence of the pretrained weights; it is copied to models made from them.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: LabelSet
    notice: str

    @property
    def max_length(self) -> int:
        """The longest input in tokens, special tokens included."""
        return int(self.tokenizer.model_max_length)


def load_classifier(folder: Path) -> TorchClassifier:
    """Load a trained classifier, in evaluation mode.

    Raises:
        ModelError: the folder is missing, does not hold a classifier, or lacks weights; or its tokenizer has tokens
            without an embedding.
    """
    quiet_transformers()
    _register_architecture(folder)
    try:
        model, missing = _read_model(folder)
    except UNREADABLE as error:
        raise ModelError(
            f"{folder} does not hold a classifier that can be loaded",
            found=error,
            expected="config.json and model.safetensors, as the training stages write them",
            next_step="run `dvc repro` to train it, or `dvc pull` it",
        ) from error
    if missing:
        raise ModelError(
            f"{folder} lacks weights of a trained classifier",
            found=f"missing: {sorted(missing)}",
            next_step="run `dvc repro` to train it again",
        )
    tokenizer = load_tokenizer(folder)
    check_token_table(folder, model, tokenizer)
    labels = LabelSet(labels=tuple(model.config.id2label[label_id] for label_id in range(model.config.num_labels)))
    return TorchClassifier(model=model.eval(), tokenizer=tokenizer, labels=labels, notice=read_notice(folder))


def _read_model(folder: Path) -> tuple[PreTrainedModel, list[str]]:
    """Load the model in a folder, and list the weights it lacks."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if getattr(config, FACTOR_FIELD, None) is None:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, output_loading_info=True, dtype=torch.float32
        )
        return model, list(report["missing_keys"])
    model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    insert_factorised_embedding(model)
    found = model.load_state_dict(load_file(folder / SAFE_WEIGHTS_NAME), strict=False)
    return model, list(found.missing_keys)


def readable_length(model: PreTrainedModel) -> int | None:
    """Return the longest input in tokens that a model has positions for; None without a limit."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or positions < 0:  # XLNet's positions are relative, which its config writes as -1
        return None
    padding = position_padding(model)
    return int(positions if padding is None else positions - padding - 1)


def position_padding(model: PreTrainedModel) -> int | None:
    """Return the padding id that a model counts positions from, as RoBERTa does; None where it counts from 0."""
    table = next((module for name, module in model.named_modules() if name.endswith(".position_embeddings")), None)
    padding = getattr(table, "padding_idx", None)
    return None if padding is None else int(padding)


def check_length(model: PreTrainedModel, max_length: int) -> None:
    """Refuse inputs longer than a model has positions for.

    Raises:
        ModelError: `max_length` exceeds the model's positions.
    """
    readable = readable_length(model)
    if readable is not None and max_length > readable:
        raise ModelError(
            "max_length exceeds the model's positions",
            found=max_length,
            expected=f"at most {readable} tokens for a {type(model).__name__} with "
            f"{model.config.max_position_embeddings} positions",
            next_step="lower max_length in params.yaml",
        )


def num_token_ids(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return one more than a tokenizer's largest id, added tokens and padding included."""
    return max(tokenizer.get_vocab().values()) + 1


def num_token_rows(model: PreTrainedModel) -> int | None:
    """Return the rows of a model's token embedding; None for models without such a table."""
    try:
        table = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):  # CANINE hashes characters
        return None
    return int(table.num_embeddings if hasattr(table, "num_embeddings") else table.weight.shape[0])


def check_token_table(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a model whose embedding table lacks rows for some of its tokenizer's ids.

    Args:
        folder: folder of both, for messages.
        model: transformers model of any kind.
        tokenizer: tokenizer of the same folder.

    Raises:
        ModelError: a text could hold a token without an embedding.
    """
    rows, num_ids = num_token_rows(model), num_token_ids(tokenizer)
    if rows is not None and num_ids > rows:
        token = tokenizer.convert_ids_to_tokens(num_ids - 1)
        raise ModelError(
            f"the tokenizer of {folder} has tokens without an embedding in its model",
            found=f"ids up to {num_ids - 1} ({token!r})",
            expected=f"ids below {rows}, the rows of the embedding table",
            next_step="call model.resize_token_embeddings(len(tokenizer)) and save both again",
        )


def save_classifier(classifier: TorchClassifier, folder: Path) -> None:
    """Write model, tokenizer and labels to a folder that `load_classifier` and every Hugging Face tool reads."""
    folder.mkdir(parents=True, exist_ok=True)
    set_problem(classifier.model, classifier.labels.task)
    classifier.model.config.name_or_path = ""  # the path of the base must not become part of the model
    classifier.model.save_pretrained(folder)
    classifier.tokenizer.name_or_path = ""
    classifier.tokenizer.save_pretrained(folder)
    if classifier.notice:
        (folder / NOTICE_FILE).write_text(classifier.notice, encoding="utf-8")


def set_problem(model: PreTrainedModel, task: Task) -> None:
    """Declare the task in a model's config, by which clients convert logits; a base may have declared another one."""
    model.config.problem_type = task.problem_type
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
    """Import the one of our own architectures that a saved model names, if any; the others are not imported."""
    config = folder / "config.json"
    model_type = str(read_json(config).get("model_type")) if config.is_file() else ""
    module = f"{ARCHITECTURES}.{model_type}"
    if model_type.isidentifier() and importlib.util.find_spec(module):
        importlib.import_module(module)


def read_notice(folder: Path) -> str:
    """Read the origin and licence of a model's pretrained weights; empty if its folder lacks a notice."""
    path = folder / NOTICE_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def quiet_transformers() -> None:
    """Turn off transformers' own progress bars and reports; our errors cover their content."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
