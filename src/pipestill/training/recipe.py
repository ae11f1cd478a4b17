"""The training recipe: rules that choose `auto` settings from the data and the model.

The rules are few and fixed, so that a choice can be predicted; each choice is recorded with its reason (`Choice`).

- epochs: passes that see `floor_rows` rows in all. Too few of them are what makes fine-tuning fail on small sets
  (Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987), and more labels take more.
- learning_rate: 1e-4 for a hidden size of 384, falling with the width: 5e-5 for BERT base. Narrow encoders want larger
  rates (Turc et al. 2019, arXiv:1908.08962).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipestill.choices import Choice
from pipestill.tasks import Task
from pipestill.training.params import TrainingParams, TrainingSettings

MIN_ROWS_SEEN = 16_000
"""Rows that all passes together see, for two labels: 500 steps of 32 rows."""
GROWTH = 0.25
"""Share of `MIN_ROWS_SEEN` that each doubling of the labels adds."""
MAX_EPOCHS = 20
SMALL_SET_ROWS = 2_000
"""Rows below which batches have 16 rows, which doubles the steps of a pass."""
MAX_ATTENTION = {"cpu": 2**21, "cuda": 2**24}
"""Rows times tokens squared in one forward pass: on a CPU 8 rows of 512 tokens, or 128 of 128.

Attention keeps several numbers for each head, row and pair of tokens until the backward pass: about 3 GB at 2**21, for
a base of 6 layers with 12 heads. A batch of 64 rows of 512 tokens at once takes 24 GB.
"""
RATE_TIMES_WIDTH = 1e-4 * 384
LAYERLESS_RATE = 2e-3
"""The learning rate of models without attention, which start from random weights."""
WARMUP_FRACTION = 0.1
MAX_WARMUP_STEPS = 500


@dataclass(frozen=True)
class Traits:
    """The properties of rows and model that a recipe depends on.

    Attributes:
        task: task of the model.
        label_counts: int64 `[label]`, train rows of each label; rows without a label are not counted.
        num_rows: rows to train on.
        num_attention_heads: heads of its attention; 0 for a model without attention, which starts from random weights.
        hidden_size: width of its layers.
        longest_row: tokens of the longest row, as far as the model reads it.
        device: type of the device that trains, `cpu` or `cuda`.
    """

    task: Task
    label_counts: npt.NDArray[np.int64]
    num_rows: int
    num_attention_heads: int
    hidden_size: int
    longest_row: int
    device: str

    @classmethod
    def of(
        cls,
        config: object,
        task: Task,
        *,
        label_counts: npt.NDArray[np.int64],
        num_rows: int,
        longest_row: int,
        device: str,
    ) -> "Traits":
        """Read the traits of a model from its config, and add those of its rows."""
        heads, width = (int(getattr(config, name, 0)) for name in ("num_attention_heads", "hidden_size"))
        return cls(task, label_counts, num_rows, heads, width, longest_row, device)


@dataclass(frozen=True)
class Recipe:
    """The settings of a training, none of them `auto`, and the choices made with their reasons."""

    params: TrainingParams
    choices: tuple[Choice, ...]


def choose_recipe(settings: TrainingSettings, traits: Traits) -> Recipe:
    """Choose every setting that is `auto`; explicit ones stay as they are.

    Args:
        settings: the `training` part of a section of params.yaml.
        traits: properties of rows and model.
    """
    batch_size, batch_reason = _batch_size(settings, traits.num_rows)
    parts, parts_reason = _accumulation_steps(settings, batch_size, traits)
    steps = math.ceil(traits.num_rows / batch_size)
    epochs, epochs_reason = _epochs(settings, traits.num_rows, len(traits.label_counts))
    rules: list[tuple[str, object, object, str]] = [
        ("batch_size", settings.batch_size, batch_size, batch_reason),
        ("accumulation_steps", settings.accumulation_steps, parts, parts_reason),
        ("epochs", settings.epochs, epochs, epochs_reason),
        ("learning_rate", settings.learning_rate, *_learning_rate(settings, traits)),
        ("warmup_fraction", settings.warmup_fraction, *_warmup_fraction(settings, steps * epochs)),
        ("selection_metric", settings.selection_metric, *_selection_metric(settings, traits.task, traits.label_counts)),
    ]
    fixed = settings.model_dump(exclude={"max_minutes"})
    return Recipe(
        params=TrainingParams.model_validate(fixed | {name: used for name, _, used, _ in rules}),
        choices=tuple(
            Choice(setting=name, asked="auto", used=f"{used:g}" if isinstance(used, float) else str(used), reason=why)
            for name, asked, used, why in rules
            if asked == "auto"
        ),
    )


def floor_rows(num_labels: int) -> int:
    """Compute the rows that all passes of a training together should see."""
    return round(MIN_ROWS_SEEN * (1 + GROWTH * (math.log2(max(num_labels, 2)) - 1)))


def _batch_size(settings: TrainingSettings, num_rows: int) -> tuple[int, str]:
    if settings.batch_size != "auto":
        return settings.batch_size, ""
    size = 16 if num_rows < SMALL_SET_ROWS else 32
    parts = 1 if settings.accumulation_steps == "auto" else settings.accumulation_steps
    return math.ceil(size / parts) * parts, f"{num_rows:,} rows"


def _accumulation_steps(settings: TrainingSettings, batch_size: int, traits: Traits) -> tuple[int, str]:
    if settings.accumulation_steps != "auto":
        return settings.accumulation_steps, ""
    if not traits.num_attention_heads:
        return 1, "a model without attention"
    longest_row, most = traits.longest_row, MAX_ATTENTION[traits.device]
    divisors = [parts for parts in range(1, batch_size + 1) if batch_size % parts == 0]
    fitting = (parts for parts in divisors if batch_size // parts * longest_row**2 <= most)
    parts = next(fitting, batch_size)
    return parts, f"{batch_size // parts} rows of up to {longest_row:,} tokens in one forward pass"


def _epochs(settings: TrainingSettings, num_rows: int, num_labels: int) -> tuple[int, str]:
    if settings.epochs != "auto":
        return settings.epochs, ""
    floor = floor_rows(num_labels)
    epochs = min(max(round(floor / num_rows), 1), MAX_EPOCHS)
    return epochs, f"about {floor:,} rows for {num_labels} labels, {num_rows:,} a pass"


def _learning_rate(settings: TrainingSettings, traits: Traits) -> tuple[float, str]:
    if settings.learning_rate != "auto":
        return settings.learning_rate, ""
    if not traits.num_attention_heads:
        return LAYERLESS_RATE, "a model without attention"
    return float(f"{RATE_TIMES_WIDTH / traits.hidden_size:.2g}"), f"a hidden size of {traits.hidden_size}"


def _warmup_fraction(settings: TrainingSettings, steps: int) -> tuple[float, str]:
    if settings.warmup_fraction != "auto":
        return settings.warmup_fraction, ""
    return min(WARMUP_FRACTION, MAX_WARMUP_STEPS / steps), f"{steps:,} steps"


def _selection_metric(settings: TrainingSettings, task: Task, label_counts: npt.NDArray[np.int64]) -> tuple[str, str]:
    if settings.selection_metric != "auto":
        return settings.selection_metric, ""
    measure, reason = task.choose_selection(label_counts)
    return measure.name, reason
