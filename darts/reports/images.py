"""The images of a run: how many of each class are in every part, and which were got wrong."""

from collections import Counter
from typing import Any

from darts.records.run_folder import Record

MOST_ROWS, MOST_CONFUSED = 20, 12
"""Classes that are listed one by one, and set against each other; of more only the fewest and most
images are shown, and the worst classes."""


def images_part(data: Record) -> Record:
    """Head, rows and a note about the images, from what data.json holds."""
    parts = {"training": data["train_counts"], "test": data["test_counts"]}
    search = data.get("search")  # data.json of older versions has none
    if search:
        parts["search: ω’s half"] = search["train_counts"]
        parts["search: α’s half"] = search["val_counts"]
    rows = [["all", *(f"{sum(counts):,}" for counts in parts.values())]]
    if len(data["class_names"]) <= MOST_ROWS:
        rows += [
            [name, *(f"{counts[label]:,}" for counts in parts.values())]
            for label, name in enumerate(data["class_names"])
        ]
    else:
        rows.append([f"each of {len(data['class_names']):,} classes", *map(spread, parts.values())])
    mirrored = "mirrored at random" if data["mirror"] else "never mirrored"
    channels, height, width = data["shape"]
    note = (
        f"{height}×{width} pixels, {channels} {'channel' if channels == 1 else 'channels'}; in "
        f"training they are {mirrored}."
    )
    return {"head": ["class", *parts], "rows": rows, "note": note}


def spread(counts: list[int]) -> str:
    """ "50", or "48–52" where classes differ."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,}–{most:,}"


def class_part(answers: Record, names: list[str]) -> Record:
    """Accuracy by class, and the confusion of the classes where there are few."""
    pairs = Counter(zip(answers["labels"], answers["answers"], strict=True))
    rows = []
    for label, name in enumerate(names):
        said = {other: pairs[label, other] for other in range(len(names))}
        images, right = sum(said.values()), said.pop(label)
        worst = max(said, key=said.__getitem__) if said else label
        taken = f"{names[worst]} ({said[worst]})" if said and said[worst] else "–"
        if images:
            share = right / images
            rows.append((share, [name, f"{right:,}", f"{images:,}", f"{100 * share:.1f} %", taken]))
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: row[0])[:MOST_ROWS]
    confusion: list[Any] = []
    for label, name in enumerate(names) if len(names) <= MOST_CONFUSED else ():
        counts = [pairs[label, other] for other in range(len(names))]
        total = max(sum(counts), 1)
        confusion.append({"name": name, "cells": [(count, count / total) for count in counts]})
    wrong = sum(count for (true, said), count in pairs.items() if true != said)
    return {
        "rows": [row for _, row in rows],
        "names": names,
        "confusion": confusion,
        "wrong": wrong,
    }
