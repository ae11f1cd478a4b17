"""Logging a cell to its run: the curves of each seed under the seed's name, and the figures at the end."""

from pipestill.ablation.records import CellRecord, CellTimes
from pipestill.ablation.statistics import spread
from pipestill.training.callbacks import Callbacks
from pipestill.training.records import EpochPoint
from pipestill.training.reporting import MetricsLog, log_curves


def log_seed(run: MetricsLog, seed: int) -> Callbacks[EpochPoint]:
    """Make callbacks that log a seed's curves to a run: `seed_<seed>.train.*` and `seed_<seed>.dev.*`."""
    return log_curves(run, f"seed_{seed}.")


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
