"""Logging a cell to its run: the curves of each seed under the seed's name, and the figures at the end."""

from pipestill.ablation.records import CellRecord, CellTimes
from pipestill.ablation.statistics import spread
from pipestill.tasks import TASKS
from pipestill.training.callbacks import Callbacks
from pipestill.training.records import EpochPoint
from pipestill.training.reporting import MetricsLog, log_curves


def log_seed(run: MetricsLog, seed: int) -> Callbacks[EpochPoint]:
    """Make callbacks that log a seed's curves to a run: `seed_<seed>.train.*` and `seed_<seed>.dev.*`."""
    return log_curves(run, f"seed_{seed}.")


def headline(record: CellRecord, times: CellTimes) -> dict[str, float]:
    """Return the figures of a cell to compare between runs."""
    primary = TASKS[record.task].primary.name
    qualities = {
        f"dev_{primary}": [seed.dev[primary] for seed in record.seeds],
        f"test_{primary}": [seed.test[primary] for seed in record.seeds],
    }
    found = {f"{name}.mean": spread(values).mean for name, values in qualities.items()}
    for name, values in qualities.items():
        deviation = spread(values).deviation
        if deviation is not None:
            found[f"{name}.deviation"] = deviation
    return found | {
        "train_wall_time_s": sum(times.train_wall_time_s),
        f"int8_dev_{primary}": record.int8_dev_quality,
        f"int8_test_{primary}": record.int8_test_quality,
        "int8_size_bytes": float(record.int8.size_bytes),
        "num_parameters": float(record.num_parameters),
    }
