"""Several seeds of one run, or the samples of a random search, on one page."""

from pathlib import Path

from darts.records.run_folder import RunFolder
from darts.reports.comparison import write_comparison
from darts.reports.entries import groups_in, seed_of
from darts.reports.statistics import mean_and_deviation


def write_summary(folder: Path) -> str:
    """Write `report.html` and `summary.json` over the runs in `folder/seed-*`; a line about them.

    Raises:
        ValueError: no run there has been finished.
    """
    (group,) = groups_in(folder)
    if not group.entries:
        raise ValueError(
            f"None of the {len(group.missing)} runs in {folder} is finished. Go on with --resume "
            f"{folder}."
        )
    assert group.config is not None
    seeds = [seed_of(Path(entry.name)) for entry in group.entries]
    accuracies, top5 = (
        group.values(name) for name in ("test_accuracy_percent", "test_top5_percent")
    )
    title = f"{len(seeds)} runs of {group.config['preset']}"
    page = write_comparison(folder / "report.html", title, [group])
    RunFolder(folder).write(
        "summary.json",
        {
            "seeds": seeds,
            "test_accuracy_percent": accuracies,
            "test_top5_percent": top5,
            "runs": [RunFolder(folder / e.name).read("result.json") for e in group.entries],
        },
    )
    if group.checks:
        return f"{len(seeds)} runs that only check that everything runs; report: {page}"
    if not accuracies:
        return f"{len(seeds)} runs; report: {page}"
    also = f", top-5 {mean_and_deviation(top5)} %" if top5 else ""
    return (
        f"test accuracy {mean_and_deviation(accuracies)} %{also}, n = {len(accuracies)}; "
        f"report: {page}"
    )


def write_samples(folder: Path) -> str:
    """Write `report.html` over the samples of a random search; where it is."""
    page = write_comparison(folder / "report.html", "A random search", groups_in(folder))
    return f"report: {page}"
