"""Tiny models with random weights, saved as a user would save theirs."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

WORDS = [
    "the",
    "a",
    "film",
    "movie",
    "plot",
    "actor",
    "scene",
    "story",
    "is",
    "was",
    "not",
    "very",
    "good",
    "bad",
    "great",
    "awful",
    "fine",
    "dull",
    "bright",
    "slow",
    "quick",
    "and",
    "or",
    "but",
    "with",
    "without",
    "of",
    "in",
    "on",
    "it",
    "this",
    "that",
    "i",
    "we",
    "they",
    "liked",
    "hated",
    "loved",
    "number",
    "sentence",
    "small",
    "set",
]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HIDDEN, LAYERS, HEADS, POSITIONS = 16, 4, 2, 64

SIZES: dict[str, dict[str, object]] = {
    "bert": {"intermediate_size": 32},
    "roberta": {"intermediate_size": 32, "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1},
    "electra": {"intermediate_size": 32, "embedding_size": 8},
    "xlm-roberta": {"intermediate_size": 32, "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1},
    "albert": {"intermediate_size": 32, "embedding_size": 8},
    "distilbert": {"dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 32},
}
"""What each family calls its sizes; the rest they share."""
UNLIKE_BERT: dict[str, dict[str, object]] = {
    "gpt2": {"pad_token_id": None},
    "longformer": {"intermediate_size": 32, "max_position_embeddings": POSITIONS + 2, "attention_window": 8},
    "xlnet": {"d_inner": 32, "d_head": HIDDEN // HEADS},
}
"""Families that read a text from left to right, in windows, or with its last token in the lead."""


def word_level_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words with BERT's special tokens."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=POSITIONS,
    )


def save_tokenizer(folder: Path) -> None:
    """The word-level tokenizer in a folder."""
    word_level_tokenizer().save_pretrained(folder)


def change_json(file: Path, **changes: object) -> None:
    """Change some keys of a JSON file, as a user would in an editor."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def save_base(
    folder: Path, family: str = "bert", *, seed: int = 0, tokenizer: PreTrainedTokenizerBase | None = None
) -> Path:
    """A pretrained encoder of a family, with random weights and a tokenizer of its own or the word-level one."""
    tokenizer = word_level_tokenizer() if tokenizer is None else tokenizer
    torch.manual_seed(seed)
    shared: dict[str, object] = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if family != "xlnet":
        shared["max_position_embeddings"] = POSITIONS
    if family != "distilbert":
        shared |= {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    config = AutoConfig.for_model(family, **{**shared, **(SIZES | UNLIKE_BERT)[family]})
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
