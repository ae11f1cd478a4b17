"""A cell trains each seed once, also when it was killed between two."""

from pathlib import Path

import numpy as np
import pytest

from pipestill.ablation import cell
from pipestill.ablation.cell import CellInputs, Outcome, run_cell
from pipestill.ablation.params import Recipe, grid_students
from pipestill.ablation.records import SeedRecord
from pipestill.ablation.run_metrics import log_seed
from pipestill.data.tables import Rows
from pipestill.evaluation.params import EvaluateParams
from pipestill.exporters.params import ExportParams
from pipestill.params import parse_section, read_params
from pipestill.records import write_json
from pipestill.tasks.targets import LabelSet
from pipestill.training.records import EpochPoint
from pipestill.training.student_params import StudentParams

GRID = read_params(Path(__file__).parents[2] / "pipelines/ablation/params.yaml")
ROWS = Rows(["0" * 32], ["a text"], np.array([0]))
FIGURES = {"num_rows": 1, "num_epochs": 1, "best_epoch": 1, "dev": {"accuracy": 1.0}, "test": {"accuracy": 1.0}}


class ExportedError(Exception):
    """Ends the cell where it would export."""


class KilledError(Exception):
    """Stands for a kill between two seeds."""


def test_a_seed_that_is_finished_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    kills = [18]

    def train_seed(params: StudentParams, *rest: object) -> None:
        if params.seed in kills:
            kills.clear()
            raise KilledError
        trained.append(params.seed)
        seed = SeedRecord(seed=params.seed, **FIGURES)
        outcome = Outcome(seed=seed, train_wall_time_s=1.0, num_parameters=1, diagnostics=(), choices=())
        write_json(tmp_path / f"scratch/seed-{params.seed}/outcome.json", outcome)

    def export_first(name: str, source: Path, *rest: object) -> None:
        assert (name, source) == ("static-soft", tmp_path / "scratch/seed-17/model")
        raise ExportedError

    monkeypatch.setattr(cell, "train_seed", train_seed)
    monkeypatch.setattr(cell, "export_first", export_first)
    for ends in (KilledError, ExportedError):
        with pytest.raises(ends):
            run_cell(
                ("static", "soft"),
                grid_students(GRID)["static"],
                parse_section(GRID, "recipes.soft", Recipe),
                (17, 18, 19),
                CellInputs(LabelSet(labels=("bad", "good")), {"dev": ROWS, "test": ROWS}),
                parse_section(GRID, "export", ExportParams),
                parse_section(GRID, "evaluate", EvaluateParams),
                lambda seed: log_seed(Log(), seed),
                lambda classifier: pytest.fail("described before the export"),
                (tmp_path / "scratch", tmp_path / "model"),
            )
    assert trained == [17, 18, 19]


class Log:
    """A run that keeps what it is callbacks."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def log_metrics(self, metrics: dict[str, float], *, step: int | None = None) -> None:
        self.metrics |= metrics


def test_the_curves_of_seeds_do_not_run_into_each_other() -> None:
    log = Log()
    point = EpochPoint(epoch=1, step=3, train_loss=0.5, dev={"accuracy": 0.8, "macro_f1": 0.8, "nll_nats": 0.4})
    for seed, loss in ((17, 0.5), (18, 0.25)):
        callbacks = log_seed(log, seed)
        callbacks.on_step(3, loss, 1e-3)
        callbacks.on_epoch(point)
    assert (log.metrics["seed_17.train.loss"], log.metrics["seed_18.train.loss"]) == (0.5, 0.25)
    assert log.metrics["seed_18.dev.accuracy"] == 0.8
