"""Tasks: the kinds of question that a model answers, one file each.

A task says how logits become answers, which `problem_type` a config declares, and by which measures answers are judged.
All other rooms ask it, so that none of them depends on the kind. `targets` holds the answers of the data as they are
stored, `tensors` the same arithmetic on torch tensors, `answers` what `pipestill predict` prints; `pipestill.metrics`
computes the measures.
"""

from pipestill.tasks._base import Measure, Task
from pipestill.tasks.classes import CLASSES, Metric, Ranking

TASKS = {task.kind: task for task in (CLASSES,)}
"""All tasks by kind."""

__all__ = ["CLASSES", "TASKS", "Measure", "Metric", "Ranking", "Task", "task_for"]


def task_for(problem_type: str | None) -> Task:
    """Return the task of a config's `problem_type`; None stands for `classes`, as it does for transformers' clients.

    Raises:
        KeyError: no task has this problem type.
    """
    if problem_type is None:
        return CLASSES
    return {task.problem_type: task for task in TASKS.values()}[problem_type]
