"""The shares of skip-connect and `none` in a supernet."""

from dataclasses import dataclass

from darts.records.run_folder import Record


@dataclass(frozen=True)
class Share:
    """One operation's share of the mixing weights of all edges.

    Attributes:
        weight_percent: its mean mixing weight.
        strongest: number of edges on which it is the strongest operation, `none` included.
        edges: number of all edges.
    """

    weight_percent: float
    strongest: int
    edges: int


def share(epoch: Record, operation: str, kind: str | None = None) -> Share | None:
    """The share of an operation in one kind of cell, or in all; None if the space lacks it."""
    if operation not in epoch["operations"]:
        return None
    column = epoch["operations"].index(operation)
    kinds = epoch["mixing"] if kind is None else [kind]
    rows = [row for name in kinds for row in epoch["mixing"][name]]
    return Share(
        weight_percent=100 * sum(row[column] for row in rows) / len(rows),
        strongest=sum(row[column] == max(row) for row in rows),
        edges=len(rows),
    )


def farthest_from_equal(epoch: Record) -> float:
    """Most percentage points by which a mixing weight differs from the mean of its edge.

    Weights of 0 are left out: they are of operations that the edge does not have.
    """
    rows = [[w for w in row if w > 0] for rows in epoch["mixing"].values() for row in rows]
    return float(max(abs(100 * w - 100 * sum(row) / len(row)) for row in rows for w in row))
