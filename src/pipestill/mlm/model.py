"""A masked language model, and running its head at the masked positions only.

A vocabulary is so wide that the head costs as much as the encoder. So hidden states are picked at the masked positions
first, and only those go through the head.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from pipestill.errors import ModelError
from pipestill.teacher.classifier import NOTICE_FILE, UNREADABLE, check_token_table, quiet_transformers
from pipestill.text.tokenizer import load_tokenizer


@dataclass(frozen=True)
class MaskedLm:
    """A masked language model with its tokenizer.

    Attributes:
        model: an encoder and a head that gives a logit for each token of the vocabulary.
        tokenizer: tokenizer of the model.
        notice: origin and licence of the pretrained weights; it is copied to models made from them.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    notice: str


class Loaded(NamedTuple):
    """A masked language model from a folder, and whether its head came from there too; otherwise the head is random."""

    lm: MaskedLm
    has_head: bool


def load_masked_lm(folder: Path) -> Loaded:
    """Load an encoder with a masked language model's head, in evaluation mode. Seed torch first: the head may be new.

    Raises:
        ModelError: the folder's encoder is of a kind without such a head, or lacks weights, or its tokenizer has tokens
            without an embedding.
    """
    quiet_transformers()
    try:
        model, report = AutoModelForMaskedLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, output_loading_info=True, dtype=torch.float32
        )
    except UNREADABLE as error:
        raise ModelError(
            f"{folder} holds no masked language model that can be loaded, nor an encoder for one", found=error
        ) from error
    missing = sorted(report["missing_keys"])
    prefix = f"{model.base_model_prefix}."
    if lacking := [key for key in missing if key.startswith(prefix)]:
        raise ModelError(f"the model {folder} lacks pretrained weights", found=f"missing: {lacking[:5]}")
    tokenizer = load_tokenizer(folder)
    check_token_table(folder, model, tokenizer)
    notice = folder / NOTICE_FILE
    text = notice.read_text(encoding="utf-8") if notice.is_file() else ""
    return Loaded(MaskedLm(model.eval(), tokenizer, text), not missing)


def save_masked_lm(lm: MaskedLm, folder: Path) -> None:
    """Write model and tokenizer to a folder in the layout of `save_pretrained`."""
    folder.mkdir(parents=True, exist_ok=True)
    lm.model.config.name_or_path = ""  # the path it was loaded from must not become part of the model
    lm.model.save_pretrained(folder)
    lm.tokenizer.name_or_path = ""
    lm.tokenizer.save_pretrained(folder)
    if lm.notice:
        (folder / NOTICE_FILE).write_text(lm.notice, encoding="utf-8")


class Predicted(NamedTuple):
    """A model's outputs at the masked positions of a batch, in the precision of its run."""

    hidden: Float[Tensor, "masked hidden"]
    logits: Float[Tensor, "masked token"]


def predict_masked(
    model: PreTrainedModel,
    input_ids: Int[Tensor, "batch token"],
    attention_mask: Int[Tensor, "batch token"],
    places: Int[Tensor, " masked"],
) -> Predicted:
    """Run a model and its head at some positions.

    Args:
        model: masked language model to run.
        input_ids: token ids, some of them masked.
        attention_mask: 1 on tokens, 0 on padding.
        places: positions in the batch, each row * tokens + token.

    Raises:
        ModelError: the model's head is of a kind unknown here.
    """
    states = model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    hidden = states.flatten(0, 1)[places]
    return Predicted(hidden, head_logits(model, hidden))


def head_logits(model: PreTrainedModel, hidden: Float[Tensor, "masked hidden"]) -> Float[Tensor, "masked token"]:
    """Compute a model's logits from hidden states by its head.

    Raises:
        ModelError: the head is of a kind unknown here.
    """
    for name in ("cls", "lm_head", "predictions"):  # BERT; RoBERTa and XLM-R; ALBERT
        if hasattr(model, name):
            logits: Tensor = getattr(model, name)(hidden)
            return logits
    if hasattr(model, "generator_predictions"):  # ELECTRA
        found: Tensor = model.generator_lm_head(model.generator_predictions(hidden))
        return found
    if hasattr(model, "vocab_projector"):  # DistilBERT
        transformed = model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))
        projected: Tensor = model.vocab_projector(transformed)
        return projected
    raise ModelError(
        f"the head of a {type(model).__name__} cannot be run by itself",
        expected="BERT, RoBERTa, XLM-R, ALBERT, ELECTRA or DistilBERT",
        next_step="choose another base in fetch.base of params.yaml",
    )
