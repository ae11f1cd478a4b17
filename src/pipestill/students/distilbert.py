"""A student that is a DistilBERT (Sanh et al. 2019, arXiv:1910.01108), made from some layers of a BERT.

DistilBERT has no token types, which a single text does not need, and another head. The teacher's parts are used as
follows:

    words, normalisations, attention, feed-forward   copied; layer i of the student is the i-th chosen layer
    positions                 position_embeddings + token_type_embeddings[0]: this is exact for a single text, so
                              the last hidden state equals that of the same layers in the teacher
    pooler -> pre_classifier  weights and bias copied, but DistilBERT's activation is ReLU where BERT's is tanh: what
                              tanh makes of negative values, and its saturation, are not carried over
    classifier                copied
    token type 1              left out: no text here has a second segment

There are no random weights. Training has to compensate for ReLU in the head, so an untrained student's logits differ
from those of the teacher's layers even where every layer is kept.
"""

import re

from torch import Tensor
from transformers import BertConfig, DistilBertConfig, DistilBertForSequenceClassification, PreTrainedModel

from pipestill.students._base import Built
from pipestill.students.params import DistilbertSpec
from pipestill.surgery.bert import as_bert
from pipestill.surgery.layers import chosen_layers

_NAMES = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
"""The parts of a layer: BERT's name and DistilBERT's."""
_PART = re.compile(r"bert\.encoder\.layer\.(?P<layer>\d+)\.(?P<part>.+)\.(?P<tensor>weight|bias)")
_COPIED = {
    "bert.embeddings.word_embeddings.weight": "distilbert.embeddings.word_embeddings.weight",
    "bert.embeddings.LayerNorm.weight": "distilbert.embeddings.LayerNorm.weight",
    "bert.embeddings.LayerNorm.bias": "distilbert.embeddings.LayerNorm.bias",
    "bert.pooler.dense.weight": "pre_classifier.weight",
    "bert.pooler.dense.bias": "pre_classifier.bias",
    "classifier.weight": "classifier.weight",
    "classifier.bias": "classifier.bias",
}


def build(spec: DistilbertSpec, initial: PreTrainedModel) -> Built:
    """Build a DistilBERT from some layers of a BERT."""
    teacher = as_bert(initial, spec.kind)
    layers = chosen_layers(spec.layers, int(teacher.config.num_hidden_layers))
    student = DistilBertForSequenceClassification(_config(teacher.config, len(layers)))
    student.load_state_dict(_weights(teacher.state_dict(), layers))
    return Built(student)


def _config(bert: BertConfig, num_layers: int) -> DistilBertConfig:
    return DistilBertConfig(
        vocab_size=bert.vocab_size,
        max_position_embeddings=bert.max_position_embeddings,
        sinusoidal_pos_embds=False,
        n_layers=num_layers,
        n_heads=bert.num_attention_heads,
        dim=bert.hidden_size,
        hidden_dim=bert.intermediate_size,
        dropout=bert.hidden_dropout_prob,
        attention_dropout=bert.attention_probs_dropout_prob,
        seq_classif_dropout=bert.hidden_dropout_prob,
        activation=bert.hidden_act,
        initializer_range=bert.initializer_range,
        pad_token_id=bert.pad_token_id,
        id2label=bert.id2label,
        label2id=bert.label2id,
    )


def _weights(bert: dict[str, Tensor], layers: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the student's weights by name, from the teacher's."""
    weights = {mine: bert[theirs] for theirs, mine in _COPIED.items()}
    positions = bert["bert.embeddings.position_embeddings.weight"]
    first_type = bert["bert.embeddings.token_type_embeddings.weight"][0]
    weights["distilbert.embeddings.position_embeddings.weight"] = positions + first_type
    for name, tensor in bert.items():
        if match := _PART.fullmatch(name):
            for position in (place for place, layer in enumerate(layers) if layer == int(match["layer"])):
                mine = f"distilbert.transformer.layer.{position}.{_NAMES[match['part']]}.{match['tensor']}"
                weights[mine] = tensor
    return weights
