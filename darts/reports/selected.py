"""How a cell was chosen, where that was a selection after the search and not the mixing weights."""

from darts.records.run_folder import Record, RunFolder
from darts.training.selection import DECISIONS


def epochs_as_chosen(run: RunFolder) -> list[Record]:
    """The epochs of a search; after a selection the last one has the cell that it chose."""
    epochs = run.records("search/epochs")
    if not epochs or not run.has("genotype.json") or not run.records(DECISIONS):
        return epochs
    return [*epochs[:-1], {**epochs[-1], "genotype": run.read("genotype.json")}]


def how_chosen(run: RunFolder) -> str | None:
    """A sentence about a selection that is done; None where there was none."""
    decided = [record for record in run.records(DECISIONS) if "operation" in record]
    if not decided or not run.has("genotype.json"):
        return None
    other = sum(record["operation"] != record["largest_weight"] for record in decided)
    return (
        "Its operations were chosen by removal (DARTS-PT), edge by edge: the one stays without "
        "which the supernet loses most on the validation half. On "
        f"{other} of {len(decided)} edges that is not the operation of the largest mixing weight."
    )
