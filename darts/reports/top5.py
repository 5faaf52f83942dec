"""Top-5 accuracy in reports, shown where there are more than five classes."""

from darts.records.run_folder import Record, RunFolder
from darts.tasks.classification import TOP


def top5_percent(run: RunFolder, test: Record) -> float | None:
    """The share of images whose class is among the five likeliest; None with five classes or fewer.

    It is also None in a run of before it was recorded.
    """
    if len(run.read("data.json")["class_names"]) <= TOP:
        return None
    return test.get("top5_percent")


def top5_words(run: RunFolder, test: Record) -> str:
    """Top-5 accuracy for a line of text, after a comma; empty where it is not shown."""
    share = top5_percent(run, test)
    return "" if share is None else f", top-5 {share:.2f} %"
