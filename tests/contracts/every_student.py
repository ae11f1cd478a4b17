"""One setting of every registered student architecture, and a teacher for it: what the contract tests share."""

from typing import Any, get_args

import torch
from pydantic import TypeAdapter
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

import tiny
from pipestill.students._base import Built, build_architecture
from pipestill.students.params import StudentKind, StudentSpec
from pipestill.tasks.targets import LabelSet
from pipestill.text.batching import collate

VOCABULARY, HIDDEN, MAX_LENGTH = 600, 64, 24
LABELS = LabelSet(labels=("bad", "fine", "good"))
SETTINGS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 24, "num_layers": 3, "layers": [1]},
    "bert_layers": {"layers": [0, 2]},
    "bert_narrow": {
        "layers": [0, 3],
        "hidden_size": 36,
        "num_heads": 3,
        "intermediate_size": 48,
        "calibration_rows": 64,
    },
    "bert_pruned": {"layers": [0, 1, 3], "intermediate_size": 48, "calibration_rows": 64},
    "bilstm": {"embedding_size": 40, "lstm_size": 16, "dense_size": 24},
    "distilbert": {"layers": {"preset": "uniform", "num_layers": 2}},
    "gru_transformer": {
        "embedding_size": 40,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 2,
        "intermediate_size": 64,
        "pooling": "mean",
    },
    "static": {"embedding_size": 40, "dense_size": 32},
}
"""One setting of each kind; a kind without one fails."""
RATES = {"bilstm": 2e-2, "static": 2e-2}
"""Learning rates of kinds that have no normalisation, which learn slowly at first."""


def members() -> list[type[StudentSpec]]:
    """The classes of the registration."""
    return list(get_args(get_args(StudentKind)[0]))


def kind_of(spec: type[StudentSpec]) -> str:
    return str(get_args(spec.model_fields["kind"].annotation)[0])


KINDS = [kind_of(spec) for spec in members()]


def spec_of(kind: str) -> StudentSpec:
    spec: StudentSpec = TypeAdapter(StudentKind).validate_python({"kind": kind, **SETTINGS[kind]})
    return spec


def build_on_rows(spec: StudentSpec, model: PreTrainedModel) -> Built:
    """Build a student with rows to look at, of tokens that the model has; seeded, as in the pipeline."""
    draw = torch.Generator().manual_seed(0)
    rows = [torch.randint(0, model.config.vocab_size, (2 + row % 9,), generator=draw).tolist() for row in range(16)]
    torch.manual_seed(0)
    return build_architecture(spec, model, [collate(rows[:8], 0), collate(rows[8:], 0)])


def random_bert() -> BertForSequenceClassification:
    """A BERT classifier with random weights, wide enough that 8 bits make it smaller."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=tiny.POSITIONS,
        num_labels=LABELS.num_labels,
        id2label=dict(enumerate(LABELS.labels)),
        label2id={label: label_id for label_id, label in enumerate(LABELS.labels)},
        initializer_range=0.2,
    )
    return BertForSequenceClassification(config).eval()
