"""Tasks by name, and as records hold them."""

from collections.abc import Mapping
from typing import Any, Literal

from darts.tasks.classification import CLASSIFICATION, Classification
from darts.tasks.multi_label import MultiLabel
from darts.tasks.regression import Regression
from darts.tasks.task import Task

TaskName = Literal["classification", "regression", "multi-label"]
TASKS: Mapping[str, type[Task]] = {
    kind.name: kind for kind in (Classification, Regression, MultiLabel)
}


def task_of(record: Mapping[str, Any] | None) -> Task:
    """The inverse of `Task.to_dict`; classification where nothing was recorded.

    Raises:
        ValueError: it is no task.
    """
    if record is None:
        return CLASSIFICATION
    content = dict(record)
    name = content.pop("name", None)
    if name not in TASKS:
        raise ValueError(f"The task {name!r} is recorded; there are {', '.join(TASKS)}.")
    try:
        return TASKS[name](**{key: tuple(value) for key, value in content.items()})
    except TypeError as error:
        raise ValueError(f"The record of the task {name} is damaged ({error}).") from error
