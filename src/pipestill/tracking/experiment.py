"""The MLflow experiment that the runs belong to: its name and its tags."""

import os

DEFAULT_EXPERIMENT = "pipestill"
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "One run for each execution of a stage, below the run of its pipeline, which has the table.",
}
"""Tags of the experiment: without a kind the UI takes it for one of prompts and agents."""


def experiment_name() -> str:
    """Return the experiment's name: MLFLOW_EXPERIMENT_NAME, else `pipestill`."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
