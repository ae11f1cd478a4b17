"""Training a classifier: choose its recipe, plan its passes, fit it, and keep the best epoch on dev."""

from collections.abc import Callable, Sequence
from functools import partial

from pipestill.choices import Choice
from pipestill.data.tables import Rows
from pipestill.losses.params import Objective
from pipestill.metrics.measures import scores
from pipestill.precision import Precision
from pipestill.seeding import derive_seed
from pipestill.teacher import TorchClassifier, fastest_device, predict_logits
from pipestill.training.callbacks import Callbacks, DevSplit, EndedEpoch
from pipestill.training.duration import Steps, plan_epochs
from pipestill.training.inputs import TrainingInputs
from pipestill.training.learner import Learner, loss_on
from pipestill.training.params import TrainingParams, TrainingSettings
from pipestill.training.recipe import Traits, choose_recipe
from pipestill.training.records import EpochPoint, TrainingRecord, best_epoch
from pipestill.training.rows import Collator, TrainingRows
from pipestill.training.signals import Signal
from pipestill.training.trainer import Examples, fit, prepare_model

PATIENCE = 3
"""Epochs without improvement on dev after which `epochs: auto` stops."""


def train_classifier(
    *,
    name: str,
    classifier: TorchClassifier,
    inputs: TrainingInputs,
    objective: Objective,
    signal: Signal,
    settings: TrainingSettings,
    seed: int,
    callbacks: Callbacks[EpochPoint],
    choices: tuple[Choice, ...] = (),
    start: EpochPoint | None = None,
) -> TrainingRecord:
    """Train a classifier in place; it ends with the weights of its best epoch on dev, in evaluation mode.

    A run that was killed resumes at its last checkpoint in the scratch folder and ends with the same weights.

    Args:
        name: name of the model for progress and record.
        classifier: model to train in place.
        inputs: rows, dev split, and the scratch folder that holds the checkpoints.
        objective: losses and their weights.
        signal: source of targets.
        settings: optimiser, schedule and time limit; `auto` ones are chosen here.
        seed: random seed of the order of rows and the dropouts.
        callbacks: functions that receive the curves.
        choices: values chosen for `auto` settings so far, for the record.
        start: dev scores of a classifier with a fitted head, which then competes as epoch 0. None where the head is
            random.

    Raises:
        ModelError: the loss is not finite.
    """
    dev, scratch = inputs.dev, inputs.scratch
    rows = TrainingRows(inputs.table, classifier.tokenizer, scratch)
    precision = prepare_model(classifier.model, settings)
    traits = Traits.of(
        classifier.model.config,
        classifier.labels.task,
        label_counts=rows.count_labels(classifier.labels.num_labels),
        num_rows=len(rows),
        longest_row=int(rows.lengths.max()),
        device=fastest_device().type,
    )
    recipe = choose_recipe(settings, traits)
    learner = Learner(classifier.model, objective, signal.sizes, derive_seed(seed, "projections"))
    collate = Collator(classifier.tokenizer.pad_token_id)
    loss = loss_on(signal)
    plan = plan_epochs(
        name,
        recipe,
        Steps(
            model=learner,
            loss=lambda batch: loss(learner, batch, 0.0),
            collate=lambda numbers: collate(rows.__getitems__(numbers)),
            precision=precision.used,
        ),
        rows.lengths.tolist(),
        num_dev_rows=len(dev.texts),
        max_minutes=settings.max_minutes,
        file=scratch / "plan.json",
    )
    params = recipe.params.model_copy(update={"epochs": plan.epochs})
    planned = (plan.choice if plan.choice and choice.setting == "epochs" else choice for choice in recipe.choices)
    choices = (*choices, precision, *planned)
    for choice in choices:
        print(f"{name}: {choice}", flush=True)

    patience = PATIENCE if settings.epochs == "auto" else None
    fitted = fit(
        name=name,
        learner=learner,
        loss=loss,
        examples=Examples(rows, rows.lengths[: plan.num_rows].tolist(), collate),
        dev=_dev_split(classifier, dev, params, precision.used, start=start, patience=patience),
        params=params,
        precision=precision.used,
        seed=seed,
        scratch=scratch,
        callbacks=callbacks,
    )
    return TrainingRecord(
        model=name,
        num_rows=plan.num_rows,
        selection_metric=params.selection_metric,
        best_epoch=_best_epoch(classifier, params)(fitted.epochs),
        choices=choices,
        **fitted._asdict(),
    )


def _dev_split(
    classifier: TorchClassifier,
    dev: Rows,
    params: TrainingParams,
    precision: Precision,
    *,
    start: EpochPoint | None,
    patience: int | None,
) -> DevSplit[EpochPoint]:
    def score(ended: EndedEpoch) -> EpochPoint:
        logits = predict_logits(classifier, dev.texts, batch_size=params.batch_size, precision=precision)
        return EpochPoint(**ended._asdict(), dev=scores(classifier.labels.task.by_epoch, logits, dev.label_ids))

    return DevSplit(classifier.model, EpochPoint, score, _best_epoch(classifier, params), start, patience)


def _best_epoch(classifier: TorchClassifier, params: TrainingParams) -> Callable[[Sequence[EpochPoint]], int]:
    task = classifier.labels.task
    return partial(best_epoch, selection=task.measure(params.selection_metric), tie_breaker=task.tie_breaker)
