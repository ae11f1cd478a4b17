"""Logging a cell to its run: the curves of each seed under the seed's name, and the figures at the end."""

from pipestill.ablation.records import CellRecord, CellTimes
from pipestill.ablation.statistics import spread
from pipestill.training.callbacks import Callbacks
from pipestill.training.records import EpochPoint
from pipestill.training.reporting import MetricsLog, log_curves


class _OfSeed:
    """View of a run that prefixes one seed's metrics."""

    def __init__(self, run: MetricsLog, seed: int) -> None:
        self._run = run
        self._seed = seed

    def log_metrics(self, metrics: dict[str, float], *, step: int | None = None) -> None:
        """Log some metrics under the seed's name."""
        self._run.log_metrics({f"seed_{self._seed}.{name}": value for name, value in metrics.items()}, step=step)


def log_seed(run: MetricsLog, seed: int) -> Callbacks[EpochPoint]:
    """Make callbacks that log a seed's curves to a run: `seed_<seed>.train.*` and `seed_<seed>.dev.*`."""
    return log_curves(_OfSeed(run, seed))


def headline(record: CellRecord, times: CellTimes) -> dict[str, float]:
    """Return the figures of a cell to compare between runs."""
    accuracies = {
        "dev_accuracy": [seed.dev_accuracy for seed in record.seeds],
        "test_accuracy": [seed.test_accuracy for seed in record.seeds],
    }
    found = {f"{name}.mean": spread(values).mean for name, values in accuracies.items()}
    for name, values in accuracies.items():
        deviation = spread(values).deviation
        if deviation is not None:
            found[f"{name}.deviation"] = deviation
    return found | {
        "train_wall_time_s": sum(times.train_wall_time_s),
        "int8_dev_accuracy": record.int8_dev_accuracy,
        "int8_test_accuracy": record.int8_test_accuracy,
        "int8_size_bytes": float(record.int8.size_bytes),
        "num_parameters": float(record.num_parameters),
    }
