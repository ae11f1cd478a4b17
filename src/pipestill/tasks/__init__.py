"""Tasks: the kinds of question that a model answers, one file each.

A task says how logits become answers, which `problem_type` a config declares, and by which measures answers are judged.
All other rooms ask it, so that none of them depends on the kind. `targets` holds the answers of the data as they are
stored, `tensors` the same arithmetic on torch tensors; `pipestill.metrics` computes the measures.
"""

from pipestill.tasks._base import Measure, Prediction, Task
from pipestill.tasks.classes import CLASSES, Metric, Ranking

TASKS = {task.kind: task for task in (CLASSES,)}
"""All tasks by kind."""

__all__ = ["CLASSES", "TASKS", "Measure", "Metric", "Prediction", "Ranking", "Task", "task_for"]


def task_for(problem_type: str | None) -> Task:
    """Return the task of a config's `problem_type`; None stands for `classes`, as it does for transformers' clients.

    Raises:
        KeyError: no task has this problem type.
    """
    for task in TASKS.values():
        if problem_type in {task.problem_type, None}:
            return task
    raise KeyError(problem_type)
