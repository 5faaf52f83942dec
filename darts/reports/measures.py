"""The measure of networks in records: accuracy, or that of another task."""

from collections.abc import Mapping
from typing import Any

from darts.tasks import TASKS, Measure
from darts.tasks.classification import Classification

MEASURES: tuple[Measure, ...] = tuple(task.measure for task in TASKS.values())
BESIDES = {"exact_percent": "all labels right", "rmse": "root mean square error", "r2": "R²"}
"""Measures that come after a task's first one, in words."""


def measure_in(record: Mapping[str, Any], prefix: str = "") -> Measure:
    """The first measure of the task that a record is of; accuracy where there is none."""
    return next((m for m in MEASURES if prefix + m.name in record), Classification.measure)


def shown(measure: Measure, value: float, digits: int = 2) -> str:
    """ "98.70 %" or "3.142"; `digits` are those of a measure with a unit."""
    return f"{value:.{digits}f}{measure.unit}" if measure.unit else f"{value:.4g}"


def title(measure: Measure) -> str:
    """As charts and columns are headed: "Accuracy, %"."""
    unit = f",{measure.unit}" if measure.unit else ""
    return f"{measure.words[0].upper()}{measure.words[1:]}{unit}"


def besides(test: Mapping[str, Any]) -> str:
    """The further measures of a task other than classification, with a comma before each."""
    found = []
    for name, words in BESIDES.items():
        if name in test:
            percent = name.endswith("_percent")
            value = f"{test[name]:.2f} %" if percent else f"{test[name]:.4g}"
            found.append(f", {words} {value}")
    return "".join(found)
