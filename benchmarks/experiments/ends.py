"""What is read from a run: where it ended, whether it collapsed, and its cells' true accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.experiments.record import RunRecord
from darts.spaces import NASBENCH201

HORIZON = 100
"""Epochs after which a run counts. The paper finds that the best architecture barely changes after
100 (§4.1.1)."""
IN_A_ROW = 10
"""Epochs for which a cell must have stayed collapsed."""
FEW = 3
"""Seeds below which nothing is decided."""
SKIP = str(NASBENCH201.operations.index("skip_connect"))
POOL = str(NASBENCH201.operations.index("avg_pool_3x3"))
TABLE = "table_cifar10_percent"


def collapsed(cell: str, skip: str = SKIP) -> bool:
    """Whether all but at most one of the edges are skip-connect ("almost all", §3.2).

    Args:
        cell: a digit an edge.
        skip: the digit of skip-connect.
    """
    return cell.count(skip) >= len(cell) - 1


def collapse_epoch(record: RunRecord) -> int | None:
    """The first epoch, counted from 1, from which on the cell beside none stays collapsed.

    None if it is not collapsed at the end, or has not been for `IN_A_ROW` epochs.
    """
    return since([collapsed(cell) for cell in record.content["cells_without_none"]])


def since(held: Sequence[bool]) -> int | None:
    """The first epoch, counted from 1, from which on something has held to the end.

    None if it does not hold at the end, or has not for `IN_A_ROW` epochs.
    """
    length = 0
    while length < len(held) and held[-1 - length]:
        length += 1
    return None if length < IN_A_ROW else len(held) - length + 1


def long_enough(
    records: Sequence[RunRecord], method: str, horizon: int = HORIZON
) -> dict[int, RunRecord]:
    """Runs of a method with at least so many epochs, by seed."""
    return {r.seed: r for r in records if r.method == method and r.epochs >= horizon}


def at_common_end(
    records: Sequence[RunRecord],
    horizon: int,
    first: str,
    second: str,
    read: Callable[[RunRecord, int], float],
    read_second: Callable[[RunRecord, int], float] | None = None,
) -> list[float]:
    """first − second for every seed that has both, at the last epoch that both have done.

    Args:
        records: of one setting.
        horizon: epochs that a run must have.
        first: method.
        second: method.
        read: a number of a run after so many epochs.
        read_second: the same for the second method, if it is another number.
    """
    ones, others = (long_enough(records, method, horizon) for method in (first, second))
    differences = []
    for seed in sorted(ones.keys() & others.keys()):
        epochs = min(ones[seed].epochs, others[seed].epochs)
        left = read(ones[seed], epochs)
        right = (read_second or read)(others[seed], epochs)
        differences.append(left - right)
    return differences


def paired(
    first: str,
    second: str,
    read: Callable[[RunRecord, int], float],
    read_second: Callable[[RunRecord, int], float] | None = None,
) -> Callable[[Sequence[RunRecord], int], list[float]]:
    """`at_common_end` of two methods, as a function of the records and the horizon."""
    return lambda records, horizon: at_common_end(
        records, horizon, first, second, read, read_second
    )


def accuracy_at(record: RunRecord, epochs: int) -> float:
    """The table's CIFAR-10 accuracy of the cell after so many epochs, none not allowed."""
    return record.curve(f"{TABLE}_without_none")[epochs - 1]


def best_accuracy(record: RunRecord, epochs: int) -> float:
    """The highest of them in that many epochs: early stopping by one who knows the answers."""
    return max(record.curve(f"{TABLE}_without_none")[:epochs])


def supernet_accuracy_at(record: RunRecord, epochs: int) -> float:
    """The supernet's accuracy on images of α's half."""
    return record.curve("val_accuracy_percent")[epochs - 1]


RULES = (
    "The cell of a run is that of the strongest operations without none. It has collapsed if five "
    "or more of its six edges are skip-connect. The run has collapsed if its cell has at the end, "
    "for ten epochs in a row or more. A run counts once it has 100 epochs: the paper finds "
    "that the best architecture barely changes after 100. A run is read at its last epoch, a pair "
    "of runs at the last epoch that both have. With fewer than three seeds a claim is undecided, "
    "but where its rule says “any run” one that does is enough. Intervals are 95 % by Student's t."
)
