"""Labels from text: classes, numbers, or several labels an image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darts.data.listing import Entry, Listing
from darts.tasks import CLASSIFICATION, MultiLabel, Regression, Task, TaskName
from darts.tasks.regression import as_float32

SEPARATOR = ";"


@dataclass(frozen=True)
class Labels:
    """The labels of a set, in its order.

    Attributes:
        values: the labels in the form that the task requires.
        names: names of classes, labels or numbers.
        task: the task. A regression has means and deviations of the training images where it is
            known which these are, else of all.
    """

    values: Tensor
    names: tuple[str, ...]
    task: Task


def labels_of(listing: Listing, task: TaskName) -> Labels:
    """The labels in the text of a listing.

    Classification: one column; classes are what stands in it, sorted. Regression: numbers, one
    column each. Multi-label: one column with labels separated by ; (none is allowed), or one
    column of 0 and 1 for every label.

    Raises:
        ValueError: the text is none of these; the message names the first image that does not fit.
    """
    if task == "regression":
        return _numbers(listing)
    if task == "multi-label":
        return _several(listing)
    if len(listing.columns) > 1:
        raise ValueError(
            f"There are {len(listing.columns)} columns of labels ({', '.join(listing.columns)}), "
            "and a class is one. Remove the others, or add --task multi-label or regression."
        )
    texts = [entry.label[0] for entry in listing.entries]
    _require_text(listing.entries, texts)
    names = tuple(sorted(set(texts)))
    index = {name: label for label, name in enumerate(names)}
    values = torch.tensor([index[text] for text in texts], dtype=torch.int64)
    return Labels(values, names, CLASSIFICATION)


def _require_text(entries: Sequence[Entry], texts: Sequence[str]) -> None:
    if "" in texts:
        raise ValueError(f"{entries[texts.index('')].path} has no label. Give it one.")


def _numbers(listing: Listing) -> Labels:
    rows = [[_number(entry, text) for text in entry.label] for entry in listing.entries]
    values = as_float32(torch.tensor(rows, dtype=torch.float64), listing.columns)
    known = torch.tensor([entry.test is not True for entry in listing.entries])
    task = Regression.measured(values[known], listing.columns)
    return Labels(values, listing.columns, task)


def _number(entry: Entry, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"{entry.path} has the label {text!r}, and a regression needs a finite number."
        )
    return number


def _several(listing: Listing) -> Labels:
    if len(listing.columns) == 1:
        sets = [
            {part.strip() for part in entry.label[0].split(SEPARATOR)} - {""}
            for entry in listing.entries
        ]
        names = tuple(sorted(set().union(*sets)))
        rows = [[float(name in labels) for name in names] for labels in sets]
    else:
        names = listing.columns
        rows = [[_yes_or_no(entry, text) for text in entry.label] for entry in listing.entries]
    if not names:
        raise ValueError("No image has a label. Name them in the column, separated by ;.")
    return Labels(torch.tensor(rows, dtype=torch.float32), names, MultiLabel())


def _yes_or_no(entry: Entry, text: str) -> float:
    if text not in ("0", "1"):
        raise ValueError(
            f"{entry.path} has {text!r} in a column of its labels; each must be 0 or 1."
        )
    return float(text)
