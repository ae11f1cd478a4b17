"""The gate between challenger and champion: as good on dev as the present champion, within a declared margin."""

from pathlib import Path
from typing import Any, NamedTuple

from pipestill.registry.candidate import DEV, Candidate, RegistryError
from pipestill.registry.model_folder import classifier_folder
from pipestill.tracking.lock import Lock
from pipestill.tracking.store import Store


class Comparison(NamedTuple):
    """Quality of challenger and champion on the same dev rows, in [0, 1]."""

    challenger: float
    champion: float


def reasons_against(comparison: Comparison, metric: str, margin: float) -> tuple[str, ...]:
    """Return why a challenger is refused; empty if it is as good as the champion within the margin.

    Args:
        comparison: quality of both models on dev.
        metric: name of the quality metric.
        margin: largest drop below the champion that is allowed.
    """
    # Half a millionth: the tags hold six digits, and a drop of exactly the margin is allowed.
    drop = comparison.champion - comparison.challenger
    if drop <= margin + 5e-7:
        return ()
    return (
        (
            f"{metric} on dev is {comparison.challenger:.4f}, {drop:.4f} below the champion's "
            f"{comparison.champion:.4f}; at most {margin:g} is allowed"
        ),
    )


def compare(store: Store, lock: Lock, candidate: Candidate, champion: Any) -> Comparison:  # noqa: ANN401 (mlflow's ModelVersion)
    """Return both models' quality on dev: the champion's from its tags if measured on these rows, else measured now.

    Args:
        store: the MLflow store that holds the champion.
        lock: dvc.lock of the repository.
        candidate: the model that wants to become champion.
        champion: registry version of the present champion.

    Raises:
        RegistryError: the dev rows are missing, or the champion has other labels.
    """
    recorded = champion.tags.get(f"dev.{candidate.metric}")
    if recorded is not None and champion.tags.get(f"dvc.out/{DEV}") == candidate.dev_md5:
        return Comparison(candidate.dev_quality, float(recorded))
    if not lock.holds(DEV):
        raise RegistryError(
            f"{DEV} is missing or differs from dvc.lock, and the champion was measured on other rows",
            next_step=f"run `dvc pull {DEV}`",
        )
    folder = classifier_folder(_download(store, champion))
    return _measure(lock.root / DEV, candidate, folder, champion.tags["file"])


def _download(store: Store, version: Any) -> Path:  # noqa: ANN401 (mlflow's ModelVersion)
    import mlflow

    uri = store.client.tracking_uri
    source = f"models:/{version.name}/{version.version}"
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=uri, registry_uri=uri))


def _measure(dev: Path, candidate: Candidate, champion_folder: Path, champion_file: str) -> Comparison:
    """Score both on the dev rows, one text at a time: an int8 model's logits depend on the batch a text is in."""
    import numpy as np
    import pyarrow.parquet

    from pipestill.metrics.measures import score
    from pipestill.predict import Classifier

    rows = pyarrow.parquet.read_table(dev, columns=["text", "label_id"])
    texts, label_ids = rows["text"].to_pylist(), np.asarray(rows["label_id"].to_pylist(), dtype=np.int64)
    challenger = Classifier(candidate.folder, file=candidate.file)
    champion = Classifier(champion_folder, file=champion_file)
    if set(challenger.labels) != set(champion.labels):
        raise RegistryError(
            "champion and challenger have different labels, so they cannot be compared",
            found=", ".join(champion.labels),
            expected=", ".join(challenger.labels),
            next_step="give the alias `champion` to the challenger by hand, in the UI or with MlflowClient",
        )
    columns = [champion.labels.index(label) for label in challenger.labels]
    measure = challenger.task.measure(candidate.metric)
    return Comparison(
        score(measure, challenger.logits(texts, batch_size=1), label_ids),
        score(measure, champion.logits(texts, batch_size=1)[:, columns], label_ids),
    )
