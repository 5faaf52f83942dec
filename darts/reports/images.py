"""The images of a run as a table: how many of each class are in every part."""

from html import escape

from darts.records.run_folder import Record
from darts.reports.tables import table

MOST_ROWS = 20
"""Classes that are listed one by one; of more only the fewest and most images are shown."""


def images_section(data: Record) -> str:
    """The section about the images, from what data.json holds."""
    parts = {"training": data["train_counts"], "test": data["test_counts"]}
    search = data.get("search")  # data.json of older versions has none
    if search:
        parts["search: ω’s half"] = search["train_counts"]
        parts["search: α’s half"] = search["val_counts"]
    rows = [["all", *(f"{sum(counts):,}" for counts in parts.values())]]
    if len(data["class_names"]) <= MOST_ROWS:
        rows += [
            [escape(name), *(f"{counts[label]:,}" for counts in parts.values())]
            for label, name in enumerate(data["class_names"])
        ]
    else:
        classes = len(data["class_names"])
        rows.append([f"each of {classes:,} classes", *map(spread, parts.values())])
    mirrored = "mirrored at random" if data["mirror"] else "never mirrored"
    channels, height, width = data["shape"]
    return (
        "<h2>The images</h2>"
        + table(["class", *parts], rows, "numbers")
        + f'<p class="note">{height}×{width} pixels, {channels} '
        f"{'channel' if channels == 1 else 'channels'}; in training they are {mirrored}.</p>"
    )


def spread(counts: list[int]) -> str:
    """ "50", or "48–52" where classes differ."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,}–{most:,}"
