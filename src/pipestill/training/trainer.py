"""Training any model: transformers' Trainer with our loss, our order of rows and our choice of epoch."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerState, TrainingArguments

from pipestill.allocation import keep_freed_memory
from pipestill.errors import ModelError
from pipestill.precision import Precision, PrecisionChoice
from pipestill.teacher.classifier import quiet_transformers, set_dropout
from pipestill.teacher.forward import choose_device_precision
from pipestill.training.callbacks import Callbacks, DevSplit, E, EpochEnd, Progress, RowOrder, best_weights
from pipestill.training.params import LOG_STEPS, Optimiser, OptimiserParams
from pipestill.training.records import StepPoint
from pipestill.training.sampler import LengthBucketedSampler

STATE_FILE = "trainer_state.json"
"""The last file of a checkpoint to be written: a folder without it was cut short."""

LossSum = Callable[[Any, dict[str, Tensor], float], Tensor]
"""Function from learner, batch and progress (0 to 1) to the loss, summed over the batch's `label_id`."""


@dataclass(frozen=True)
class Examples:
    """The rows of a training.

    Attributes:
        rows: rows by number; `__getitems__` returns several.
        lengths: tokens of the rows of one epoch, which are the first rows.
        collate: function that makes a batch of rows.
    """

    rows: "torch.utils.data.Dataset[dict[str, Any]]"
    lengths: Sequence[int]
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, Tensor]]


class Fitted(NamedTuple, Generic[E]):
    """The curves of a finished training, and the number of parameters, all and with a gradient."""

    num_parameters: int
    num_trained_parameters: int
    epochs: tuple[E, ...]
    steps: tuple[StepPoint, ...]


class ObjectiveTrainer(Trainer):
    """Trainer on a loss that is a sum over a batch, divided by the labels of the whole optimiser step.

    So accumulation over several forward passes changes no gradient.
    """

    def __init__(self, *, loss: LossSum, sampler: LengthBucketedSampler, **kwargs: Any) -> None:
        self._loss = loss
        self._sampler = sampler
        super().__init__(**kwargs)
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = True  # compute_loss divides by the labels of the whole optimiser step

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthBucketedSampler:
        return self._sampler

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Tensor]], device: torch.device) -> int:
        return sum(len(batch["label_id"]) for batch in batch_samples)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """Compute the loss of one forward pass, divided by the labels of the whole optimiser step."""
        progress = self.state.global_step / max(1, self.state.max_steps - 1)
        loss = self._loss(model, inputs, progress) / (num_items_in_batch or len(inputs["label_id"]))
        if not torch.isfinite(loss):
            raise ModelError(
                f"training diverged at step {self.state.global_step}",
                found=f"loss {loss.item()}",
                expected="a finite loss",
                next_step="lower learning_rate, raise warmup_fraction, or set precision to float32 in params.yaml",
            )
        return loss


def prepare_model(model: PreTrainedModel, settings: Optimiser[Any, Any, Any]) -> PrecisionChoice:
    """Set the dropouts, attention and frozen embeddings of a model to train; choose its precision."""
    quiet_transformers()
    keep_freed_memory()
    set_dropout(model, settings.dropout)
    if not torch.cuda.is_available():
        model.set_attn_implementation("eager")  # on CPU its backward pass is faster than sdpa's by a fifth
    model.get_input_embeddings().requires_grad_(settings.train_embeddings)
    return choose_device_precision(settings.precision)


def fit(
    *,
    name: str,
    learner: nn.Module,
    loss: LossSum,
    examples: Examples,
    dev: DevSplit[E],
    params: OptimiserParams,
    precision: Precision,
    seed: int,
    scratch: Path,
    callbacks: Callbacks[E],
) -> Fitted[E]:
    """Train a model in place; it ends on the CPU in evaluation mode, with the weights of the epoch to keep.

    A run that was killed resumes at its last checkpoint in `scratch` and ends with the same weights.

    Args:
        name: name of the model for progress.
        learner: module to train: the model of `dev`, with whatever is trained beside it.
        loss: function that runs the learner.
        examples: rows to train on.
        dev: model to keep and its scores after each epoch.
        params: optimiser and schedule settings.
        precision: arithmetic of matrix products.
        seed: random seed of the order of rows and the dropouts.
        scratch: folder of the checkpoints, distinct for each content of params, rows and code.
        callbacks: functions that receive the curves.

    Raises:
        ModelError: the loss is not finite.
    """
    sampler = LengthBucketedSampler(examples.lengths, params.batch_size, seed)
    trainer = ObjectiveTrainer(
        loss=loss,
        sampler=sampler,
        model=learner,
        args=training_arguments(params, precision, seed, scratch / "checkpoints"),
        train_dataset=examples.rows,
        data_collator=examples.collate,
        callbacks=[
            RowOrder(sampler),
            EpochEnd(dev, scratch / "best", callbacks.on_epoch),
            Progress(name, callbacks.on_step),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "checkpoints"))
    epochs = dev.points(trainer.state)
    model = dev.model.cpu()
    if dev.best is not None:
        model.load_state_dict(load_file(best_weights(scratch / "best", dev.best(epochs))))
    model.eval()
    return Fitted(
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        num_trained_parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        epochs=tuple(epochs),
        steps=tuple(
            StepPoint(step=entry["step"], loss=entry["loss"], learning_rate=entry["learning_rate"])
            for entry in trainer.state.log_history
            if "loss" in entry
        ),
    )


def training_arguments(
    params: OptimiserParams, precision: Precision, seed: int, checkpoints: Path
) -> TrainingArguments:
    """Make the arguments of transformers' Trainer, with its own evaluation, selection and reporting turned off.

    Args:
        params: settings of the training.
        precision: arithmetic of matrix products.
        seed: random seed of the dropouts.
        checkpoints: folder of the checkpoints.
    """
    on_cpu = not torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.batch_size // params.accumulation_steps,
        gradient_accumulation_steps=params.accumulation_steps,
        learning_rate=params.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(params.schedule, params.schedule),
        warmup_steps=params.warmup_fraction,  # below 1 it is a share of the steps
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=precision == "bfloat16",
        use_cpu=on_cpu,
        seed=seed,
        data_seed=seed,
        logging_strategy="steps",
        logging_steps=LOG_STEPS,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=params.checkpoint_steps,
        save_total_limit=1,
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001 (several would multiply the batch)
    return arguments


def last_checkpoint(folder: Path) -> str | None:
    """Find the latest complete checkpoint, and delete those cut short by a kill."""
    whole: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        step = int(path.name.rpartition("-")[2])
        if _is_whole(path, step):
            whole.append((step, path))
        else:
            shutil.rmtree(path)
    return str(max(whole)[1]) if whole else None


def _is_whole(checkpoint: Path, step: int) -> bool:
    """Return whether a checkpoint's last file is readable and of the step in the folder's name."""
    try:
        return TrainerState.load_from_json(str(checkpoint / STATE_FILE)).global_step == step
    except (OSError, ValueError, TypeError):
        return False
