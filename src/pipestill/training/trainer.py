"""Training a classifier: transformers' Trainer with our objective, our order of rows and our choice of epoch."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerState, TrainingArguments

from pipestill.allocation import keep_freed_memory
from pipestill.data.tables import Rows
from pipestill.errors import ModelError
from pipestill.precision import Precision
from pipestill.seeding import derive_seed
from pipestill.teacher import (
    Classifier,
    choose_device_precision,
    fastest_device,
    predict_logits,
    quiet_transformers,
    set_dropout,
)
from pipestill.training.callbacks import DevSplit, Progress, RowOrder, best_weights, dev_scores, epoch_points
from pipestill.training.duration import Steps, plan_epochs
from pipestill.training.learner import Learner
from pipestill.training.material import Material
from pipestill.training.params import LOG_STEPS, Objective, OptimiserParams, TrainingSettings
from pipestill.training.recipe import Traits, choose_recipe
from pipestill.training.records import EpochPoint, StepPoint, TrainingRecord, best_epoch
from pipestill.training.rows import Collator, TrainingRows
from pipestill.training.sampler import LengthBucketedSampler
from pipestill.training.signals import Signal

PATIENCE = 3
"""Epochs without improvement on dev after which `epochs: auto` stops."""
STATE_FILE = "trainer_state.json"
"""The last file of a checkpoint to be written: a folder without it was cut short."""


@dataclass(frozen=True)
class Listener:
    """Receiver of a training's curves as they grow."""

    on_step: Callable[[int, float, float], None]
    on_epoch: Callable[[EpochPoint], None]


class ObjectiveTrainer(Trainer):
    """Trainer of a `Learner` on the targets of a signal.

    The loss of an optimiser step is a sum over rows divided by the step's rows, so that accumulation over several
    forward passes changes no gradient.
    """

    def __init__(
        self,
        *,
        signal: Signal,
        sampler: LengthBucketedSampler,
        **kwargs: Any,
    ) -> None:
        self._signal = signal
        self._sampler = sampler
        super().__init__(**kwargs)
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = True  # compute_loss divides by the rows of the whole optimiser step

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
        """Compute the objective of one forward pass, divided by the rows of the whole optimiser step."""
        progress = self.state.global_step / max(1, self.state.max_steps - 1)
        total: Tensor = model(batch=inputs, answer=self._signal.answer(inputs), progress=progress)
        loss = total / (num_items_in_batch or len(inputs["label_id"]))
        if not torch.isfinite(loss):
            raise ModelError(
                f"training diverged at step {self.state.global_step}",
                found=f"loss {loss.item()}",
                expected="a finite loss",
                next_step="lower learning_rate, raise warmup_fraction, or set precision to float32 in params.yaml",
            )
        return loss


def train(
    *,
    name: str,
    classifier: Classifier,
    rows: TrainingRows,
    material: Material,
    objective: Objective,
    signal: Signal,
    settings: TrainingSettings,
    seed: int,
    listener: Listener,
    start: EpochPoint | None = None,
) -> TrainingRecord:
    """Train a classifier in place; it ends with the weights of its best epoch on dev, in evaluation mode.

    A run that was killed resumes at its last checkpoint in the scratch folder and ends with the same weights.

    Args:
        name: name of the model for progress and record.
        classifier: model to train in place.
        rows: token ids and labels.
        material: dev split, and the scratch folder that holds the checkpoints.
        objective: losses and their weights.
        signal: source of targets.
        settings: optimiser, schedule and time limit; `auto` ones are chosen here.
        seed: random seed of the order of rows and the dropouts.
        listener: receiver of the curves.
        start: dev scores of a classifier with a fitted head, which then competes as epoch 0. None where the head is
            random.

    Raises:
        ModelError: the loss is not finite.
    """
    quiet_transformers()
    keep_freed_memory()
    dev, scratch = material.dev, material.scratch
    precision = choose_device_precision(settings.precision)
    set_dropout(classifier.model, settings.dropout)
    if not torch.cuda.is_available():
        classifier.model.set_attn_implementation("eager")  # on CPU its backward pass is faster than sdpa's by a fifth
    classifier.model.get_input_embeddings().requires_grad_(settings.train_embeddings)
    recipe = choose_recipe(settings, read_traits(classifier, rows))
    learner = Learner(classifier.model, objective, signal.sizes, derive_seed(seed, "projections"))
    collate = Collator(classifier.tokenizer.pad_token_id)
    plan = plan_epochs(
        name,
        recipe,
        Steps(
            model=learner,
            loss=lambda batch: learner(batch=batch, answer=signal.answer(batch), progress=0.0),
            collate=lambda numbers: collate(rows.__getitems__(numbers)),
            precision=precision.used,
        ),
        rows.lengths.tolist(),
        num_dev_rows=len(dev.texts),
        max_minutes=settings.max_minutes,
        file=scratch / "plan.json",
    )
    params = recipe.params.model_copy(update={"epochs": plan.epochs})
    choices = (precision, *(plan.choice if choice.setting == "epochs" else choice for choice in recipe.choices))
    for choice in choices:
        print(f"{name}: {choice}", flush=True)
    sampler = LengthBucketedSampler(rows.lengths[: plan.num_rows].tolist(), params.batch_size, seed)
    trainer = ObjectiveTrainer(
        signal=signal,
        sampler=sampler,
        model=learner,
        args=training_arguments(params, precision.used, seed, scratch / "checkpoints"),
        train_dataset=rows,
        data_collator=collate,
        callbacks=[
            RowOrder(sampler),
            DevSplit(
                scratch / "best",
                classifier.model,
                lambda: _dev_scores(classifier, dev, params.batch_size, precision.used),
                params.selection_metric,
                listener.on_epoch,
                start=start,
                patience=PATIENCE if settings.epochs == "auto" else None,
            ),
            Progress(name, listener.on_step),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "checkpoints"))
    epochs = epoch_points(trainer.state)
    best = best_epoch(epochs, params.selection_metric)
    classifier.model.cpu().load_state_dict(load_file(best_weights(scratch / "best", best)))
    classifier.model.eval()
    return TrainingRecord(
        model=name,
        num_rows=plan.num_rows,
        num_parameters=sum(parameter.numel() for parameter in classifier.model.parameters()),
        num_trained_parameters=sum(
            parameter.numel() for parameter in classifier.model.parameters() if parameter.requires_grad
        ),
        selection_metric=params.selection_metric,
        best_epoch=best,
        epochs=tuple(epochs),
        steps=tuple(
            StepPoint(step=entry["step"], loss=entry["loss"], learning_rate=entry["learning_rate"])
            for entry in trainer.state.log_history
            if "loss" in entry
        ),
        choices=choices,
    )


def read_traits(classifier: Classifier, rows: TrainingRows) -> Traits:
    """Read the properties of rows and model that a recipe depends on."""
    config = classifier.model.config
    return Traits(
        label_counts=rows.count_labels(classifier.labels.num_labels),
        num_rows=len(rows),
        num_attention_heads=int(getattr(config, "num_attention_heads", 0)),
        hidden_size=int(getattr(config, "hidden_size", 0)),
        longest_row=int(rows.lengths.max()),
        device=fastest_device().type,
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


def _dev_scores(classifier: Classifier, dev: Rows, batch_size: int, precision: Precision) -> dict[str, float]:
    logits = predict_logits(classifier, dev.texts, batch_size=batch_size, precision=precision)
    return dev_scores(logits, dev.label_ids)


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
