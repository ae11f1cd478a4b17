"""The time a training takes: measured before it without a trace, and held to a limit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_objective_and_params import TRAINING
from test_trainer import SILENT, KilledError, assert_same_weights, die_at, inputs

from pipestill.choices import Choice
from pipestill.records import read_record
from pipestill.training import duration
from pipestill.training.callbacks import Callbacks
from pipestill.training.classifier import PATIENCE
from pipestill.training.duration import Plan, Steps, fit_limit, in_minutes, seconds_per_epoch
from pipestill.training.finetune import finetune_teacher
from pipestill.training.params import FinetuneTeacherParams, TrainingSettings
from pipestill.training.records import EpochPoint

pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*pin_memory.*:UserWarning")
CHOSEN = Choice(setting="epochs", asked="auto", used="6", reason="1,000 steps")


def test_timing_changes_no_weight_and_no_random_number() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen: list[int] = []

    def collate(rows: Any) -> dict[str, torch.Tensor]:
        seen.append(len(rows))
        return {"x": torch.ones(len(rows), 4)}

    state = torch.get_rng_state()
    seconds = seconds_per_epoch(
        Steps(model, lambda batch: model(batch["x"]).sum(), collate, "float32"), list(range(100)), 10
    )
    assert seconds > 0
    assert seen == [10] * 5
    assert not model.training
    assert torch.equal(state, torch.get_rng_state())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_timing_leaves_the_model_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a check that runs it on CPU tensors afterwards would fail on every machine with a GPU."""
    moves: list[torch.device] = []

    class Moved(torch.nn.Linear):
        def to(self, device: torch.device) -> "Moved":  # type: ignore[override]
            moves.append(device)
            return self

    model = Moved(4, 1)
    fastest = torch.device("cpu", 0)
    monkeypatch.setattr(duration, "fastest_device", lambda: fastest)
    steps = Steps(model, lambda batch: model(batch["x"]).sum(), lambda rows: {"x": torch.ones(len(rows), 4)}, "float32")
    seconds_per_epoch(steps, list(range(100)), 10)
    assert moves == [fastest, torch.device("cpu")]


def fit(chosen: Choice | None, epoch_seconds: float, max_minutes: float) -> tuple[Plan, str | None]:
    return fit_limit(6, chosen, num_rows=1000, epoch_seconds=epoch_seconds, max_minutes=max_minutes)


@pytest.mark.parametrize("max_minutes", [0, 6.0])
def test_a_training_within_its_limit_or_without_one_is_left_alone(max_minutes: float) -> None:
    assert fit(CHOSEN, 60.0, max_minutes) == (Plan(epochs=6, num_rows=1000, choice=CHOSEN), None)


def test_fewer_epochs_fit_the_limit_and_the_record_says_so() -> None:
    plan, warning = fit(CHOSEN, 90.0, 5.0)
    assert (plan.epochs, plan.num_rows) == (3, 1000)
    assert plan.choice is not None
    assert plan.choice.used == "3"
    assert plan.choice.reason == "max_minutes allows 3 epochs; the data asks for 6"
    assert warning == (
        "6 epochs would take about 9.0 min, more than max_minutes 5; 3 epochs instead, which may cost quality"
    )


def test_part_of_the_rows_fits_a_limit_shorter_than_an_epoch() -> None:
    plan, warning = fit(CHOSEN, 600.0, 5.0)
    assert (plan.epochs, plan.num_rows) == (1, 500)
    assert warning is not None
    assert "1 epoch over 500 of 1,000 rows instead" in warning


def test_explicit_epochs_pass_the_limit_with_a_warning() -> None:
    plan, warning = fit(None, 90.0, 5.0)
    assert plan == Plan(epochs=6, num_rows=1000, choice=None)
    assert warning is not None
    assert "`epochs` is set in params.yaml, so the limit is exceeded" in warning


@pytest.mark.parametrize(("minutes", "text"), [(0.001, "1 s"), (0.5, "30 s"), (3.46, "3.5 min"), (25.2, "25 min")])
def test_durations_read_well(minutes: float, text: str) -> None:
    assert in_minutes(minutes) == text


def tune(scratch: str, callbacks: Callbacks[EpochPoint] = SILENT, **changes: Any) -> Any:
    training = TrainingSettings(**{**TRAINING, "epochs": "auto", **changes})
    params = FinetuneTeacherParams(seed=3, max_length=24, head="random", training=training)
    return finetune_teacher("teacher", params, Path("models/base"), inputs(scratch), callbacks)


def test_a_limit_below_an_epoch_trains_on_the_first_rows(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(duration, "seconds_per_epoch", lambda *_: 60.0)
    record = tune("part", max_minutes=0.5).record
    assert record.num_rows < 32
    assert record.steps[-1].step == -(-record.num_rows // 8)
    assert [point.epoch for point in record.epochs] == [1]
    assert read_record(Path(".scratch/part/plan.json"), Plan).num_rows == record.num_rows
    assert "teacher: 1 epoch of 2 steps, about " in capsys.readouterr().out


def test_a_killed_training_keeps_its_plan(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "seconds_per_epoch", lambda *_: 60.0)
    limited = {"max_minutes": 6.5}
    whole = tune("whole", **limited)
    with pytest.raises(KilledError):
        tune("killed", Callbacks(on_step=die_at(12), on_epoch=lambda point: None), **limited)
    monkeypatch.setattr(duration, "seconds_per_epoch", lambda *_: 600.0)
    resumed = tune("killed", **limited)
    assert_same_weights(whole, resumed)
    assert whole.record == resumed.record


def test_auto_stops_where_dev_improves_no_more_and_a_number_of_epochs_does_not(workspace: Path) -> None:
    spoiled = {"learning_rate": 1.0, "selection_metric": "nll_nats"}
    stopped = tune("stopped", **spoiled).record
    assert len(stopped.epochs) == stopped.best_epoch + PATIENCE
    assert len(stopped.epochs) < 20
    assert len(tune("all", epochs=8, **spoiled).record.epochs) == 8


def test_a_training_killed_after_its_last_epoch_stops_again(workspace: Path) -> None:
    spoiled = {"learning_rate": 1.0, "selection_metric": "nll_nats"}
    whole = tune("whole", **spoiled)
    last = len(whole.record.epochs)

    def die(point: Any) -> None:
        if point.epoch == last:
            raise KilledError

    with pytest.raises(KilledError):
        tune("killed", Callbacks(on_step=lambda step, loss, rate: None, on_epoch=die), **spoiled)
    resumed = tune("killed", **spoiled)
    assert_same_weights(whole, resumed)
    assert whole.record == resumed.record
