"""Training a masked language model, with or without a teacher's cached outputs."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from pipestill.mlm.model import MaskedLm, predict_masked
from pipestill.mlm.objective import Taught, masked_loss
from pipestill.mlm.params import MlmWeights
from pipestill.mlm.records import MlmEpoch, MlmScores, MlmTrainingRecord
from pipestill.mlm.rows import Batch, MaskedCollator, MaskedRows
from pipestill.mlm.soft_targets import TopTokens
from pipestill.precision import Precision
from pipestill.teacher.forward import autocast
from pipestill.text.batching import length_sorted_batches
from pipestill.training.callbacks import Callbacks, DevSplit
from pipestill.training.params import OptimiserParams
from pipestill.training.trainer import Examples, fit, prepare_model


class MlmLearner(nn.Module):
    """A masked language model with its objective, as one module for the trainer and its checkpoints.

    Args:
        model: model to train in place.
        weights: weights of the three losses.
        temperature: T of the batches' soft targets.
    """

    def __init__(self, model: PreTrainedModel, weights: MlmWeights, temperature: float) -> None:
        super().__init__()
        self.model = model
        self._weights = weights
        self._temperature = temperature
        # The head shares its table with the embeddings, and a checkpoint in safetensors holds each tensor once.
        self.register_state_dict_post_hook(_drop_shared)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_forgive_shared)  # type: ignore[no-untyped-call]

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compute the objective of a batch, as a sum over its masked positions."""
        predicted = predict_masked(self.model, batch["input_ids"], batch["attention_mask"], batch["places"])
        taught = None
        if "top_ids" in batch:
            top = TopTokens(batch["top_ids"], batch["top_log_probabilities"])
            taught = Taught(top, batch["hidden"], self._temperature)
        with torch.autocast(predicted.logits.device.type, enabled=False):  # losses stay float32
            return masked_loss(predicted.logits, predicted.hidden, batch["label_id"], taught, self._weights).sum()


def _drop_shared(module: nn.Module, state: dict[str, Any], *_: object) -> None:  # noqa: ARG001 (torch's signature)
    seen: set[int] = set()
    for name in list(state):
        place = state[name].data_ptr()
        if place in seen:
            del state[name]
        seen.add(place)


def _forgive_shared(module: nn.Module, keys: Any) -> None:  # noqa: ANN401 (torch's own)
    loaded = {id(tensor) for name, tensor in _named(module) if name not in keys.missing_keys}
    shared = {name for name, tensor in _named(module) if id(tensor) in loaded}
    keys.missing_keys[:] = [name for name in keys.missing_keys if name not in shared]


def _named(module: nn.Module) -> list[tuple[str, Tensor]]:
    return list(module.named_parameters(remove_duplicate=False))


def train_masked_lm(
    *,
    name: str,
    lm: MaskedLm,
    rows: MaskedRows,
    dev: MaskedRows,
    weights: MlmWeights,
    temperature: float = 1.0,
    params: OptimiserParams,
    seed: int,
    scratch: Path,
    callbacks: Callbacks[MlmEpoch],
) -> MlmTrainingRecord:
    """Train a masked language model in place; it ends in evaluation mode. Weights without a gradient stay unchanged.

    A run that was killed resumes at its last checkpoint in `scratch` and ends with the same weights.

    Args:
        name: name of the model for progress and record.
        lm: model to train in place.
        rows: masked rows, with a teacher's outputs if there is a teacher.
        dev: masked rows of dev.
        weights: weights of the three losses.
        temperature: T of the rows' soft targets.
        params: optimiser and schedule settings.
        seed: random seed of the order of rows and the dropouts.
        scratch: folder of the checkpoints, distinct for each content of params, rows and code.
        callbacks: functions that receive the curves.

    Raises:
        ModelError: the loss is not finite.
    """
    precision = prepare_model(lm.model, params)
    print(f"{name}: {precision}", flush=True)
    score = partial(score_masked_lm, lm, dev, batch_size=params.batch_size, precision=precision.used)
    before = score()
    fitted = fit(
        name=name,
        learner=MlmLearner(lm.model, weights, temperature),
        loss=lambda learner, batch, _: learner(batch),
        examples=Examples(rows, rows.lengths.tolist(), MaskedCollator(lm.tokenizer.pad_token_id)),
        dev=DevSplit(
            model=lm.model,
            kind=MlmEpoch,
            score=lambda ended: MlmEpoch(epoch=ended.epoch, step=ended.step, dev=score()),
        ),
        params=params,
        precision=precision.used,
        seed=seed,
        scratch=scratch,
        callbacks=callbacks,
    )
    return MlmTrainingRecord(
        model=name,
        num_rows=len(rows),
        num_masked_tokens=rows.num_masked_tokens,
        before=before,
        choices=(precision,),
        **fitted._asdict(),
    )


def score_masked_lm(lm: MaskedLm, rows: MaskedRows, *, batch_size: int, precision: Precision) -> MlmScores:
    """Score a model at the masked positions of some rows, in evaluation mode."""
    was_training = lm.model.training
    lm.model.eval()
    collate = MaskedCollator(lm.tokenizer.pad_token_id)
    device = lm.model.device
    nll, correct, total = 0.0, 0, 0
    with torch.inference_mode(), autocast(precision, device):
        for numbers in length_sorted_batches(rows.lengths.tolist(), batch_size):
            batch = {name: tensor.to(device) for name, tensor in collate(rows.__getitems__(numbers)).items()}
            logits = predict_masked(lm.model, batch["input_ids"], batch["attention_mask"], batch["places"]).logits
            nll += float(functional.cross_entropy(logits.float(), batch["label_id"], reduction="sum"))
            correct += int((logits.argmax(dim=-1) == batch["label_id"]).sum())
            total += len(batch["label_id"])
    lm.model.train(was_training)
    return MlmScores(mlm_nll_nats=nll / total, masked_accuracy_fraction=correct / total, num_masked_tokens=total)
