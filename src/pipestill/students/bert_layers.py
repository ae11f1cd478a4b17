"""A student with fewer of its teacher's layers, each a copy (DistilBERT arXiv:1910.01108, patient KD arXiv:1908.09355).

Embeddings, pooler and classification head are copied whole; layer i of the student is the i-th chosen layer of the
teacher. Works for every encoder whose weights name their layers `...layer.<number>...`: BERT, RoBERTa, ELECTRA, XLM-R,
DistilBERT, MiniLM.
"""

import copy
import re

from transformers import AutoModelForSequenceClassification, PreTrainedModel

from pipestill.errors import ModelError
from pipestill.students._base import Built
from pipestill.students.params import BertLayersSpec
from pipestill.surgery.layers import chosen_layers

_LAYER = re.compile(r"\.layer\.(\d+)\.")


def build(spec: BertLayersSpec, initial: PreTrainedModel) -> Built:
    """Build a student from some layers of a model; see `pick_layers`."""
    return Built(pick_layers(initial, chosen_layers(spec.layers, int(initial.config.num_hidden_layers))))


def pick_layers(initial: PreTrainedModel, layers: tuple[int, ...]) -> PreTrainedModel:
    """Build a model that keeps some layers of another.

    Args:
        initial: model to copy from.
        layers: layers to keep, in the order of the new model.

    Returns:
        A new model of the same class, without random weights.

    Raises:
        ModelError: the encoder's weights do not name their layers.
    """
    state = initial.state_dict()
    picked = {key: value for key, value in state.items() if not _LAYER.search(key)}
    if len(picked) == len(state):
        raise ModelError(
            "bert_layers cannot tell the layers of this encoder apart",
            found=type(initial).__name__,
            expected="weights named `...layer.<number>...`, as in BERT, RoBERTa, ELECTRA or XLM-R",
            next_step="choose another student kind for this teacher",
        )
    for position, layer in enumerate(layers):
        for key, value in state.items():
            if (match := _LAYER.search(key)) and int(match.group(1)) == layer:
                picked[_LAYER.sub(f".layer.{position}.", key)] = value
    config = copy.deepcopy(initial.config)
    config.num_hidden_layers = len(layers)
    student = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    student.load_state_dict(picked)
    return student
