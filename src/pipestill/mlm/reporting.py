"""Logging the training of a masked language model to its run."""

from pipestill.mlm.records import MlmEpoch, MlmScores
from pipestill.training.callbacks import Callbacks
from pipestill.training.reporting import MetricsLog, log_steps


def log_curves(run: MetricsLog, phase: str) -> Callbacks[MlmEpoch]:
    """Make callbacks that log the curves to a run: `<phase>.train.*` by optimiser step, `<phase>.dev.*` by epoch."""

    def on_epoch(point: MlmEpoch) -> None:
        print_scores(f"{phase}, epoch {point.epoch}", point.dev)
        run.log_metrics(as_metrics(f"{phase}.dev", point.dev), step=point.step)

    return Callbacks(on_step=log_steps(run, f"{phase}."), on_epoch=on_epoch)


def print_scores(what: str, scores: MlmScores) -> None:
    """Print scores as a line."""
    print(
        f"{what}: dev MLM loss {scores.mlm_nll_nats:.4f} nats, accuracy at {scores.num_masked_tokens} masked tokens "
        f"{scores.masked_accuracy_fraction:.4f}",
        flush=True,
    )


def as_metrics(prefix: str, scores: MlmScores) -> dict[str, float]:
    """Return scores as metrics of a run."""
    return {
        f"{prefix}.mlm_nll_nats": scores.mlm_nll_nats,
        f"{prefix}.masked_accuracy_fraction": scores.masked_accuracy_fraction,
    }
