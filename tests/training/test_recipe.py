"""Settings left to the program: each rule, and the record of the choice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_objective_and_params import TRAINING, student
from test_trainer import SILENT, distil, fill_cache, inputs

from pipestill.choices import Choice
from pipestill.errors import ParamsError
from pipestill.params import parse_section
from pipestill.tasks import CLASSES
from pipestill.teacher import load_classifier
from pipestill.training import max_length
from pipestill.training.distillation import build_student
from pipestill.training.finetune import finetune_teacher
from pipestill.training.max_length import choose_max_length, fit_texts_and_limit, shorten
from pipestill.training.params import FinetuneTeacherParams, TrainingParams, TrainingSettings
from pipestill.training.recipe import (
    MAX_ATTENTION,
    MAX_EPOCHS,
    Recipe,
    Traits,
    choose_recipe,
    floor_rows,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*pin_memory.*:UserWarning")
AUTO = dict.fromkeys(
    ("epochs", "batch_size", "accumulation_steps", "learning_rate", "warmup_fraction", "selection_metric"), "auto"
)


def choose(
    counts: list[int],
    *,
    hidden_size: int = 384,
    num_heads: int = 6,
    longest_row: int = 64,
    device: str = "cpu",
    **settings: Any,
) -> Recipe:
    traits = Traits(CLASSES, np.array(counts), sum(counts), num_heads, hidden_size, longest_row, device)
    return choose_recipe(TrainingSettings(**{**TRAINING, **AUTO, **settings}), traits)


def test_explicit_settings_stay_and_are_no_choices() -> None:
    traits = Traits(CLASSES, np.array([5, 5]), 10, 6, 384, 512, "cpu")
    recipe = choose_recipe(TrainingSettings(**TRAINING), traits)
    assert recipe == Recipe(TrainingParams(**TRAINING), ())


def test_every_auto_setting_is_recorded_with_its_reason() -> None:
    recipe = choose([4000, 3857])
    used = {choice.setting: choice.used for choice in recipe.choices}
    assert used == {
        "batch_size": "32",
        "accumulation_steps": "1",
        "epochs": "2",
        "learning_rate": "0.0001",
        "warmup_fraction": "0.1",
        "selection_metric": "accuracy",
    }
    assert all(choice.asked == "auto" and choice.reason for choice in recipe.choices)
    assert (recipe.params.epochs, recipe.params.batch_size, recipe.params.learning_rate) == (2, 32, 1e-4)


@pytest.mark.parametrize(
    ("batch_size", "longest_row", "device", "parts"),
    [
        (64, 128, "cpu", 1),
        (64, 256, "cpu", 2),
        (32, 512, "cpu", 4),
        (64, 512, "cuda", 1),
        (6, 1024, "cpu", 3),
        (6, 100_000, "cpu", 6),
    ],
)
def test_long_rows_are_computed_in_parts_that_divide_the_batch(
    batch_size: int, longest_row: int, device: str, parts: int
) -> None:
    recipe = choose([900, 900], batch_size=batch_size, longest_row=longest_row, device=device)
    assert recipe.params.accumulation_steps == parts
    rows = batch_size // parts
    assert rows * longest_row**2 <= MAX_ATTENTION[device] or rows == 1
    assert choose([900, 900], batch_size=64, longest_row=512, num_heads=0).params.accumulation_steps == 1


@pytest.mark.parametrize(
    ("counts", "epochs"),
    [([50_000] * 2, 1), ([4000] * 2, 2), ([600] * 8, 5), ([500] * 20, 3), ([51] * 77, 9), ([4] * 150, MAX_EPOCHS)],
)
def test_small_sets_and_many_labels_take_more_epochs(counts: list[int], epochs: int) -> None:
    assert choose(counts).params.epochs == epochs


def test_the_rows_to_see_grow_by_a_quarter_with_each_doubling_of_the_labels() -> None:
    assert [floor_rows(labels) for labels in (1, 2, 4, 8)] == [16_000, 16_000, 20_000, 24_000]


@pytest.mark.parametrize(
    ("hidden_size", "num_heads", "rate"), [(384, 6, 1e-4), (768, 12, 5e-5), (128, 2, 3e-4), (0, 0, 2e-3)]
)
def test_the_rate_falls_with_the_width(hidden_size: int, num_heads: int, rate: float) -> None:
    recipe = choose([100, 100], hidden_size=hidden_size, num_heads=num_heads)
    assert recipe.params.learning_rate == pytest.approx(rate)


def test_few_rows_take_small_batches_that_accumulation_divides() -> None:
    assert choose([900, 900]).params.batch_size == 16
    assert choose([900, 900], accumulation_steps=3).params.batch_size == 18
    assert choose([900, 900], batch_size=64).params.batch_size == 64


def test_long_trainings_warm_up_over_500_steps() -> None:
    recipe = choose([320_000] * 2, epochs=1)
    assert recipe.params.warmup_fraction == pytest.approx(500 / 20_000)


def test_skewed_labels_choose_the_epoch_by_macro_f1() -> None:
    assert choose([2840, 100, 90, 40]).params.selection_metric == "macro_f1"
    assert choose([700, 300]).params.selection_metric == "accuracy"
    assert choose([300, 0, 0]).params.selection_metric == "accuracy"  # labels that train lacks do not count


@pytest.mark.parametrize(
    ("lengths", "readable", "used", "reason"),
    [
        ([10] * 99 + [500], 512, "64", "up to 1"),
        (list(range(1, 201)), 512, "256", "up to 199 tokens"),
        (list(range(1, 1001)), 512, "512", "the base reads 512: 48.8% of the texts are cut"),
        (list(range(1, 1001)), None, "1024", "up to 991 tokens"),
        ([60], 50, "50", "100.0% of the texts are cut"),
        ([50], 50, "50", "up to 50 tokens"),
    ],
)
def test_the_longest_input_fits_the_texts(lengths: list[int], readable: int | None, used: str, reason: str) -> None:
    choice = choose_max_length(lengths, readable)
    assert choice.used == used
    assert reason in choice.reason


def test_lengths_are_read_uncut(workspace: Path) -> None:
    classifier = load_classifier(Path("models/teacher"))
    classifier.tokenizer.model_max_length = 4
    settings = TrainingSettings(**TRAINING)
    choice = fit_texts_and_limit(classifier, inputs("lengths").table, settings, 3, Path("max_length.json"))
    assert choice.used == "64"
    assert "up to 14 tokens" in choice.reason  # twelve words and two special tokens
    assert classifier.max_length == 64


def test_the_steps_that_are_timed_read_the_longest_input_and_few_texts(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "SHORTENED_TO", 4)
    monkeypatch.setattr(max_length, "readable_length", lambda _: 8)
    encoded: list[list[int]] = []
    real = max_length.encode

    def recorded(tokenizer: Any, texts: list[str]) -> list[list[int]]:
        rows = real(tokenizer, texts)
        encoded.extend(rows)
        return rows

    monkeypatch.setattr(max_length, "encode", recorded)
    settings = TrainingSettings(**{**TRAINING, "batch_size": 2, "max_minutes": 60.0})
    classifier = load_classifier(Path("models/teacher"))
    fit_texts_and_limit(classifier, inputs("timed").table, settings, 3, Path("max_length.json"))
    assert len(encoded) == 5 * 2, "a warm-up and four timed steps of two texts, of 32"
    assert max(map(len, encoded)) == 8


LENGTHS = [100] * 50 + [1000] * 50


@pytest.mark.parametrize(
    ("minutes", "used", "reason"),
    [
        (60.0, "512", "as before"),
        (100.0, "256", "512 would take about 100 min, max_minutes is 60: 50.0% of the texts are cut"),
        (150.0, "128", "50.0% of the texts are cut"),
        (9000.0, "128", "50.0% of the texts are cut"),
    ],
)
def test_a_time_limit_shortens_the_inputs(minutes: float, used: str, reason: str) -> None:
    fitting = Choice(setting="max_length", asked="auto", used="512", reason="as before")
    choice = shorten(fitting, LENGTHS, minutes=minutes, max_minutes=60.0)
    assert choice.used == used
    assert reason in choice.reason


def test_a_killed_training_keeps_the_length_that_its_limit_allowed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "SHORTENED_TO", 4)
    settings = TrainingSettings(**{**TRAINING, "max_minutes": 1.0})
    classifier, table, file = load_classifier(Path("models/teacher")), inputs("limit").table, Path("max_length.json")
    for seconds in (200.0, 1.0):  # the second time the limit would allow more
        monkeypatch.setattr(max_length, "seconds_per_epoch", lambda *_, seconds=seconds: seconds)
        choice = fit_texts_and_limit(classifier, table, settings, 3, file)
        assert int(choice.used) < 64
        assert classifier.max_length == int(choice.used)
    file.unlink()
    assert fit_texts_and_limit(classifier, table, settings, 3, file).used == "64"


def test_a_teacher_and_its_student_train_with_every_setting_on_auto(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = TrainingSettings(**{**TRAINING, **AUTO, "max_minutes": 5.0})
    params = FinetuneTeacherParams(seed=3, max_length="auto", head="probe", training=settings)
    record = finetune_teacher("teacher", params, Path("models/base"), inputs("auto"), SILENT).record
    assert [choice.setting for choice in record.choices] == ["max_length", "head", "precision", *sorted_as_chosen()]
    printed = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines() if " (auto: " in line]
    assert printed == [
        f"teacher: {choice.setting} {choice.used}" for choice in record.choices if choice.asked == "auto"
    ]
    fill_cache()
    trained = distil("student", max_length="auto", **{f"training__{name}": "auto" for name in AUTO})
    assert capsys.readouterr().out.count("student: max_length 24 (auto: the teacher's)") == 1
    chosen = {choice.setting: choice for choice in trained.record.choices}
    assert (chosen["max_length"].used, chosen["max_length"].reason) == ("24", "the teacher's")
    assert {*AUTO} < {*chosen}
    alone = distil(
        "alone",
        max_length="auto",
        init="models/base",
        targets="data/prepared/train.parquet",
        objective=[{"weight": 1.0, "loss": {"kind": "cross_entropy"}}],
    )
    assert alone.record.choices[0].used == "64"


def sorted_as_chosen() -> list[str]:
    return ["batch_size", "accumulation_steps", "epochs", "learning_rate", "warmup_fraction", "selection_metric"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "greater than or equal to 1"),
        ("epochs", "many", "should be a valid integer"),
        ("learning_rate", -1.0, "greater than 0"),
        ("selection_metric", "recall", "should be 'auto', 'accuracy'"),
        ("max_minutes", -1, "greater than or equal to 0"),
    ],
)
def test_a_wrong_setting_is_refused_once(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParamsError, match=r"1 value\(s\) refused") as error:
        parse_section({"training": {**TRAINING, key: value}}, "training", TrainingSettings)
    assert message in str(error.value)
    assert f"training.{key} (found {value!r})" in str(error.value)


@pytest.mark.parametrize(
    ("architecture", "rate"),
    [
        ({"kind": "bilstm", "embedding_size": 8, "lstm_size": 6, "dense_size": 8}, 2e-3),
        ({"kind": "bert_layers", "layers": [0, 2]}, 2.4e-3),  # a hidden size of 16
    ],
)
def test_a_student_without_attention_takes_the_rate_of_random_weights(
    architecture: dict[str, Any], rate: float, workspace: Path
) -> None:
    built = build_student(student(architecture=architecture, max_length=24), inputs("built"))
    settings = TrainingSettings(**{**TRAINING, "learning_rate": "auto"})
    traits = Traits.of(
        built.classifier.model.config,
        CLASSES,
        label_counts=np.array([5, 5]),
        num_rows=10,
        longest_row=24,
        device="cpu",
    )
    recipe = choose_recipe(settings, traits)
    assert recipe.params.learning_rate == pytest.approx(rate)
