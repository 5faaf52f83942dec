"""The outcome of a run in three sentences: collapse, the cell, and its rank among baselines."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from darts.records.run_folder import Record, RunFolder
from darts.reports.drawing import cell_called, operation_label
from darts.reports.measures import besides, measure_in, shown
from darts.reports.selected import epochs_as_chosen, how_chosen
from darts.reports.shares import NONE, SKIP, share
from darts.reports.statistics import Interval, paired_difference, unpaired_difference
from darts.spaces import CellGenotype, Genotype
from darts.tasks import Classification
from darts.training.answers import FILE as ANSWERS
from darts.training.comparison_cells import FOLDER, PUBLISHED


def only_checks(config: Record) -> bool:
    """Whether the preset is one that only shows that everything runs."""
    return str(config["preset"]).endswith("-check")


@dataclass(frozen=True)
class Beside:
    """A model or cell that the network found is compared with.

    Attributes:
        name: its name in sentences.
        percent: its test accuracy.
        difference: 95 % interval of the found network's accuracy minus this one's, in points;
            None where there are no statistics.
        paired: whether the interval is that of paired answers to each image.
    """

    name: str
    percent: float
    difference: Interval | None
    paired: bool = False


def beside(run: RunFolder) -> list[Beside]:
    """The simple models and the cells trained at the same budget; the best comes last."""
    result = run.read("result.json")
    own, base = result["retrain"]["test"], result["baselines"]
    check = only_checks(run.read("config.json"))
    right = _right(run, "")
    found = []
    simple = {"Commonest class": base["majority_percent"]}
    simple["Logistic regression"] = base["logistic_percent"]
    for name, percent in simple.items():
        if percent is not None:
            interval = unpaired_difference(own["accuracy_percent"], percent, own["images"])
            found.append(Beside(name, percent, None if check else interval))
    for cell in result.get("cells", ()):
        percent = cell["test"]["accuracy_percent"]
        theirs = _right(run, f"{FOLDER}/{cell['name']}/")
        paired = right is not None and theirs is not None
        interval = (
            paired_difference(right, theirs)
            if right is not None and theirs is not None
            else unpaired_difference(own["accuracy_percent"], percent, own["images"])
        )
        name = cell_name(cell["name"])
        found.append(Beside(name, percent, None if check else interval, paired))
    return sorted(found, key=lambda entry: entry.percent)


def cell_name(name: str) -> str:
    """As pages call a cell to compare with: random-1 → Random cell 1."""
    return name if name == PUBLISHED else name.replace("random-", "Random cell ")


def _right(run: RunFolder, below: str) -> list[bool] | None:
    """Which test images a network got right; None if that was not recorded."""
    if not run.has(below + ANSWERS):
        return None
    content = run.read(below + ANSWERS)
    return [said == true for said, true in zip(content["answers"], content["labels"], strict=True)]


def answer(run: RunFolder) -> list[str]:
    """The sentences; fewer where the run is not finished, or made no search."""
    config = run.read("config.json")
    sentences = []
    if only_checks(config):
        sentences.append(
            "This preset only checks that everything runs. Its search and its training are far "
            "too short: nothing here says anything about a method, and no statistics are made."
        )
    epochs = epochs_as_chosen(run)
    if epochs:
        sentences.append(collapse_words(epochs))
    if run.has("genotype.json"):
        genotype = Genotype.from_dict(run.read("genotype.json"))
        sentences.append(" ".join(f"{cell_words(cell)}." for cell in genotype.cells[:2]))
    chosen = how_chosen(run)
    if chosen is not None:
        sentences.append(chosen)
    if run.has("result.json") and "retrain" in run.read("result.json"):
        sentences.append(_better_or_worse(run))
    return sentences


def collapse_words(epochs: list[Record]) -> str:
    """Whether the cell at the end is collapsed, and the mean weights of skip and `none`.

    A cell is collapsed if all but at most one of its operations, and more than half, are
    skip-connects ("almost all", §3.2).
    """
    first, last = epochs[0], epochs[-1]
    genotype = Genotype.from_dict(last["genotype"])
    counts = {cell.kind: _skips(cell) for cell in genotype.cells}
    counts = {cell_called(kind): count for kind, count in counts.items()}
    gone = [
        kind for kind, (skips, all_) in counts.items() if skips >= all_ - 1 and 2 * skips > all_
    ]
    state = (
        f"The search collapsed: almost all operations of the {' and the '.join(gone)} are skip"
        if gone
        else "The search did not collapse"
    )
    shown = list(counts.items())
    kept = " and ".join(f"{skips} of {all_} in the {kind}" for kind, (skips, all_) in shown[:2])
    if len(shown) > 2:
        totals = [sum(part) for part in zip(*counts.values(), strict=True)]
        kept = f"{totals[0]} of {totals[1]} in all cells"
    parts = [f"{state}: skip-connects kept are {kept}"] if not gone else [f"{state} ({kept})"]
    for name in (SKIP, NONE):
        before, after = share(first, name), share(last, name)
        if before is not None and after is not None:
            word = "skip" if name == SKIP else "“none”"
            trend = _trend(before.weight_percent, after.weight_percent)
            over = "one epoch" if len(epochs) == 1 else f"{len(epochs)} epochs"
            parts.append(f"the mean weight of {word} {trend} over {over}")
    if NONE not in last["operations"]:
        parts.append("this space does not have the operation “none”")
    return "; ".join(parts) + "."


def _trend(before: float, after: float) -> str:
    if f"{before:.1f}" == f"{after:.1f}":
        return f"stayed at {after:.1f} %"
    return f"{'rose' if after > before else 'fell'} from {before:.1f} to {after:.1f} %"


def _skips(cell: CellGenotype) -> tuple[int, int]:
    return sum(name == SKIP for name, _ in cell.edges), len(cell.edges)


def cell_words(cell: CellGenotype) -> str:
    """ "The normal cell keeps 3 sep conv 3×3, 1 skip", the most frequent first."""
    counts = Counter(operation_label(name) for name, _ in cell.edges)
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    return f"The {cell_called(cell.kind)} keeps {listed}"


def _better_or_worse(run: RunFolder) -> str:
    trained = run.read("result.json")["retrain"]["test"]
    measure = measure_in(trained)
    if measure != Classification.measure:
        return (
            f"Its network has a {measure.words} of {shown(measure, trained[measure.name])}"
            f"{besides(trained)} on {trained['images']:,} test images."
        )
    head = (
        f"Its network gets {trained['accuracy_percent']:.2f} % of {trained['images']:,} test "
        "images right"
    )
    if only_checks(run.read("config.json")):
        return f"{head}."
    return head + "".join(_differences(trained["accuracy_percent"], beside(run))) + "."


def _differences(own: float, others: list[Beside]) -> Iterator[str]:
    shown = [entry for entry in others if entry.name != "Commonest class"] or others
    for number, entry in enumerate(reversed(shown)):
        yield "; " if number else ": "
        yield f"{difference_words(own - entry.percent, entry.difference)} "
        yield _lower_first(entry.name)


def _lower_first(name: str) -> str:
    return name if name == PUBLISHED else name[0].lower() + name[1:]


def difference_words(points: float, interval: Interval | None) -> str:
    """ "2.67 points more (+0.98 to +4.67) than"; within noise where the interval holds zero."""
    size = f"{abs(points):.2f} points {'more' if points > 0 else 'less'}"
    if abs(points) < 0.005:
        size = "as many"
    ending = "as" if size == "as many" else "than"
    if interval is None:
        return f"{size} {ending}"
    noise = ", within noise" if interval.has_zero else ""
    return f"{size} ({interval_words(interval)}{noise}) {ending}"


def interval_words(interval: Interval) -> str:
    """ "+0.98 to +4.67"."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
